"""The 3D view in the window: photos to click and to compare with, pictures, films, and the mesh made anew."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

try:
    from PyQt6.QtCore import QPoint, Qt
    from PyQt6.QtGui import QColor, QGuiApplication, QImage, QPalette
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import (
        QAbstractButton,
        QAbstractSpinBox,
        QApplication,
        QComboBox,
        QFileDialog,
        QLineEdit,
        QSlider,
        QWidget,
    )

    from app.viewport_picking import pick_photo
    from app.window import MainWindow
    from tests.app.waiting import wait_until
    from tests.app.windows import make_window, replace_child
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from recon.report import PhotoReport, Report, StageReport, write_report
from splatting.formats.ply import read_ply
from tests.recon.test_align_project import run

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
HALF = {"event": "progress", "stage": "splats", "stage_fraction": 0.5, "overall": 0.5, "elapsed_s": 1.0, "eta_s": 1.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        out = tmp_path_factory.mktemp("window_view") / "table"
        run(out)
        placed = tuple(PhotoReport(f"{i}.png", True, confidence=0.9) for i in range(3))
        stages = (StageReport("splats", 3.0, 6.0, 900.0),)
        write_report(Report("complete", "draft", 0, photos=placed, stages=stages), out)
        yield out


@pytest.fixture
def window(application: object, finished: Path, tmp_path: Path) -> Iterator[MainWindow]:
    """A window on a finished project."""
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("no OpenGL without a display: install Xvfb")
    made = make_window(tmp_path, Path(shutil.copytree(finished, tmp_path / "table")))
    made.show()
    wait_until(lambda: "mesh" in made.view.viewport.modes and bool(made.view.viewport.photos))
    yield made
    made.close()
    wait_until(lambda: not made.isVisible())


def _choose_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: (str(path), "")))


def _click_a_photo(window: MainWindow) -> str:
    viewport = window.view.viewport
    middles = [
        photo.camera.unproject(photo.camera.K[None, :2, 2], np.array([viewport.photo_depth]))[0]
        for photo in viewport.photos
    ]
    for x, y in viewport._camera().project(np.array(middles))[0].round():
        name = pick_photo(viewport.photos, viewport.photo_depth, viewport._camera(), (x, y))
        if name is not None and viewport.rect().contains(QPoint(int(x), int(y))):
            QTest.mouseClick(viewport, LEFT, NONE, QPoint(int(x), int(y)))
            return name
    raise AssertionError("no photo is in the view")


def test_a_click_on_a_photo_looks_through_it_and_escape_leaves_it(window: MainWindow) -> None:
    view = window.view
    window.go_to("cameras")
    name = _click_a_photo(window)
    wait_until(lambda: view.viewport.photo == name)
    assert window.camera_panel.selected_names() == [name]
    assert view.comparison.isVisible()
    assert name in view.comparison.name.text()
    view.compare.setFocus()
    QTest.keyClick(view.compare, Qt.Key.Key_End)
    assert view.viewport._wipe == (1.0, 1.0)
    QTest.keyClick(view.viewport, Qt.Key.Key_Escape)
    assert view.viewport.photo is None
    assert view.comparison.isHidden()


def test_photo_and_render_stand_side_by_side(window: MainWindow) -> None:
    view = window.view
    window.go_to("cameras")
    name = _click_a_photo(window)
    wait_until(lambda: view.viewport.photo == name and not view.viewport.navigation.is_under_way)
    view.comparison.beside.setFocus()
    QTest.keyClick(view.comparison.beside, Qt.Key.Key_Space)
    wait_until(lambda: view.pane.isVisible() and view.pane.width() > 100)
    photo = next(photo for photo in view._photos if photo.name == name)
    assert (view.pane.picture.width(), view.pane.picture.height()) == (photo.camera.width, photo.camera.height)
    assert view.viewport.photo == name
    assert abs(view.pane.width() - view.viewport.width()) <= 1
    view.comparison.leave.click()
    assert view.pane.isHidden()


def test_a_picture_of_the_view_is_saved(window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _choose_file(monkeypatch, tmp_path / "view.png")
    window.view.tools.picture.click()
    saved = QImage(str(tmp_path / "view.png"))
    assert (saved.width(), saved.height()) == (window.view.viewport.width(), window.view.viewport.height())


def test_a_film_is_asked_of_the_command_line_and_can_be_stopped(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _choose_file(monkeypatch, tmp_path / "round")
    events = [{**HALF, "message": "Rendering frames"}]
    asked = replace_child(window.model.run, monkeypatch, events, "time.sleep(60)")
    window.view.tools.film.click()
    assert asked[0][3:] == ["render", str(window.model.folder), "--turntable", str(tmp_path / "round.mp4"),
                            "--progress", "jsonl"]  # fmt: skip
    wait_until(lambda: window.strip.bar.share == 0.5)
    assert window.strip.word.text() == "Making the film"
    assert window.strip.stop.text() == "S&top"
    assert not window.view.tools.film.isEnabled()
    assert not window.build_panel.build.isEnabled()
    assert window.build_panel.marks["splats"].text() == "✓"
    window.strip.stop.click()
    wait_until(lambda: window.model.phase == "idle")
    assert window.notice.isHidden()
    assert window.view.tools.film.isEnabled()


def test_what_the_command_line_refuses_is_told_in_its_words(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _choose_file(monkeypatch, tmp_path / "round.mp4")
    told = "print('WARNING a library', 'Error: No film today.', 'Hint: Try tomorrow.', sep='\\n', file=sys.stderr)"
    replace_child(window.model.run, monkeypatch, [], f"{told}; sys.exit(2)")
    window.view.tools.film.click()
    wait_until(lambda: window.model.phase == "idle")
    assert (window.notice.message.text(), window.notice.hint.text()) == ("No film today.", "Try tomorrow.")


def test_a_film_is_really_made_and_told(window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _choose_file(monkeypatch, tmp_path / "round.mp4")
    window.view.tools.film.click()
    wait_until(lambda: window.model.phase == "idle")
    assert window.notice.message.text() == "The film is saved."
    assert window.notice.hint.text() == str(tmp_path / "round.mp4")
    assert (tmp_path / "round.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_mesh_is_made_anew_from_what_cleaning_left(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cleaning = window.model.folder, window.cleaning
    count = len(read_ply(folder / "splats.ply"))
    window.go_to("clean")
    wait_until(lambda: cleaning.model.scene is not None and not cleaning.model.busy_with)
    cleaning.model.selection[:10] = True
    cleaning.model.delete()
    asked = replace_child(window.model.run, monkeypatch, [{**HALF, "stage": "mesh", "message": "fusing"}], "")
    cleaning.panel.mesh.click()
    wait_until(lambda: bool(asked))
    assert asked[0][3:] == ["clean", str(folder), "--mesh", "--progress", "jsonl"]
    assert len(read_ply(folder / "splats.ply")) == count - 10
    assert window.step == "build"
    wait_until(lambda: window.model.phase == "idle")
    assert window.view.viewport.mode == "mesh"
    assert not cleaning.model.has_unsaved
    window.go_to("clean")
    wait_until(lambda: cleaning.model.scene is not None and not cleaning.model.busy_with)
    cleaning.model.selection[20:30] = True
    cleaning.model.delete()
    cleaning.panel.save.click()
    wait_until(lambda: cleaning.panel.state.text().endswith("Saved."))
    assert len(asked) == 1


@pytest.mark.parametrize("step", ["cameras", "build", "clean", "save"])
def test_every_control_that_can_be_used_is_reached_by_tab(window: MainWindow, step: str) -> None:
    window.go_to(step)
    if step == "clean":
        wait_until(lambda: window.cleaning.model.scene is not None and not window.cleaning.model.busy_with)
    wait_until(lambda: step != "save" or bool(window.save_panel._group.buttons()))
    window.activateWindow()
    reached: set[int] = set()
    for _ in range(200):
        window.focusNextChild()
        focus = window.focusWidget()
        if focus is not None:
            reached.add(id(focus))
            group = focus.group() if isinstance(focus, QAbstractButton) else None
            reached |= {id(each) for each in group.buttons()} if group is not None else set()  # by the arrow keys
    kinds = (QAbstractButton, QComboBox, QSlider, QLineEdit, QAbstractSpinBox)
    unreached = [
        control.accessibleName() or getattr(control, "text", str)()
        for kind in kinds
        for control in window.findChildren(kind)
        if control.isVisible() and control.isEnabled() and id(control) not in reached
        and not control.objectName().startswith("qt_")
    ]  # fmt: skip
    assert unreached == []
    assert len(reached) > 10


def test_what_will_be_saved_is_what_is_shown(window: MainWindow) -> None:
    viewport = window.view.viewport
    window.view._choose_mode("depth")
    window.go_to("save")
    wait_until(lambda: bool(window.save_panel._group.buttons()))
    choices = {made.text(): made for made in window.save_panel._group.buttons()}
    assert viewport.mode == "depth"  # the web page holds splats, and that is one way to look at them
    choices["3D print"].click()
    assert viewport.mode == "mesh"
    choices["Other splat tools"].click()
    assert viewport.mode == "depth"
    choices["Blender or a game engine"].click()
    window.go_to("build")
    assert viewport.mode == "depth"


def test_a_change_of_the_palette_reaches_every_part_of_the_window(window: MainWindow) -> None:
    before = QApplication.palette()
    window.go_to("save")
    try:
        QApplication.setPalette(QPalette(QColor("#31353d"), QColor("#23262c")))
        places = [window.steps.footer, window.strip, window.save_panel]
        wait_until(lambda: {_ground(window, place) for place in places} == {"#23262c"})
    finally:
        QApplication.setPalette(before)
    wait_until(lambda: _ground(window, window.strip) == before.color(QPalette.ColorRole.Window).name())


def _ground(window: MainWindow, part: QWidget) -> str:
    """The colour at the lower right of a part."""
    at = part.mapTo(window, part.rect().bottomRight() - QPoint(3, 3))
    return window.grab().toImage().pixelColor(at * window.devicePixelRatioF()).name()
