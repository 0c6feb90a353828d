"""The 3D view with its tools; the one place that knows what the viewport wants of a project."""

from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.project_model import ProjectModel
from app.project_notice import Notice
from app.scene_loading import Rgb, SceneParts, load_parts, load_preview
from app.viewport import Viewport
from app.viewport_worker import LatestWorker
from app.window_parts import button, label
from app.window_style import confidence_colour, is_dark
from recon.errors import ReconError

MODE_TITLES = {
    "splats": "Splats",
    "points": "Points",
    "ellipsoids": "Ellipsoids",
    "rings": "Rings",
    "depth": "Depth",
    "normals": "Normals",
    "mesh": "Mesh",
    "mesh_shape": "Mesh, shape only",
    "wireframe": "Mesh, wireframe",
}
KEYS = (
    "Drag turns, Shift+drag moves, the wheel zooms; W A S D Q E fly, F frames all, R resets, 1 to 6 are standard "
    "views, a click on a photo looks through it, Esc leaves it."
)
IN_VIEW = 0.8  # of the sphere around the cameras: they rarely stand above each other
LIGHT_GROUND, DARK_GROUND = (0.93, 0.94, 0.95), (0.11, 0.12, 0.14)


class _Mailbox(QObject):
    delivered = pyqtSignal(str, object)

    def put(self, name: str, result: object) -> None:
        self.delivered.emit(name, result)


