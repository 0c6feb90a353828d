"""`handful benchmark --images` as a user meets it."""

from pathlib import Path

import pytest

from app.benchmark_images import CHARTS_NAME, ROWS_NAME, TABLE_NAME
from app.cli import run_command
from recon.errors import ReconError
from recon.evaluation.image_rows import read_image_rows
from tests.recon.evaluation.ray_cast_set import ray_cast_set


@pytest.fixture(scope="module")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ray_cast_set(tmp_path_factory.mktemp("sets") / "ball", with_depth=True)


def arguments(photo_set: Path, out: Path, *more: str) -> list[str]:
    common = ["--views", "3", "--matcher", "sift", "--working-side-px", "192", "--strategies", "edgs", "sfm"]
    steps = ["--max-steps", "12", "--baseline-steps", "10", "--checkpoints", "0", "5"]
    few = ["--initialise.num-gaussians", "3000", "--matching.refine", "no", "--device", "cpu"]
    return ["benchmark", "--images", str(photo_set), "-o", str(out), *common, *steps, *few, *more]


def test_table_charts_and_rows_are_kept_and_a_second_run_does_nothing_twice(
    photo_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command(arguments(photo_set, tmp_path)) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / TABLE_NAME).read_text("utf-8")
    assert "| ball | 3 | true | edgs | 1 |" in printed
    assert "PSNR at 0 / 5 / last" in printed
    assert (tmp_path / CHARTS_NAME).read_text("utf-8").startswith("<svg")
    rows = read_image_rows(tmp_path / ROWS_NAME)
    assert [(row.strategy, [own.step for own in row.checkpoints]) for row in rows] == [
        ("edgs", [0, 5, 12]),
        ("sfm", [0, 5, 10]),
    ]
    assert all(own.mean("flip") for row in rows for own in row.checkpoints)
    monkeypatch.setattr("recon.evaluation.image_benchmark.run_strategy", lambda *_, **__: pytest.fail("fitted again"))
    assert run_command(arguments(photo_set, tmp_path)) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--intrinsics", "both"], "--intrinsics goes with --poses"),
        (["--spacing", "wide"], "--spacing goes with --poses"),
        (["--strategies", "luck"], "edgs or sfm or densify"),
        (["--cameras", "none"], "true or estimated or both"),
        (["--max-steps", "0"], "lie between"),
        (["--fit.dropout", "2"], "lie between"),
    ],
)
def test_wrong_options_are_refused(
    photo_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run_command(arguments(photo_set, tmp_path, *more))
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_options_of_pictures_are_refused_for_poses(
    photo_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_command(["benchmark", "--poses", str(photo_set), "-o", str(tmp_path), "--cameras", "both"])
    assert "--cameras goes with --images" in capsys.readouterr().err


def test_a_size_that_the_set_does_not_have_is_refused_before_anything_is_run(photo_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="ball has no set of 6 photos"):
        run_command(arguments(photo_set, tmp_path / "out", "--views", "3", "6"))
    assert not (tmp_path / "out").exists()
