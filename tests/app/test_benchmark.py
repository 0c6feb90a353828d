"""`handful benchmark` as a user meets it."""

import json
import os
import signal
from pathlib import Path

import pytest

from app.benchmark_poses import ROWS_NAME, TABLE_NAME
from app.cli import run_command
from recon.errors import ReconError
from recon.pose_rows import PoseRow, read_rows, write_rows
from tests.recon.test_benchmark_scenes import make_scene


def arguments(scene: Path, out: Path, *more: str) -> list[str]:
    common = ["--views", "3", "--matcher", "sift", "--methods", "handful", "--progress", "auto"]
    return ["benchmark", "--poses", str(scene), "-o", str(out), *common, *more]


def test_a_table_is_printed_and_kept_with_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})
    assert run_command(arguments(scene, tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "out" / TABLE_NAME).read_text("utf-8")
    assert "| waves | 3 | unknown | 0/3 |" in printed
    (row,) = json.loads((tmp_path / "out" / ROWS_NAME).read_text("utf-8"))["rows"]
    assert row["scores"]["num_photos"] == 3


def test_a_second_run_prints_the_same_table_without_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})
    run_command(arguments(scene, tmp_path / "out"))
    first = capsys.readouterr().out
    monkeypatch.setattr("recon.pose_benchmark.match_photos", lambda *_: pytest.fail("matched again"))
    assert run_command(arguments(scene, tmp_path / "out")) == 0
    assert capsys.readouterr().out == first


def test_ctrl_c_keeps_the_finished_rows_and_the_next_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2], "4": [0, 1, 2, 3]})
    command = [*arguments(scene, tmp_path / "out"), "--views", "3", "4"]

    def write_and_interrupt(rows: list[PoseRow], path: Path) -> None:
        write_rows(rows, path)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("recon.pose_rows.write_rows", write_and_interrupt)
    assert run_command(command) == 130
    shown = capsys.readouterr()
    assert "Run the same command again" in shown.err
    assert "| waves | 3 |" in shown.out
    assert "| waves | 4 |" not in shown.out
    assert [row.num_views for row in read_rows(tmp_path / "out" / ROWS_NAME)] == [3]
    monkeypatch.setattr("recon.pose_rows.write_rows", write_rows)
    assert run_command(command) == 0
    assert [row.num_views for row in read_rows(tmp_path / "out" / ROWS_NAME)] == [3, 4]


def test_a_folder_without_splits_is_refused(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})
    (scene / "splits.json").unlink()
    with pytest.raises(ReconError, match=r"has no splits\.json") as refused:
        run_command(arguments(scene, tmp_path / "out"))
    assert "images/" in refused.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--views", "1"], "lie between 2 and 100"),
        (["--seeds", "0"], "lie between 1 and 100"),
        (["--intrinsics", "maybe"], "unknown or known or both"),
        (["--matcher", "magic"], "magic"),
        (["--methods", "luck"], "handful or pycolmap"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})
    with pytest.raises(SystemExit) as left:
        run_command(arguments(scene, tmp_path / "out", *more))
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_a_folder_with_files_of_somebody_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})
    theirs = tmp_path / "out" / "work" / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("all of it")
    with pytest.raises(ReconError, match="out holds something else") as refused:
        run_command(arguments(scene, tmp_path / "out"))
    assert "empty folder" in refused.value.hint
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [theirs]


def test_a_run_that_was_killed_before_its_first_row_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "waves", {"3": [0, 1, 2]})

    def killed(*_: object) -> None:
        (tmp_path / "out" / "work").mkdir()
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("recon.pose_benchmark.measure_poses", killed)
        with pytest.raises(MemoryError):
            run_command(arguments(scene, tmp_path / "out"))
    assert run_command(arguments(scene, tmp_path / "out")) == 0
    assert len(read_rows(tmp_path / "out" / ROWS_NAME)) == 1


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    scenes = [make_scene(tmp_path / part / "waves", {"3": [0, 1, 2]}) for part in ("a", "b")]
    with pytest.raises(ReconError, match="same name"):
        run_command([*arguments(scenes[0], tmp_path / "out"), str(scenes[1])])
