"""The Clean step on a real view: select, delete, undo, crop, click, save."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

try:
    from PyQt6.QtCore import QPoint, Qt
    from PyQt6.QtGui import QGuiApplication
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

    from app.project_model import ProjectModel
    from app.viewport import Viewport
    from app.window import MainWindow
    from app.window_clean_model import CleanModel
    from app.window_clean_panel import CleanPanel
    from app.window_settings import WindowSettings
    from app.window_tasks import Tasks
    from tests.app.waiting import wait_until
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

from recon.clean_project import open_clean_scene
from recon.next_photo import NextPhoto
from splatting.coverage import SELECTED_RGB
from splatting.formats.ply import read_ply
from splatting.spherical_harmonics import rgb_from_sh
from tests.recon.test_align_project import N, run

SIZE = 240  # of the view, px
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CONTROL, LEFT = Qt.KeyboardModifier.ControlModifier, Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        out = tmp_path_factory.mktemp("window_clean") / "table"
        run(out)
        yield out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "table"))


@pytest.fixture
def panel(application: object, out: Path) -> Iterator[CleanPanel]:
    """The panel beside a view, with a project opened in both."""
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("no OpenGL without a display: install Xvfb")
    both, viewport, model = QWidget(), Viewport(), CleanModel()
    made = CleanPanel(model, viewport)
    viewport.setFixedSize(SIZE, SIZE)
    layout = QHBoxLayout(both)
    layout.addWidget(viewport)
    layout.addWidget(made)
    both.show()
    both.activateWindow()
    _wait_for(viewport.shown, lambda: model.open(out))  # the view has found its place then
    yield made
    both.close()
    both.deleteLater()


def _wait_for(signal: object, action: Callable[[], object]) -> tuple:
    got: list[tuple] = []
    signal.connect(lambda *values: got.append(values))  # type: ignore[attr-defined]
    action()
    wait_until(lambda: bool(got))
    return got[-1]


def _draw(panel: CleanPanel, points: list[tuple[int, int]], modifiers: Qt.KeyboardModifier = NONE) -> None:
    """Drag along points; (0, 0) would be the middle for Qt."""
    overlay = panel.overlay
    QTest.mousePress(overlay, LEFT, modifiers, QPoint(*points[0]))
    for point in points[1:]:
        QTest.mouseMove(overlay, QPoint(*point))
    QTest.mouseRelease(overlay, LEFT, modifiers, QPoint(*points[-1]))


def test_the_slider_shows_a_selection_and_deletes_nothing(panel: CleanPanel) -> None:
    model = panel.model
    (shown,) = _wait_for(model.shown, lambda: panel.strength.setValue(100))
    is_orange = np.abs(rgb_from_sh(shown.sh[:, 0]).numpy() - SELECTED_RGB).max(axis=1) < 1e-5
    assert 0 < model.num_selected < N
    assert (is_orange == model.selection).all()
    assert len(shown) == model.num_left == N
    assert f"{model.num_selected:,} of {N:,} selected" in panel.selected.text()
    panel.strength.setValue(0)
    assert model.num_selected == 0
    assert not panel.delete.isEnabled()


def test_a_rectangle_selects_what_it_encloses_and_keys_combine(panel: CleanPanel) -> None:
    model = panel.model
    assert panel.overlay.isHidden()
    panel.choose_tool("box")
    assert panel.overlay.size() == panel._viewport.size()
    pixels, depth = panel._camera().project(model.scene.gaussians.means.double().numpy())  # type: ignore[union-attr]
    in_front = depth > 0
    middle = int(np.median(pixels[in_front, 0]))
    is_left = in_front & (pixels > 1).all(axis=1) & (pixels[:, 0] < middle) & (pixels[:, 1] < SIZE - 1)
    _draw(panel, [(1, 1), (middle, SIZE - 1)])
    assert (model.selection == is_left).all()
    assert is_left.any()
    _draw(panel, [(middle, 1), (SIZE - 1, SIZE - 1)], SHIFT)
    assert model.num_selected > is_left.sum()
    _draw(panel, [(1, 1), (middle, SIZE - 1)], CONTROL)
    assert not (model.selection & is_left).any()
    QTest.keyClick(panel.overlay, Qt.Key.Key_Escape)
    assert panel.overlay.isHidden()
    assert panel.tools[None].isChecked()


def test_a_lasso_and_a_brush_select_where_they_were(panel: CleanPanel) -> None:
    model = panel.model
    pixels, depth = panel._camera().project(model.scene.gaussians.means.double().numpy())  # type: ignore[union-attr]
    at = pixels[np.argmin(np.abs(pixels - SIZE / 2).sum(axis=1) + 1e9 * (depth <= 0))]
    x, y = int(at[0]), int(at[1])
    panel.choose_tool("lasso")
    _draw(panel, [(x - 30, y - 20), (x + 30, y - 20), (x + 30, y + 20), (x - 30, y + 20)])
    near = model.selection.copy()
    assert near.any()
    assert np.abs(pixels[near] - [x, y]).max() <= 31
    panel.choose_tool("brush")
    _draw(panel, [(x, y), (x + 8, y)])
    assert model.selection.any()
    panel.choose_tool(None)
    assert np.linalg.norm(pixels[model.selection] - [x + 4, y], axis=1).max() < 4 * panel.overlay.radius_px


def test_deleting_can_be_undone_redone_and_saved(panel: CleanPanel, out: Path) -> None:
    model = panel.model
    before = (out / "splats.ply").read_bytes()
    panel.box_shown.setChecked(True)
    middle = float(np.median(model.scene.gaussians.means[:, 0].numpy()))  # type: ignore[union-attr]
    panel.corners[3].setValue(middle)
    panel.corners[0].setValue(-99)
    for corner, value in ((1, -99), (2, -99), (4, 99), (5, 99)):
        panel.corners[corner].setValue(value)
    panel.outside.click()
    count = model.num_selected
    assert 0.3 * N < count < 0.7 * N
    QTest.keyClick(panel, Qt.Key.Key_Delete)
    assert model.num_left == N - count
    QTest.keyClick(panel, Qt.Key.Key_Z, CONTROL)
    assert model.num_left == N
    assert not panel.save.isEnabled()
    QTest.keyClick(panel, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert model.num_left == N - count
    assert (out / "splats.ply").read_bytes() == before
    (folder,) = _wait_for(model.saved, panel.save.click)
    assert folder == out
    assert len(read_ply(out / "splats.ply")) == N - count
    assert len(open_clean_scene(out).history) == 1
    wait_until(lambda: panel.state.text().endswith("Saved."))


def test_three_clicks_turn_the_scene_and_two_give_it_a_length(panel: CleanPanel, out: Path) -> None:
    model = panel.model
    scene = model.scene
    assert scene is not None
    views = [camera.center for camera in scene.cameras]
    panel.up.click()
    assert "3 more points" in panel.picked.text()
    table = [scene.frame.R @ np.array(p) + scene.frame.t for p in ([0, -0.5, 0], [0.5, -0.46, 0.1], [0.2, -0.484, 0.6])]
    panel._viewport.point_picked.emit(table[0])
    panel._viewport.point_picked.emit(table[1])
    assert "1 more point " in panel.picked.text()
    (folder,) = _wait_for(model.moved, lambda: panel._viewport.point_picked.emit(table[2]))
    assert folder == out
    assert model.scene is not None
    assert model.scene is not scene
    up = model.scene.frame.R[1]
    assert up == pytest.approx(np.array([-0.08, 1, 0]) / np.hypot(0.08, 1), abs=1e-3)
    assert len(views) == 3
    panel.length.click()
    ends = [model.scene.frame.R @ np.array(p) + model.scene.frame.t for p in ([-0.3, -0.524, 0], [0.4, -0.468, 0])]
    for end in ends:
        panel._viewport.point_picked.emit(end)
    assert not panel.measured.isHidden()
    panel.measured.setText("1,4 m")
    _wait_for(model.moved, lambda: QTest.keyClick(panel.measured, Qt.Key.Key_Return))
    assert model.scene.frame.unit == "m"
    assert model.scene.frame.scale == pytest.approx(1.4 / np.hypot(0.7, 0.056), rel=0.05)


def test_wrong_clicks_are_told_and_change_nothing(panel: CleanPanel, out: Path) -> None:
    before = (out / "splats.ply").read_bytes()
    panel.up.click()

    def click() -> None:
        for x in range(3):
            panel._viewport.point_picked.emit(np.array([x, 0.0, 0.0]))

    _wait_for(panel.model.failed, click)
    assert "on a line" in panel.problem.text()
    assert (out / "splats.ply").read_bytes() == before
    assert panel.up.isEnabled()


def test_weak_places_are_coloured_and_the_next_photo_is_told(panel: CleanPanel) -> None:
    model = panel.model
    weak = panel.weak
    (shown,) = _wait_for(model.shown, lambda: weak.coverage.setChecked(True))
    assert shown.sh.shape[1] == 1
    camera = model.scene.cameras[0]  # type: ignore[union-attr]
    weak.model.suggestion = NextPhoto(camera, "0.png", "Take it from there", 0.3)
    weak.model.changed.emit()
    assert weak.suggestion.text() == "Take it from there."
    weak.go_there.click()
    wait_until(lambda: bool(np.allclose(panel._viewport.view.center, camera.center, atol=1e-6)))


@pytest.mark.weights
def test_the_heat_map_covers_the_view_that_rests_and_goes_when_it_moves(panel: CleanPanel) -> None:
    weak = panel.weak
    weak.coverage.setChecked(True)
    (picture,) = _wait_for(weak.model.checked, weak.unlike.click)
    assert not weak.coverage.isChecked()
    assert picture.shape == (SIZE, SIZE, 3)
    assert weak.overlay.isVisible()
    assert not weak.checking.isVisibleTo(weak)
    _wait_for(panel._viewport.view_changed, lambda: QTest.keyClick(panel._viewport, Qt.Key.Key_Left))
    assert not weak.overlay.isVisible()
    (other,) = _wait_for(weak.model.checked, lambda: None)
    assert np.abs(other.astype(int) - picture).mean() > 1
    weak.unlike.click()
    assert weak.overlay.isHidden()


def test_nothing_may_be_deleted_whole_and_every_button_says_what_it_does(panel: CleanPanel) -> None:
    panel.invert.click()
    panel.delete.click()
    assert "Nothing would be left" in panel.problem.text()
    assert panel.model.num_left == N
    assert all(button.toolTip() for button in panel.findChildren(QPushButton))


def test_a_folder_without_a_scene_is_told(application: object, tmp_path: Path) -> None:
    model = CleanModel()
    told = _wait_for(model.failed, lambda: model.open(tmp_path))
    assert "no project folder" in told[0]
    assert not model.busy_with


def test_the_window_writes_what_was_cleaned_when_its_step_is_left_or_it_is_closed(
    application: object, out: Path, tmp_path: Path
) -> None:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("no OpenGL without a display: install Xvfb")
    model = ProjectModel(tasks=Tasks(is_inline=True), home=tmp_path / "home")
    window = MainWindow(out, settings=WindowSettings(tmp_path / "settings.ini"), model=model)
    window.show()
    cleaning = window.cleaning.model
    count = len(read_ply(out / "splats.ply"))
    for number, leave in enumerate((lambda: window.go_to("save"), window.close), 1):
        window.go_to("clean")
        wait_until(lambda: cleaning.scene is not None and not cleaning.busy_with)
        cleaning.selection = np.arange(N) < 10 * number  # the first ten are out already the second time
        cleaning.delete()
        assert len(read_ply(out / "splats.ply")) == count - 10 * (number - 1)
        leave()
        wait_until(lambda: not cleaning.busy_with)
        assert len(read_ply(out / "splats.ply")) == count - 10 * number
    wait_until(lambda: not window.isVisible())
