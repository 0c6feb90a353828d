"""`handful evaluate`: what it compares with what."""

import json
from pathlib import Path

import pytest

from app.cli import run_command
from recon.errors import ReconError
from recon.report import PhotoReport, Report, ReportError, write_report


def _write_cameras(path: Path, names: list[str]) -> Path:
    images = [
        {
            "file": name, "width": 64, "height": 48, "fx": 60, "fy": 60, "cx": 32, "cy": 24, "distortion": [0, 0, 0, 0],
            "w2c": [[1, 0, 0, -idx], [0, 1, 0, 0], [0, 0, 1, idx % 2]],
        }
        for idx, name in enumerate(names)
    ]  # fmt: skip
    path.write_text(json.dumps({"convention": "opencv", "images": images}))
    return path


def test_photos_whose_images_have_another_suffix_count_as_placed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = ["a.heic", "b.heic", "c.jpg"]
    out = tmp_path / "out"
    out.mkdir()
    _write_cameras(out / "cameras.json", ["a.png", "b.png", "c.jpg"])
    placed = tuple(PhotoReport(name, placed=True) for name in photos)
    write_report(Report(status="complete", preset="draft", seed=0, photos=placed), out)
    truth = _write_cameras(tmp_path / "truth.json", photos)
    assert run_command(["evaluate", str(out), "--against", str(truth), "--json"]) == 0
    poses = json.loads(capsys.readouterr().out)["poses"]
    assert (poses["num_placed"], poses["num_photos"]) == (3, 3)
    assert poses["auc_30"] == pytest.approx(1, abs=1e-3)  # angles of equal poses come out as up to 1e-6 degrees


def test_a_project_that_failed_is_refused_with_the_reason_and_the_hint_of_its_run(tmp_path: Path) -> None:
    why = ReportError("Only 1 of 3 photos could be placed.", "Add photos between a.jpg and b.jpg.")
    write_report(Report(status="failed", preset="draft", seed=0, error=why), tmp_path)
    truth = _write_cameras(tmp_path / "truth.json", ["a.jpg", "b.jpg"])
    for more in ([], ["--json"], ["--artefacts"], ["--against", str(truth)]):
        with pytest.raises(ReconError, match="failed: Only 1 of 3 photos") as refused:
            run_command(["evaluate", str(tmp_path), *more])
        assert refused.value.hint == why.hint


def test_a_project_that_was_cancelled_can_be_compared_once_it_has_cameras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(Report(status="cancelled", preset="draft", seed=0), tmp_path)
    with pytest.raises(ReconError, match="cancelled before there were cameras") as refused:
        run_command(["evaluate", str(tmp_path)])
    assert "again" in refused.value.hint
    names = ["a.jpg", "b.jpg"]
    truth = _write_cameras(tmp_path / "cameras.json", names)
    placed = tuple(PhotoReport(name, placed=True) for name in names)
    write_report(Report(status="cancelled", preset="draft", seed=0, photos=placed), tmp_path)
    assert run_command(["evaluate", str(tmp_path), "--against", str(truth)]) == 0
    assert "2 of 2" in capsys.readouterr().out
