"""report.html: everything of the report is in it, and it needs nothing but itself."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.plan_view import plan_view
from recon.report import (
    DeviceReport,
    HeldoutReport,
    PairReport,
    PhotoReport,
    Report,
    ReportError,
    StageReport,
    ViewQuality,
    write_report,
)

REPORT = Report(
    status="partial",
    preset="draft",
    seed=0,
    stages=(StageReport("matches", 2.5, 4.75, 512.0, details={"num_pairs": 3}),),
    photos=(
        PhotoReport("a.jpg", placed=True, num_points=120, error_px=0.5, focal_px=800.0),
        PhotoReport("b.jpg", placed=True, is_heldout=True),
        PhotoReport("c<i>.jpg", placed=False, reason="It shares <nothing> with the others."),
    ),
    pairs=(PairReport("a.jpg", "b.jpg", 300, 217), PairReport("a.jpg", "c<i>.jpg", 20, 4, rejected="too few matches")),
    warnings=("b.jpg is blurred & dark.",),
    device=DeviceReport("cpu", "cpu", "torch <2> finds no CUDA device."),
    heldout=HeldoutReport(21.5, 0.75, None, 0.5, {"b.jpg": ViewQuality(21.5, 0.75, None, 0.5)}),
    outputs={"splats": "splats.ply"},
)


class _Tags(HTMLParser):
    """Collects element names and the addresses that the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "data")]


def _write(folder: Path, report: Report = REPORT) -> tuple[str, _Tags]:
    write_report(report, folder)
    page = (folder / "report.html").read_text("utf-8")
    tags = _Tags()
    tags.feed(page)
    return page, tags


def _camera(name: str, x: float) -> dict[str, object]:
    w2c = [[1, 0, 0, -x], [0, 1, 0, 0], [0, 0, 1, 4]]
    return {"file": name, "width": 640, "height": 480, "fx": 600, "fy": 600, "cx": 320, "cy": 240, "w2c": w2c}


def _write_cameras(folder: Path, cameras: list[dict[str, object]]) -> None:
    (folder / "cameras.json").write_text(json.dumps({"convention": "opencv", "images": cameras}))


def test_every_finding_is_on_the_page(tmp_path: Path) -> None:
    page, _ = _write(tmp_path)
    for text in (
        "2 / 3",
        "217",
        "too few matches",
        "blurred &amp; dark",
        "21.50",
        "It shares &lt;nothing&gt;",
        "2.5 s",
        "Splats fitted on the CPU, rasterizer cpu: torch &lt;2&gt; finds no CUDA device.",
    ):
        assert text in page


def test_texts_are_never_markup(tmp_path: Path) -> None:
    _, tags = _write(tmp_path)
    assert "i" not in tags.names
    assert "nothing" not in tags.names


def test_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    for name in ("photo_a.jpg", "heldout_b_photo.jpg", "heldout_b_render.jpg", "mesh.png"):
        Image.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(tmp_path / "previews" / name)
    page, tags = _write(tmp_path)
    assert len(tags.loads) == 4
    assert all(address.startswith("data:image/jpeg;base64,") for address in tags.loads)
    assert not {"script", "link", "iframe"} & set(tags.names)
    assert "url(" not in page
    assert "@import" not in page


def test_large_pictures_are_reduced(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "previews" / "photo_a.jpg", quality=95)
    page, _ = _write(tmp_path)
    assert len(page) < 600_000


def test_a_damaged_picture_is_shown_as_missing(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews" / "photo_a.jpg").write_text("no picture")
    _, tags = _write(tmp_path)
    assert tags.loads == []


def test_a_failure_shows_its_reason_and_hint(tmp_path: Path) -> None:
    failed = Report(status="failed", preset="draft", seed=0, error=ReportError("No photos.", "Name some."))
    page, _ = _write(tmp_path, failed)
    assert "No photos." in page
    assert "Name some." in page


def test_the_plan_shows_cameras_side_by_side_and_marks_held_out_ones(tmp_path: Path) -> None:
    _write_cameras(tmp_path, [_camera("left.jpg", -1.0), _camera("right.jpg", 1.0)])
    drawing = plan_view(tmp_path, frozenset({"right.jpg"}))
    assert drawing is not None
    x_of = {
        name: float(x)
        for name, x in re.findall(r"<title>(\w+\.jpg)</title>.*?<circle class=\"center\" cx=\"([\d.]+)\"", drawing)
    }
    assert x_of["left.jpg"] < x_of["right.jpg"]
    assert drawing.count("camera heldout") == 1


def test_cameras_in_the_plan_look_up_the_page(tmp_path: Path) -> None:
    _write_cameras(tmp_path, [_camera("a.jpg", 0.0), _camera("b.jpg", 1.0)])
    drawing = plan_view(tmp_path)
    assert drawing is not None
    for outline in re.findall(r'points="([^"]+)"', drawing):
        apex, *corners = [tuple(map(float, corner.split(","))) for corner in outline.split()]
        assert all(y < apex[1] for _, y in corners)


@pytest.mark.parametrize("cameras", [None, []])
def test_without_cameras_there_is_no_plan(cameras: list[dict[str, object]] | None, tmp_path: Path) -> None:
    if cameras is not None:
        _write_cameras(tmp_path, cameras)
    assert plan_view(tmp_path) is None


def test_doubtful_cameras_stand_out_and_unplaced_photos_say_what_to_do(tmp_path: Path) -> None:
    photos = (
        PhotoReport("a.jpg", placed=True, confidence=0.97),
        PhotoReport("b.jpg", placed=True, confidence=0.21),
        PhotoReport("c.jpg", placed=False, reason="It shares 11 matches.", hint="Take one between <a> and c."),
    )
    page, _ = _write(tmp_path, replace(REPORT, photos=photos))
    assert "camera 97 % sure" in page
    assert '<span class="bad">camera 21 % sure</span>' in page
    assert page.count('<figure class="doubtful">') == 1
    assert "It shares 11 matches. Take one between &lt;a&gt; and c." in page


def test_the_reasons_of_unused_pairs_are_listed(tmp_path: Path) -> None:
    page, _ = _write(tmp_path)
    assert "Why 1 of 2 pairs were not used" in page
    assert "a.jpg and c&lt;i&gt;.jpg: too few matches" in page
    whole, _ = _write(tmp_path, replace(REPORT, pairs=REPORT.pairs[:1]))
    assert "pairs were not used" not in whole
