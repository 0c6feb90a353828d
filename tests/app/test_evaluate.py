"""`handful evaluate`: what it compares with what."""

import json
from pathlib import Path

import pytest

from app.cli import run_command
from recon.report import PhotoReport, Report, write_report


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
