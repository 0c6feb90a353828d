"""report.json: what is written can be read, is valid, and appears whole."""

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import recon.report
from recon.report import (
    DeviceReport,
    FrameReport,
    HeldoutReport,
    PairReport,
    PhotoReport,
    Report,
    ReportError,
    ReportFileError,
    StageReport,
    ViewQuality,
    read_report,
    summarise_heldout,
    to_plain,
    write_report,
)

SCHEMA = json.loads(Path(recon.report.__file__).with_name("report_schema.json").read_text("utf-8"))

FULL = Report(
    status="partial",
    preset="draft",
    seed=7,
    stages=(StageReport("matches", 2.5, 4.75, 512.0, resumed=True, details={"num_pairs": 3}),),
    photos=(
        PhotoReport("a.jpg", placed=True, num_points=120, error_px=0.5, focal_px=800.0, confidence=0.97),
        PhotoReport("b.jpg", placed=True, is_heldout=True, num_points=80, error_px=0.75),
        PhotoReport("c <i>.jpg", placed=False, reason="It shares nothing with the others.", hint="Leave it out."),
    ),
    pairs=(PairReport("a.jpg", "b.jpg", 300, 200), PairReport("a.jpg", "c <i>.jpg", 20, 4, rejected="too few matches")),
    warnings=("b.jpg is blurred.",),
    device=DeviceReport("cpu", "cpu", "torch finds no CUDA device."),
    heldout=HeldoutReport(21.5, 0.75, 24.0, 0.5, {"b.jpg": ViewQuality(21.5, 0.75, 24.0, 0.5)}),
    outputs={"splats": "splats.ply"},
    totals={"num_points": 150, "reprojection_error_px": 0.625},
    frame=FrameReport("From the cameras.", "m", "Real: --scale a.jpg,b.jpg=1m."),
)
FAILED = Report(status="failed", preset="draft", seed=0, error=ReportError("No photos were given.", "Name some."))


@pytest.mark.parametrize("report", [FULL, FAILED], ids=["full", "failed"])
def test_what_is_written_is_read_back(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report


@pytest.mark.parametrize("report", [FULL, FAILED], ids=["full", "failed"])
def test_the_file_obeys_the_schema(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text("utf-8")), SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FULL, seed=-1),
        replace(FULL, photos=(PhotoReport("a.jpg", placed=False),)),
        replace(FULL, photos=(PhotoReport("a.jpg", placed=True, confidence=1.5),)),
        replace(FULL, outputs={"splats": "/somewhere/splats.ply"}),
        replace(FULL, frame=FrameReport("From the cameras.", "furlong", "Real.")),
        replace(FAILED, error=None),
    ],
    ids=[
        "negative seed",
        "unplaced without a reason",
        "more than certain",
        "absolute path",
        "a unit of old",
        "failed without an error",
    ],
)
def test_the_schema_refuses(wrong: Report) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(to_plain(wrong), SCHEMA)


def test_the_schema_knows_every_field() -> None:
    plain = to_plain(FULL)
    assert set(SCHEMA["properties"]) == set(plain)
    for name in ("stages", "photos", "pairs"):
        assert set(SCHEMA["properties"][name]["items"]["properties"]) == set(plain[name][0])


def test_numbers_that_json_lacks_become_null() -> None:
    assert to_plain({"x": float("inf"), "y": np.float32("nan"), "n": np.int64(3)}) == {"x": None, "y": None, "n": 3}


def test_a_report_from_before_the_device_was_told_is_still_read(tmp_path: Path) -> None:
    write_report(FAILED, tmp_path)
    plain = json.loads((tmp_path / "report.json").read_text("utf-8"))
    del plain["device"]
    jsonschema.validate(plain, SCHEMA)
    (tmp_path / "report.json").write_text(json.dumps(plain))
    assert read_report(tmp_path) == FAILED


def test_a_report_from_before_confidence_was_told_is_still_read(tmp_path: Path) -> None:
    write_report(FULL, tmp_path)
    plain = json.loads((tmp_path / "report.json").read_text("utf-8"))
    for photo in plain["photos"]:
        del photo["confidence"], photo["hint"]
    jsonschema.validate(plain, SCHEMA)
    (tmp_path / "report.json").write_text(json.dumps(plain))
    assert [photo.confidence for photo in read_report(tmp_path).photos] == [None, None, None]


def test_values_that_json_lacks_are_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        to_plain({"x": object()})


def test_means_leave_out_what_does_not_exist() -> None:
    views = {"a": ViewQuality(20.0, 0.5, None, 0.0), "b": ViewQuality(30.0, 1.0, 28.0, 0.5)}
    assert summarise_heldout(views) == HeldoutReport(25.0, 0.75, 28.0, 0.25, views)
    assert summarise_heldout({}).psnr is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 99}', '{"schema_version": 1, "stray": 0}'])
def test_a_damaged_file_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportFileError, match=r"report\.json"):
        read_report(tmp_path)


def test_an_interrupted_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(FULL, tmp_path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(FAILED, tmp_path)
    assert read_report(tmp_path) == FULL
