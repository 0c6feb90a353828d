"""Photos are added to a finished scene: cheaply, in its frame, and never at its cost."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.camera_files import read_cameras
from recon.config import PRESETS, ReconConfig, config_from_document
from recon.errors import ReconError
from recon.pipeline import add_photos, reconstruct
from recon.progress import Cancelled, PipelineEvent
from recon.project import Project, adopt, open_project
from recon.report import Report, read_report
from splatting.formats.ply import read_ply
from tests.photo_sets import scene_dir

BANANA = Path(__file__).parents[2] / "assets" / "samples" / "banana"
FIRST = ["DSC_0424.jpg", "DSC_0426.jpg"]
ADDED = "DSC_0425.jpg"


def _config() -> ReconConfig:
    draft = PRESETS["draft"]
    return dataclasses.replace(
        draft,
        working_side_px=192,
        matching=dataclasses.replace(draft.matching, max_side_px=512, max_keypoints=1024),
        initialise=dataclasses.replace(draft.initialise, num_gaussians=10_000),
        fit=dataclasses.replace(draft.fit, num_iterations=40),
        mesh=dataclasses.replace(draft.mesh, max_faces=5_000),
    )


def _contents(out: Path) -> dict[str, str]:
    """Digests of all files of a scene, those of an unfinished addition excepted."""
    files = [path for path in out.rglob("*") if path.is_file() and Project(out).adding.folder not in path.parents]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scene") / "banana"
    reconstruct([BANANA / name for name in FIRST], out, _config(), preset="draft", until="splats")
    return out


@pytest.fixture
def scene(finished: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(finished, tmp_path / "scene"))


@pytest.fixture(scope="module")
def added(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, list[PipelineEvent]]:
    out = Path(shutil.copytree(finished, tmp_path_factory.mktemp("added") / "banana"))
    events: list[PipelineEvent] = []
    return out, add_photos(out, [BANANA / ADDED], progress=events.append), events


@pytest.mark.weights
def test_an_added_photo_joins_the_scene_and_the_project_file(
    added: tuple[Path, Report, list[PipelineEvent]],
) -> None:
    out, report, events = added
    assert report.status == "complete"
    assert read_report(out) == report
    assert set(read_cameras(out / "cameras.json")) == {*FIRST, ADDED}
    assert all((out / path).exists() for path in report.outputs.values())
    assert len(read_ply(out / "splats.ply")) == report.totals["num_gaussians"]
    asked = json.loads((out / "project.json").read_text())
    assert [photo["name"] for photo in asked["photos"]] == [*FIRST, ADDED]
    assert config_from_document(asked["config"]) == _config()
    matched = [event.message for event in events if event.message.startswith(("Finding", "Matching"))]
    assert matched
    assert all(ADDED in message for message in matched)
    assert not Project(out).adding.folder.exists()


@pytest.mark.weights
def test_the_frame_of_the_scene_stays(finished: Path, added: tuple[Path, Report, list[PipelineEvent]]) -> None:
    before, after = (read_cameras(folder / "cameras.json") for folder in (finished, added[0]))
    for name in FIRST:
        old, new = before[name].camera, after[name].camera
        assert np.linalg.norm(new.center - old.center) < 0.05  # two photos of 512 px determine no more
        assert np.degrees(np.arccos(np.clip((np.trace(new.R @ old.R.T) - 1) / 2, -1, 1))) < 3


@pytest.mark.weights
def test_a_stopped_addition_leaves_the_scene_whole_and_is_resumed(scene: Path) -> None:
    def stop_in_splats(event: PipelineEvent) -> None:
        if event.stage == "splats" and event.stage_fraction > 0.3:
            raise Cancelled

    before = _contents(scene)
    with pytest.raises(Cancelled):
        add_photos(scene, [BANANA / ADDED], progress=stop_in_splats)
    assert _contents(scene) == before
    report = add_photos(scene, [BANANA / ADDED])
    assert [stage.name for stage in report.stages if stage.resumed] == ["matches", "cameras", "points"]
    assert set(read_cameras(scene / "cameras.json")) == {*FIRST, ADDED}


@pytest.mark.weights
def test_what_cannot_be_added_is_refused_and_the_scene_stays_as_it_was(scene: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("no photo")
    stranger = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((480, 360), Image.Resampling.BICUBIC).save(stranger)
    before = _contents(scene)
    for photo, words in (
        (BANANA / FIRST[1], "DSC_0426.jpg is in the scene already"),
        (text, "notes.jpg is not a photo"),
        (tmp_path / "nowhere.jpg", "does not exist"),
        (stranger, "None of the photos could be placed"),
    ):
        with pytest.raises(ReconError, match=words) as caught:
            add_photos(scene, [photo])
        assert caught.value.hint
        assert _contents(scene) == before
        assert not Project(scene).adding.folder.exists()


@pytest.mark.weights
def test_a_folder_adds_what_the_scene_lacks_and_nothing_is_refused(scene: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in [*FIRST, ADDED]:
        shutil.copy(BANANA / name, folder)
    asked = json.loads((scene / "project.json").read_text())
    for photo in asked["photos"]:
        photo["path"] = str((folder / photo["name"]).resolve())
    (scene / "project.json").write_text(json.dumps(asked))
    with pytest.raises(Cancelled):
        add_photos(scene, [folder], progress=_stop_after_matches)
    assert "DSC_0425.jpg" in (Project(scene).adding.folder / "project.json").read_text()


def _stop_after_matches(event: PipelineEvent) -> None:
    if event.stage == "cameras":
        raise Cancelled


@pytest.mark.weights
def test_a_photo_that_changed_since_is_named(scene: Path, tmp_path: Path) -> None:
    asked = json.loads((scene / "project.json").read_text())
    asked["photos"][0]["path"] = str((BANANA / ADDED).resolve())
    (scene / "project.json").write_text(json.dumps(asked))
    with pytest.raises(ReconError, match="no longer the photo"):
        add_photos(scene, [BANANA / "DSC_0427.jpg"])


@pytest.mark.weights
def test_an_unfinished_scene_takes_no_photos(scene: Path) -> None:
    def stop_in_points(event: PipelineEvent) -> None:
        if event.stage == "points":
            raise Cancelled

    config = dataclasses.replace(_config(), poses=dataclasses.replace(_config().poses, max_error_px=2.5))
    with pytest.raises(Cancelled):
        reconstruct([BANANA / name for name in FIRST], scene, config, progress=stop_in_points)
    with pytest.raises(ReconError, match="not finished"):
        add_photos(scene, [BANANA / ADDED])


@pytest.mark.parametrize("made", [None, "thesis.txt"])
def test_a_folder_without_a_scene_takes_no_photos_and_is_left_alone(tmp_path: Path, made: str | None) -> None:
    if made:
        (tmp_path / made).write_text("mine")
    with pytest.raises(ReconError, match="holds no scene"):
        add_photos(tmp_path, [BANANA / ADDED])
    assert [path.name for path in tmp_path.iterdir()] == ([made] if made else [])


def test_a_replacement_that_was_killed_is_finished_when_the_project_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project(tmp_path / "out")
    made = open_project(project.adding.folder)
    for folder, text in ((project.folder, "old"), (made.folder, "new")):
        (folder / "images").mkdir()
        for name in ("splats.ply", "images/a.jpg"):
            (folder / name).write_text(text)
    moved: list[Path] = []

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recon.project.shutil.rmtree", killed)
        real = Path.mkdir

        def kill_at_the_second(self: Path, *args: object, **kwargs: object) -> None:
            moved.append(self)
            if len(moved) > 2:
                raise KeyboardInterrupt
            real(self, *args, **kwargs)  # type: ignore[arg-type]

        patch.setattr(Path, "mkdir", kill_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            adopt(project, project.adding)
    assert project.adding.folder.exists()
    open_project(project.folder)
    assert (project.folder / "splats.ply").read_text() == "new"
    assert (project.folder / "images" / "a.jpg").read_text() == "new"
    assert not project.adding.folder.exists()


def test_settings_come_back_from_a_project_file_and_others_are_refused() -> None:
    document = json.loads(json.dumps(dataclasses.asdict(_config())))
    assert config_from_document(document) == _config()
    document["fit"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="momentum"):
        config_from_document(document)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
def test_a_sixth_photo_of_the_fountain_costs_less_and_leaves_the_others_where_they_are(tmp_path: Path) -> None:
    folder = scene_dir("strecha_fountain_p11")
    names = json.loads((folder / "splits.json").read_text())["splits"]["6"]["train"]
    photos = [folder / name for name in names]
    out = tmp_path / "out"
    reconstruct(photos[:5], out, PRESETS["draft"], preset="draft")
    before = read_cameras(out / "cameras.json")
    added = add_photos(out, photos[5:])
    anew = reconstruct(photos, tmp_path / "anew", PRESETS["draft"], preset="draft", until="splats")
    after = read_cameras(out / "cameras.json")
    assert len(after) == 6
    centers = np.array([known.camera.center for known in before.values()])
    extent = np.linalg.norm(centers.max(axis=0) - centers.min(axis=0))
    for name, known in before.items():
        old, new = known.camera, after[name].camera
        assert np.linalg.norm(new.center - old.center) < 0.01 * extent
        assert np.degrees(np.arccos(np.clip((np.trace(new.R @ old.R.T) - 1) / 2, -1, 1))) < 0.5
    cost = {s.name: s.cpu_seconds for s in added.stages}
    full = {s.name: s.cpu_seconds for s in anew.stages}
    assert sum(cost[stage] for stage in full) < 0.8 * sum(full.values())
