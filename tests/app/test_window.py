"""The window: photos in, a child process at work, its events shown, a scene saved."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

try:
    from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
    from PyQt6.QtGui import QDropEvent
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QSlider

    from app.window import MainWindow
    from app.window_photos import PhotoGrid
    from tests.app.waiting import wait_until
    from tests.app.windows import make_photos, make_window, replace_child
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from recon.report import PairReport, PhotoReport, Report, write_report

PROGRESS = {"event": "progress", "elapsed_s": 2.0, "stage_fraction": 0.5, "message": "pair 2"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "mug")


@pytest.fixture
def window(application: QApplication, tmp_path: Path) -> Iterator[MainWindow]:
    made = make_window(tmp_path)
    yield made
    made.close()


def _drop(window: MainWindow, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, none))


def _notice(window: MainWindow) -> str:
    return f"{window.notice.message.text()} {window.notice.hint.text()}"


def _write_project(folder: Path, photos: Path, report: Report) -> None:
    import json

    folder.mkdir()
    (folder / "previews").mkdir()
    asked = {
        "photos": [{"name": path.name, "path": str(path)} for path in sorted(photos.glob("*.*[gG]"))],
        "preset": "standard",
        "config": {"matching": {"matcher": "fast"}},
        "holdout": [],
    }
    (folder / "project.json").write_text(json.dumps(asked))
    write_report(report, folder)


def test_dropped_photos_are_listed_once_and_propose_a_folder(window: MainWindow, photos: Path) -> None:
    assert window.center.currentWidget() is window.empty
    assert window.steps.buttons["photos"].isChecked()
    assert not window.model.can_run
    _drop(window, photos, photos / "a.jpg")
    assert [photo.path.name for photo in window.model.photos] == ["a.jpg", "b.PNG", "c.jpg"]
    assert window.model.folder == photos.with_name("mug-handful")
    assert window.center.currentWidget() is window.grid
    assert window.grid.picture(window.model.photos[0]) is not None
    assert window.photo_panel.next.isEnabled()


def test_what_is_no_photo_is_said_so(window: MainWindow, photos: Path) -> None:
    _drop(window, photos / "notes.txt")
    assert "no photos" in _notice(window)
    assert window.center.currentWidget() is window.empty


@pytest.mark.parametrize("width", [400, 766, 1500])
def test_thumbnails_fill_the_width(application: QApplication, width: int) -> None:
    grid = PhotoGrid()
    grid.resize(width, 500)
    grid.show()
    room, cell = width - grid.verticalScrollBar().sizeHint().width(), grid.gridSize().width()
    columns = room // cell
    assert columns == room // 208
    assert room - columns * cell < 4 + columns
    grid.close()


def test_films_and_raw_files_are_told_what_to_do_with(window: MainWindow, photos: Path) -> None:
    for name in ("walk.mp4", "a.NEF", "lone.NEF"):
        (photos / name).write_bytes(b"no photo")
    _drop(window, photos / "walk.mp4")
    assert "no photos" in _notice(window)
    assert "walk.mp4 is a film; take pictures out of it" in window.notice.hint.text()
    _drop(window, photos / "a.jpg", photos / "a.NEF", photos / "lone.NEF")
    assert len(window.model.photos) == 1
    assert window.notice.hint.text() == "lone.NEF is a camera's raw file; save it as JPEG or TIFF."
    _drop(window, photos)
    assert len(window.model.photos) == 3
    assert "lone.NEF, walk.mp4" in window.notice.hint.text()


def test_keys_leave_photos_out_and_take_them_in_again(window: MainWindow, photos: Path) -> None:
    window.add_photos([photos])
    window.grid.setCurrentRow(1)
    QTest.keyClick(window.grid, Qt.Key.Key_Delete)
    assert [photo.path.name for photo in window.model.used_photos] == ["a.jpg", "c.jpg"]
    assert window.photo_panel.toggle.text() == "&Take in again"
    QTest.keyClick(window.grid, Qt.Key.Key_Space)
    assert len(window.model.used_photos) == 3


def test_badges_say_what_is_odd(window: MainWindow, photos: Path) -> None:
    with Image.open(photos / "a.jpg") as image:
        image.resize((20, 15)).resize((800, 600)).save(photos / "soft.jpg")
        image.save(photos / "twin.jpg", quality=95)
        Image.fromarray(np.asarray(image) // 8).save(photos / "dark.jpg")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
    window.add_photos([photos])
    found = {photo.path.name: [badge.kind for badge in photo.badges] for photo in window.model.photos}
    assert found["a.jpg"] == []
    assert found["soft.jpg"] == ["blurred"]
    assert found["twin.jpg"] == ["near-duplicate"]
    assert "exposure" in found["dark.jpg"]
    assert found["broken.jpg"] == ["unusable"]
    assert "broken.jpg" not in {photo.path.name for photo in window.model.used_photos}


def test_changes_are_kept_beside_the_project_until_it_is_built(
    window: MainWindow, photos: Path, tmp_path: Path
) -> None:
    window.add_photos([photos])
    window.model.remove([photos / "b.PNG"])
    window.model.set_preset("best")
    window.model.save_unsaved()
    folder = photos.with_name("mug-handful")
    assert not folder.exists()
    assert photos.with_name("mug-handful.unsaved.json").is_file()
    again = make_window(tmp_path, None)
    again.model.open(folder)
    assert again.model.asked() == window.model.asked()
    assert [photo.path.name for photo in again.model.photos if photo.is_removed] == ["b.PNG"]
    again.close()


def test_events_of_the_child_are_shown(window: MainWindow, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window.add_photos([photos])
    progress = PROGRESS | {"stage": "matches", "overall": 0.25, "eta_s": 61.0}
    replace_child(window.model.run, monkeypatch, [progress, {"event": "done", "outputs": {}}], "sys.exit(3)")
    seen: list[tuple[str, str, float]] = []
    window.model.run.progressed.connect(
        lambda _: seen.append((window.strip.word.text(), window.strip.sentence.text(), window.strip.bar.share))
    )
    window.build()
    assert not window.build_panel.build.isEnabled()
    assert not window.strip.stop.isHidden()
    wait_until(lambda: window.model.phase == "idle")
    assert seen == [("Comparing photos", "pair 2 · 1 min 1 s left", 0.25)]
    assert window.build_panel.build.isEnabled()
    assert window.strip.stop.isHidden()


@pytest.mark.parametrize("handler", ["lambda *_: sys.exit(130)", "signal.SIG_DFL"], ids=["politely", "while it loads"])
def test_a_paused_run_holds_still_and_stops_when_told(
    handler: str, window: MainWindow, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.add_photos([photos])
    ticks = tmp_path / "ticks"
    ending = (
        f"import signal; signal.signal(signal.SIGTERM, {handler})\n"
        f"for i in range(3000): open({str(ticks)!r}, 'w').write(str(i)); time.sleep(.02)"
    )
    replace_child(window.model.run, monkeypatch, [], ending)
    window.build()
    wait_until(lambda: ticks.exists() and bool(ticks.read_text()))
    window.strip.pause.click()
    assert window.model.phase == "paused"
    QTest.qWait(60)
    before = ticks.read_text()
    QTest.qWait(150)
    assert ticks.read_text() == before
    window.strip.pause.click()
    wait_until(lambda: ticks.read_text() not in ("", before))
    window.strip.pause.click()
    window.strip.stop.click()
    wait_until(lambda: window.model.phase == "idle")
    assert window.notice.isHidden()


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("import os; os.abort()", "ended by the system"),
        ("raise RuntimeError('broken kernel')", "failed unexpectedly"),
    ],
)
def test_a_child_that_dies_leaves_the_window_standing(
    ending: str, expected: str, window: MainWindow, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.add_photos([photos])
    replace_child(window.model.run, monkeypatch, [], ending)
    window.build()
    wait_until(lambda: window.model.phase == "idle")
    assert expected in _notice(window)
    if "broken" in ending:
        assert "broken kernel" in window.notice.details.toPlainText()


def test_the_window_speaks_with_the_real_command_line(window: MainWindow, photos: Path, tmp_path: Path) -> None:
    window.add_photos([photos])
    for photo in photos.iterdir():  # between the look and the run
        photo.write_text("Dear photo, ...")
    window.build()
    wait_until(lambda: window.model.phase == "idle")
    assert "a.jpg" in _notice(window)
    assert window.model.report is not None
    assert window.model.report.status == "failed"


def test_a_photo_that_failed_has_its_sentence_and_ways_on(
    window: MainWindow, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = [PhotoReport(name, True, confidence=0.9) for name in ("a.jpg", "b.PNG")]
    failed = PhotoReport("c.jpg", False, reason="c.jpg shares too little.", hint="Take one in between.")
    pair = PairReport("a.jpg", "c.jpg", 40, 12, "too few")
    _write_project(tmp_path / "out", photos, Report("partial", "standard", 0, photos=(*placed, failed), pairs=(pair,)))
    window.open_project(tmp_path / "out")
    window.go_to("cameras")
    panel = window.camera_panel
    assert panel.summary.text() == "2 of 3 photos placed"
    assert panel.selected_names() == ["c.jpg"]
    assert panel.told.text() == "c.jpg shares too little. Take one in between."
    assert panel.pairs.text() == "Matches: 12 with a.jpg (not used)"
    assert panel.go_on.text() == "&Go on with 2 of 3"
    monkeypatch.setattr(window.model.run, "start", lambda request: asked.append(request))
    asked: list = []
    panel.harder.click()
    assert (asked[0].matcher, asked[0].until) == ("quality", "cameras")
    window.model.work.phase = "idle"
    panel.leave_out.click()
    assert [photo.path.name for photo in window.model.used_photos] == ["a.jpg", "b.PNG"]
    assert panel.failed.isHidden()
    assert panel.list.item(2).text() == "c.jpg\nleft out"
    assert not panel.next.isHidden()  # those that stay have their cameras
    assert panel.find_button.isHidden()
    assert "2 placed" in window.steps.buttons["cameras"].subtitle
    panel.take_in.click()
    assert len(window.model.used_photos) == 3
    assert not panel.failed.isHidden()
    panel.go_on.click()
    assert window.step == "build"
    window.go_to("cameras")
    window.model.remove([photos / "a.jpg"])
    window.model.restore([photos / "c.jpg"])
    assert panel.next.isHidden()
    assert not panel.find_button.isHidden()


def test_the_photo_kept_aside_is_one_that_has_a_camera(
    window: MainWindow, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.zeros((600, 800, 3), np.uint8)).save(photos / "d.jpg")
    seen = [PhotoReport(name, name != "c.jpg") for name in ("a.jpg", "b.PNG", "c.jpg", "d.jpg")]
    _write_project(tmp_path / "out", photos, Report("partial", "standard", 0, photos=tuple(seen)))
    window.open_project(tmp_path / "out")
    asked: list = []
    monkeypatch.setattr(window.model.run, "start", asked.append)
    window.build_panel.holdout.click()
    window.build_panel.build.click()
    assert asked[0].holdout == ("b.PNG",)
    assert asked[0].arguments()[-2:] == ["--holdout", "b.PNG"]


def test_every_control_has_a_name_and_a_tip(window: MainWindow, photos: Path) -> None:
    window.add_photos([photos])
    window.save_panel.load_formats()
    nameless = [
        control.objectName() or type(control).__name__
        for kind in (QAbstractButton, QComboBox, QSlider, QLineEdit)
        for control in window.findChildren(kind)
        if not control.objectName().startswith("qt_")
        and not (control.accessibleName() or getattr(control, "text", str)())
    ]
    assert nameless == []
    tipless = [
        button.text() for button in window.findChildren(QAbstractButton) if button.text() and not button.toolTip()
    ]
    assert tipless == []


def test_a_project_is_among_the_recent_ones_and_window_state_is_kept(
    window: MainWindow, photos: Path, tmp_path: Path
) -> None:
    _write_project(tmp_path / "out", photos, Report("complete", "standard", 0))
    window.open_project(tmp_path / "out")
    window.resize(1100, 700)
    window.close()
    again = make_window(tmp_path)
    assert again.settings.recent == [tmp_path / "out"]
    assert (again.width(), again.height()) == (1100, 700)
    again.close()


def test_a_dropped_mesh_is_looked_at_without_a_project(window: MainWindow, tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.stl")
    _drop(window, tmp_path / "box.stl")
    wait_until(lambda: "mesh" in window.view.viewport.modes)
    assert window.view.mode.currentText() == "Mesh"
    assert window.center.currentWidget() is window.view
    assert window.model.folder is None


def test_a_run_is_not_left_for_another_project(
    window: MainWindow, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.add_photos([photos])
    replace_child(window.model.run, monkeypatch, [], "time.sleep(60)")
    window.build()
    window.new_project()
    assert "under way" in _notice(window)
    assert len(window.model.photos) == 3
    window.model.stop()
    wait_until(lambda: window.model.phase == "idle")
