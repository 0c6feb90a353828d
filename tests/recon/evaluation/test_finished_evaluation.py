import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import run_command
from recon.errors import ReconError
from recon.evaluation.finished_evaluation import cameras_between, evaluate_scene
from recon.pipeline import reconstruct
from recon.progress import no_progress
from recon.scene import View
from splatting.camera import Camera
from tests.recon.evaluation.ray_cast_set import ray_cast_set
from tests.recon.evaluation.test_image_benchmark import CONFIG
from tests.synthetic import arc_of_cameras

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photo_set = ray_cast_set(tmp_path_factory.mktemp("sets") / "ball", with_depth=False)
    out = tmp_path_factory.mktemp("runs") / "ball"
    photos = sorted((photo_set / "images").iterdir())
    known = photo_set / "cameras.json"
    reconstruct(photos, out, CONFIG, holdout=["1.png", "3.png"], cameras=known, until="splats")
    return out


def test_held_out_renders_get_a_score_a_picture_and_a_diagnosis(project: Path) -> None:
    reached: list[float] = []
    found = evaluate_scene(project, progress=lambda done, total, message: reached.append(done / total))
    assert [render.name for render in found.renders] == ["1.png", "3.png"]
    for render in found.renders:
        assert (project / render.picture).read_bytes().startswith(b"\x89PNG")
        assert 0.2 < render.score < 3
        assert 0 <= render.strange_share < 0.9
    assert found.colours is not None
    assert found.colours.psnr_with_best_colours > found.colours.psnr > 15
    assert 0 < found.colours.geometry_share < 1
    assert reached == sorted(reached)
    assert reached[-1] == 1
    kept = json.loads((project / "evaluation" / "evaluation.json").read_text())
    assert kept["renders"][0]["score"] == found.renders[0].score


def test_the_command_shows_everything_about_the_pictures(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", str(project), "--artefacts"]) == 0
    shown = capsys.readouterr().out
    assert "FLIP" in shown
    assert "strangeness" in shown
    assert "evaluation/artefacts_1.png" in shown
    assert "of the squared error or more is geometry" in shown
    assert run_command(["evaluate", str(project), "--artefacts", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores["heldout"]["views"]) == {"1.png", "3.png"}
    assert 0 < scores["heldout"]["flip"] < 0.5
    assert len(scores["scene"]["renders"]) == 2


def test_without_artefacts_nothing_is_rendered(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", str(project), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scene"] is None


def test_an_unfinished_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="holds no scene"):
        evaluate_scene(tmp_path, progress=no_progress)


def _views(cameras: tuple[Camera, ...]) -> list[View]:
    blank = np.zeros((2, 2, 3), np.uint8)
    return [View(f"{i}.jpg", camera, blank, blank[..., 0] == 0) for i, camera in enumerate(cameras)]


def test_between_photos_cameras_stand_halfway_and_look_halfway() -> None:
    views = _views(arc_of_cameras(3, spread_deg=40))
    between = cameras_between(views)
    assert list(between) == ["0-1", "1-2"]
    a, b, middle = views[0].camera, views[1].camera, between["0-1"]
    np.testing.assert_allclose(middle.center, (a.center + b.center) / 2, atol=1e-12)
    halves = [np.arccos((np.trace(middle.R @ other.R.T) - 1) / 2) for other in (a, b)]
    assert halves[0] == pytest.approx(halves[1])
    assert halves[0] == pytest.approx(np.arccos((np.trace(a.R @ b.R.T) - 1) / 2) / 2)


def test_of_many_photos_only_the_widest_gaps_are_looked_at() -> None:
    assert len(cameras_between(_views(arc_of_cameras(12)))) == 6
