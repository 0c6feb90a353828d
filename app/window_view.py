"""The 3D view with its tools; the one place that knows what the viewport wants of a project."""

from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.project_model import ProjectModel
from app.project_notice import Notice
from app.scene_loading import Rgb, SceneParts, load_parts, load_preview
from app.viewport import Viewport
from app.viewport_data import MESH_MODES, Mode
from app.viewport_worker import LatestWorker
from app.window_parts import label
from app.window_photo_pane import PhotoPane
from app.window_style import confidence_colour, is_dark
from app.window_view_tools import KEYS, CompareTools, ViewTools
from recon.errors import ReconError

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
        self._mode_before: Mode | None = None  # while what will be saved is shown
        self._project = 0  # what was asked for before another project was opened is not shown
        self.viewport = Viewport()
        self.viewport.setAccessibleName("3D view")
        self.viewport.setToolTip("")
        self.nothing = label("", "faint")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.nothing)
        self.stack.addWidget(self.viewport)
        self.tools, self.comparison, self.pane = ViewTools(), CompareTools(), PhotoPane("The photo")
        self.mode, self.frames, self.compare = self.tools.mode, self.tools.frames, self.comparison.compare
        self._lay_out()
        self._connect_tools()
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
        model.run_changed.connect(self._show_tools)
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

    def show_mesh(self) -> None:
        """Show the mesh in place of the splats."""
        if "mesh" in self.viewport.modes:
            self._choose_mode("mesh")

    def show_saved(self, is_mesh: bool) -> None:
        """Show the mesh or the splats, whichever will be saved; `show_as_before` takes that back."""
        before = self._mode_before or self.viewport.mode
        wanted = before if (before in MESH_MODES) == is_mesh else "mesh" if is_mesh else "splats"
        if wanted in self.viewport.modes:
            self._mode_before = before
            self.viewport.set_mode(wanted)

    def show_as_before(self) -> None:
        """Show again what was shown before it was the turn of what will be saved."""
        before, self._mode_before = self._mode_before, None
        if before in self.viewport.modes:
            self.viewport.set_mode(before)

    def match_theme(self) -> None:
        """Take the background that suits the palette."""
        self.viewport.set_background(DARK_GROUND if is_dark(QApplication.palette()) else LIGHT_GROUND)

    def _lay_out(self) -> None:
        both = QHBoxLayout()
        both.setSpacing(2)
        self.pane.hide()
        both.addWidget(self.pane, 1)
        both.addWidget(self.stack, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tools)
        layout.addLayout(both, 1)
        layout.addWidget(self.comparison)

    def _connect_tools(self) -> None:
        tools, comparison, viewport = self.tools, self.comparison, self.viewport
        tools.mode_chosen.connect(self._choose_mode)
        tools.frames.toggled.connect(self._show_photos)
        tools.ground.toggled.connect(viewport.set_ground)
        tools.all_wanted.connect(viewport.frame_all)
        tools.picture_wanted.connect(self.save_picture)
        tools.film_wanted.connect(self.save_film)
        tools.keys_wanted.connect(lambda: self._model.noticed.emit(Notice("The 3D view", KEYS, is_error=False)))
        comparison.shared.connect(viewport.set_comparison)
        comparison.beside_wanted.connect(lambda _: self._show_comparison())
        comparison.left.connect(lambda: viewport.set_view(viewport.view))

    def _choose_mode(self, mode: Any) -> None:
        self._is_mode_chosen, self._mode_before = True, None
        self.viewport.set_mode(mode)

    def _receive_shown(self, what: str) -> None:
        """What is better than the points before is shown, unless the user wants it otherwise."""
        if what == "splats" and not self._is_mode_chosen:
            self.viewport.set_mode("splats")
        if what == "points" and not self._has_framed and self._photos:
            self._has_framed = True
            self.viewport.frame_photos()
        self._show_tools()

    def _clear(self) -> None:
        self._project += 1
        self._is_mode_chosen = self._has_framed = False
        self._mode_before = None
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
        self.tools.show_modes(self.viewport.modes, self.viewport.mode)
        self.tools.setVisible(bool(self.viewport.modes))
        self.frames.setEnabled(bool(self._photos))
        self.tools.film.setEnabled(self._model.has_scene and self._model.phase == "idle")
        self._show_comparison()

    def _show_comparison(self) -> None:
        name = self.viewport.photo
        self.comparison.show_photo(name)
        is_beside = name is not None and self.comparison.beside.isChecked()
        if is_beside:
            self.pane.show_rgb(next(photo.rgb for photo in self._photos if photo.name == name))
        self.pane.setVisible(is_beside)

    def _show_nothing(self) -> None:
        model = self._model
        if model.phase == "idle":
            self.nothing.setText("Nothing to see in 3D yet. Find the cameras, or build.")
        else:
            self.nothing.setText("The scene appears here as soon as the cameras are found.")

    def save_picture(self) -> None:
        """Ask for a file and write what is shown to it."""
        name = self._ask("Save a picture", ".png", "Pictures (*.png *.jpg)")
        if name and not self.viewport.screenshot().save(name):
            self._model.noticed.emit(Notice(f"{Path(name).name} cannot be written.", "Choose another place."))

    def save_film(self) -> None:
        """Ask for a file and have a film around the scene written to it."""
        name = self._ask("Save a film", ".mp4", "Films (*.mp4)")
        if name:
            path = Path(name)
            is_named = path.suffix.lower() == ".mp4"  # else the dialog asked about another file
            self._model.make_film(path if is_named else path.with_name(path.name + ".mp4"), may_replace=is_named)

    def _ask(self, title: str, suffix: str, kinds: str) -> str:
        folder = self._model.folder
        proposed = "" if folder is None else str(folder.parent / f"{folder.name}{suffix}")
        return QFileDialog.getSaveFileName(self, title, proposed, kinds)[0]
