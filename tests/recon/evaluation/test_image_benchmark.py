import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recon.benchmark_scenes import read_scene
from recon.config import PRESETS
from recon.errors import ReconError
from recon.evaluation import image_case
from recon.evaluation.image_benchmark import ImagePlan, measure_images, rows_of_image_plan
from recon.evaluation.image_rows import ImageRow
from recon.evaluation.scoring import steps_to_score
from recon.progress import Cancelled, no_progress
from tests.recon.evaluation.ray_cast_set import ray_cast_set

DRAFT = PRESETS["draft"]
CONFIG = replace(
    DRAFT,
    working_side_px=192,
    device="cpu",
    matching=replace(DRAFT.matching, matcher="sift", refine=False),
    initialise=replace(DRAFT.initialise, num_gaussians=8000),
    fit=replace(DRAFT.fit, num_iterations=40),
)


@pytest.fixture(scope="module")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ray_cast_set(tmp_path_factory.mktemp("sets") / "ball", with_depth=True)


def plan_of(folder: Path, **changes: object) -> ImagePlan:
    settings: dict = {
        "views": (3,),
        "cameras": ("true",),
        "seeds": (0,),
        "strategies": ("edgs", "sfm"),
        "config": CONFIG,
        "checkpoints": (0, 20, 30, 500),
        "baseline_steps": 30,
    }
    return ImagePlan(scenes=(read_scene(folder),), **settings | changes)


def measure(plan: ImagePlan, folder: Path, done: list[ImageRow], progress: Callable = no_progress) -> list[ImageRow]:
    rows: list[ImageRow] = []
    measure_images(plan, done, folder, rows.append, progress)
    return rows


@pytest.fixture(scope="module")
def first(photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ImageRow], Path]:
    folder = tmp_path_factory.mktemp("out")
    return measure(plan_of(photo_set), folder, []), folder


def test_each_strategy_is_scored_at_the_checkpoints_that_it_passes(first: tuple[list[ImageRow], Path]) -> None:
    ours, sfm = first[0]
    assert [own.step for own in ours.checkpoints] == [0, 20, 30, 40]
    assert [own.step for own in sfm.checkpoints] == [0, 20, 30]
    assert set(ours.checkpoints[0].views) == {"1.png", "3.png"}
    times = [own.training_cpu_s for own in ours.checkpoints]
    assert times[0] == 0
    assert times == sorted(times)
    assert times[-1] > 0


def test_dense_depth_predicts_better_than_sparse_points_and_its_time_is_told(
    first: tuple[list[ImageRow], Path],
) -> None:
    ours, sfm = first[0]
    assert ours.last is not None
    assert sfm.last is not None
    assert ours.last.mean("covered_psnr") > 2 + sfm.last.mean("covered_psnr")  # type: ignore[operator]
    assert ours.last.mean("covered_share") > 0.7  # type: ignore[operator]
    assert ours.last.mean("ssim") > ours.checkpoints[0].mean("ssim")  # type: ignore[operator]
    assert ours.dense_cpu_s > 0
    assert sfm.dense_cpu_s == 0
    assert ours.matching_cpu_s == sfm.matching_cpu_s > 0


def test_a_single_photo_may_be_kept_back(photo_set: Path, tmp_path: Path) -> None:
    plan = plan_of(photo_set)
    case = replace(next(plan.cases()), heldout=("images/1.png",))
    placed = image_case.place(case, CONFIG, tmp_path, no_progress)
    assert [view.name for view in placed.heldout] == ["1.png"]
    assert len(placed.views) == 3


def test_photo_render_and_error_are_kept_side_by_side(first: tuple[list[ImageRow], Path]) -> None:
    _, folder = first
    strips = sorted(path.name for path in (folder / "renders" / "ball_3_true_edgs").iterdir())
    assert strips == ["1.jpg", "3.jpg"]