class SceneView(QWidget):
    """Shows what is there of the project that is open, as soon as it is; `photo_picked` tells a name."""

    photo_picked = pyqtSignal(str)

    def __init__(self, model: ProjectModel) -> None:
        super().__init__()
        self._model = model
        self._photos: tuple[Any, ...] = ()
        self._is_mode_chosen = self._has_framed = False
        self._project = 0  # what was asked for before another project was opened is not shown
        self.viewport = Viewport()
        self.viewport.setAccessibleName("3D view")
        self.viewport.setToolTip("")
        self.nothing = label("", "faint")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.nothing)
        self.stack.addWidget(self.viewport)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._tools())
        layout.addWidget(self.stack, 1)
        mailbox = _Mailbox()
        mailbox.delivered.connect(self._receive)
        self._worker = LatestWorker(mailbox.put, "scene loading")
        self.destroyed.connect(self._worker.stop)
        self.viewport.shown.connect(self._receive_shown)
        self.viewport.mode_changed.connect(lambda _: self._show_tools())
        self.viewport.view_changed.connect(self._show_comparison)
        self.viewport.photo_picked.connect(self.photo_picked)
        self.viewport.photo_picked.connect(lambda _: self._show_comparison())
        self.viewport.failed.connect(lambda message, hint: model.noticed.emit(Notice(message, hint)))
        model.opened.connect(self._clear)
        model.result_written.connect(self.load)
        model.previewed.connect(self._load_preview)
        model.report_changed.connect(self._colour_photos)
        model.run_changed.connect(self._show_nothing)
        self.match_theme()
        self._clear()

    def load(self, what: str) -> None:
        """Read a part of the project, or all of it, in a worker, and show it."""
        folder = self._model.folder
        if folder is not None:
            colours = self._colours()
            self._worker.request(f"{self._project} {what}", lambda: load_parts(folder, what, colours))

    def open_file(self, path: Path) -> None:
        """Show a file of splats or a mesh; what goes wrong is noticed."""
        self.viewport.open_file(path)
        self.stack.setCurrentWidget(self.viewport)

    def look_through(self, name: str) -> None:
        """Go where a photo was taken."""
        if any(photo.name == name for photo in self._photos):
            self.viewport.look_through(name)
            self._show_comparison()

    def match_theme(self) -> None:
        """Take the background that suits the palette."""
        self.viewport.set_background(DARK_GROUND if is_dark(self.palette()) else LIGHT_GROUND)

    def _tools(self) -> QHBoxLayout:
        self.mode = QComboBox()
        self.mode.setAccessibleName("Show the scene as")
        self.mode.setToolTip("What to show the scene as")
        self.mode.activated.connect(self._choose_mode)
        self.frames = QCheckBox("P&hotos in 3D")
        self.frames.setChecked(True)
        self.frames.setToolTip("Show where the photos were taken; the colour tells how sure that is")
        self.frames.toggled.connect(self._show_photos)
        self.ground = QCheckBox("&Grid")
        self.ground.setToolTip("Show a grid on the ground and the axes")
        self.ground.toggled.connect(self.viewport.set_ground)
        self.all = button("Show a&ll", self.viewport.frame_all, tip="Go where all is seen (F)")
        self.picture = button("P&icture …", self._save_picture, tip="Save what is shown as a picture")
        self.compare = QSlider(Qt.Orientation.Horizontal)
        self.compare.setRange(0, 100)
        self.compare.setMaximumWidth(160)
        self.compare.setAccessibleName("How much of the photo covers the scene")
        self.compare.setToolTip("Draw the photo over the scene, to compare; Esc leaves the photo")
        self.compare.valueChanged.connect(lambda value: self.viewport.set_comparison(value / 100))
        self.compare_label = label("Photo over scene", "faint")
        self.compare_label.setWordWrap(False)
        self.help = button("?", lambda: None, tip=KEYS)
        self.help.setAccessibleName("Keys of the 3D view")
        self.help.clicked.connect(lambda: self._model.noticed.emit(Notice("The 3D view", KEYS, is_error=False)))
        tools = QHBoxLayout()
        tools.setContentsMargins(8, 6, 8, 6)
        tools.setSpacing(12)
        for part in (self.mode, self.frames, self.ground, self.all, self.picture):
            tools.addWidget(part)
        tools.addStretch(1)
        for last in (self.compare_label, self.compare, self.help):
            tools.addWidget(last)
        return tools

    def _choose_mode(self) -> None:
        self._is_mode_chosen = True
        self.viewport.set_mode(self.mode.currentData())

    def _receive_shown(self, what: str) -> None:
        """What is better than the points before is shown, unless the user wants it otherwise."""
        if what == "splats" and not self._is_mode_chosen:
            self.viewport.set_mode("splats")
        if what == "points" and not self._has_framed and self._photos:
            self._has_framed = True
            self._frame_cameras()
        self._show_tools()

    def _frame_cameras(self) -> None:
        """Step back until all cameras are seen."""
        centers = np.array([photo.camera.center for photo in self._photos])
        middle = self.viewport.view.pivot
        radius = IN_VIEW * float(np.linalg.norm(centers - middle, axis=1).max())
        view = self.viewport.view.framing(middle, radius, self.width() / max(self.height(), 1))
        self.viewport.set_view(view, smoothly=True)

    def _clear(self) -> None:
        self._project += 1
        self._is_mode_chosen = self._has_framed = False
        self._photos = ()
        self.viewport.clear()
        self.stack.setCurrentWidget(self.nothing)
        self._show_tools()
        self._show_nothing()

    def _receive(self, name: str, result: Any) -> None:
        if int(name.split(" ")[0]) != self._project:
            return
        if isinstance(result, ReconError):
            self._model.noticed.emit(Notice(result.message, result.hint))
        elif isinstance(result, OSError):
            return  # the preview was replaced while it was read, or the fit is over
        elif isinstance(result, Exception):
            raise result
        else:
            self._show(result)

    def _show(self, parts: SceneParts) -> None:
        if parts.photos is not None:
            self._photos = parts.photos
            self._show_photos()
        if parts.gaussians is not None:
            self.viewport.set_gaussians(parts.gaussians)
        elif parts.points is not None:
            self.viewport.set_points(*parts.points)
        if parts.mesh is not None:
            self.viewport.set_mesh(parts.mesh)
        if any(part is not None for part in (parts.gaussians, parts.points, parts.mesh)):
            self.stack.setCurrentWidget(self.viewport)
        self._show_tools()

    def _load_preview(self, path: Path) -> None:
        self._worker.request(f"{self._project} preview", lambda: load_preview(path))

    def _show_photos(self) -> None:
        through = self.viewport.photo
        self.viewport.set_photos(self._photos if self.frames.isChecked() else ())
        if through is not None and self.frames.isChecked():
            self.look_through(through)

    def _colours(self) -> dict[str, Rgb]:
        photos = self._model.report.photos if self._model.report else ()
        colours = {photo.name: confidence_colour(photo.confidence, photo.placed is True) for photo in photos}
        return {name: (colour.redF(), colour.greenF(), colour.blueF()) for name, colour in colours.items()}

    def _colour_photos(self) -> None:
        """The report comes when the run is over; the frames stand there before."""
        if self._photos and self._model.phase == "idle":
            self.load("cameras" if not self._model.has_scene else "")

    def _show_tools(self) -> None:
        modes = self.viewport.modes
        if [self.mode.itemData(index) for index in range(self.mode.count())] != list(modes):
            self.mode.clear()
            for mode in modes:
                self.mode.addItem(MODE_TITLES[mode], mode)
        self.mode.setCurrentIndex(self.mode.findData(self.viewport.mode))
        is_something = bool(modes)
        for tool in (self.mode, self.ground, self.all, self.picture):
            tool.setEnabled(is_something)
        self.frames.setEnabled(bool(self._photos))
        self._show_comparison()

    def _show_comparison(self) -> None:
        is_through = self.viewport.photo is not None
        self.compare.setVisible(is_through)
        self.compare_label.setVisible(is_through)

    def _show_nothing(self) -> None:
        model = self._model
        if model.phase == "idle":
            self.nothing.setText("Nothing to see in 3D yet. Find the cameras, or build.")
        else:
            self.nothing.setText("The scene appears here as soon as the cameras are found.")

    def _save_picture(self) -> None:
        folder = self._model.folder
        proposed = "" if folder is None else str(folder.parent / f"{folder.name}.png")
        name, _ = QFileDialog.getSaveFileName(self, "Save a picture", proposed, "Pictures (*.png *.jpg)")
        if name and not self.viewport.screenshot().save(name):
            self._model.noticed.emit(Notice(f"{Path(name).name} cannot be written.", "Choose another place."))