def test_finished_rows_are_not_run_again_and_other_settings_of_a_strategy_are(
    photo_set: Path, first: tuple[list[ImageRow], Path], tmp_path: Path
) -> None:
    rows, folder = first
    plan = plan_of(photo_set)
    assert measure(plan, folder, rows) == []
    assert rows_of_image_plan(plan, rows) == rows
    fewer = replace(CONFIG, initialise=replace(CONFIG.initialise, num_gaussians=4000))
    again = measure(plan_of(photo_set, config=fewer), folder, rows)
    assert [row.strategy for row in again] == ["edgs"]  # sparse points do not ask how many dense ones there are
    assert again[0].last.num_gaussians < rows[0].last.num_gaussians  # type: ignore[union-attr]


def test_other_cameras_are_measured_anew(photo_set: Path, first: tuple[list[ImageRow], Path], tmp_path: Path) -> None:
    rows, folder = first
    moved = tmp_path / "ball"
    shutil.copytree(photo_set, moved)
    text = (moved / "cameras.json").read_text()
    (moved / "cameras.json").write_text(text.replace('"cx": 96.0', '"cx": 96.5'))
    plan = plan_of(moved, strategies=("edgs",), config=replace(CONFIG, fit=replace(CONFIG.fit, num_iterations=1)))
    assert rows_of_image_plan(plan_of(moved), rows) == []
    (row,) = measure(plan, folder, rows)
    assert row.checkpoints[0].views != rows[0].checkpoints[0].views


def test_matches_and_dense_starts_are_shared(
    photo_set: Path, first: tuple[list[ImageRow], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = first
    monkeypatch.setattr(image_case, "match_photos", lambda *_: pytest.fail("matched again"))
    monkeypatch.setattr(image_case, "make_dense", lambda *_, **__: pytest.fail("stereo again"))
    other_fit = replace(CONFIG, fit=replace(CONFIG.fit, dropout=0.0, num_iterations=5))
    (row,) = measure(plan_of(photo_set, config=other_fit, strategies=("edgs",)), folder, [])
    assert row.failure is None
    assert row.dense_cpu_s > 0


def test_estimated_cameras_place_the_held_out_photos_too(photo_set: Path, tmp_path: Path) -> None:
    plan = plan_of(photo_set, cameras=("estimated",), strategies=("edgs",), checkpoints=())
    (row,) = measure(plan, tmp_path, [])
    assert row.failure is None
    assert row.last is not None
    assert set(row.last.views) == {"1.png", "3.png"}
    assert row.last.mean("covered_psnr") > 18  # type: ignore[operator]  # 22 was seen


def test_photos_that_do_not_match_give_failures_not_an_end(photo_set: Path, tmp_path: Path) -> None:
    deaf = replace(CONFIG, matching=replace(CONFIG.matching, min_inliers=1000))
    rows = measure(plan_of(photo_set, config=deaf), tmp_path, [])
    assert [row.strategy for row in rows] == ["edgs", "sfm"]
    assert all(row.failure and not row.checkpoints for row in rows)


def test_cancelling_keeps_the_rows_handed_over(photo_set: Path, tmp_path: Path) -> None:
    rows: list[ImageRow] = []

    def progress(done: int, total: int, message: str) -> None:
        if rows:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure_images(plan_of(photo_set), [], tmp_path, rows.append, progress)
    assert [row.strategy for row in rows] == ["edgs"]


def test_progress_never_runs_backwards_and_ends_at_the_end(photo_set: Path, first: tuple[list[ImageRow], Path]) -> None:
    reached: list[int] = []
    few = replace(CONFIG, fit=replace(CONFIG.fit, num_iterations=3))
    plan = plan_of(photo_set, config=few, baseline_steps=3, checkpoints=())
    measure(plan, first[1], [], lambda done, total, message: reached.append(done))
    assert reached == sorted(reached)
    assert reached[-1] == 1000


def test_a_set_without_photos_to_predict_is_refused(tmp_path: Path) -> None:
    folder = ray_cast_set(tmp_path / "ball", with_depth=True)
    (folder / "splits.json").write_text('{"splits": {"3": {"train": ["images/0.png", "images/2.png"]}}}')
    with pytest.raises(ReconError, match="no photos to predict"):
        measure(plan_of(folder), tmp_path / "out", [])


def test_only_checkpoints_within_the_fit_are_scored_and_always_its_end() -> None:
    assert steps_to_score((0, 250, 1000), 250) == {0, 250}
    assert steps_to_score((0, 250, 1000), 600) == {0, 250, 600}
