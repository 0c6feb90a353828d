"""The desktop window: five steps on the left, photos or the scene in the middle, details on the right."""

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QEvent
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QPixmap
from PyQt6.QtWidgets import QMainWindow, QWidget

from app.file_kinds import SUFFIXES
from app.photo_inspection import inspect_photo
from app.project_files import is_project
from app.project_model import ProjectModel
from app.project_notice import Notice
from app.project_steps import STEPS, Step, describe_steps
from app.run_estimate import PRESET_WORK, pace_of
from app.viewport_painter import soon
from app.window_build_panel import BuildPanel
from app.window_camera_panel import CameraPanel
from app.window_choosing import choose_folder, choose_photos, choose_scene_file
from app.window_clean_step import CleanStep
from app.window_empty import SAMPLE_TITLES, EmptyPage, first_photo
from app.window_layout import HEIGHT, WIDTH, split, stacked, stacked_panels, whole
from app.window_menus import Menus
from app.window_notice import NoticeBar
from app.window_pair import PairView
from app.window_photo_panel import PhotoPanel
from app.window_photos import PhotoGrid
from app.window_pictures import to_pixmap
from app.window_save_panel import SavePanel
from app.window_settings import WindowSettings
from app.window_steps import StepList
from app.window_strip import RunStrip
from app.window_style import Colours, colours, style_sheet
from app.window_view import SceneView
from app.window_view_tools import KEYS
from recon.errors import ReconError
from recon.progress import STAGES

PALETTE_EVENTS = (QEvent.Type.ApplicationPaletteChange, QEvent.Type.PaletteChange)


class MainWindow(QMainWindow):
    """Puts the parts together and says which is shown; what there is to know lies in `model`."""

    def __init__(
        self,
        out: Path | None = None,
        *,
        settings: WindowSettings | None = None,
        model: ProjectModel | None = None,
    ) -> None:
        """A window on an empty project.

        Args:
            out: a project folder to open, or to build into.
            settings: what was remembered; those of the user if None.
            model: made if None.
        """
        super().__init__()
        self._colours: Colours | None = None
        self.setWindowTitle("Handful")
        self.resize(WIDTH, HEIGHT)
        self.setAcceptDrops(True)
        self.settings = settings or WindowSettings()
        self.model = model or ProjectModel(self)
        self.step: Step = "photos"
        self._make_parts()
        self._connect()
        self.menus = Menus(self)
        self._restore()
        self._match_theme()
        self.steps.choose(self.step)
        self._show()
        self.empty.show_recent(self.settings.recent)
        if out is not None:
            self._begin(out)

    def _make_parts(self) -> None:
        model = self.model
        self.steps, self.strip, self.notice = StepList(), RunStrip(model), NoticeBar()
        self.empty, self.grid, self.view, self.pair = EmptyPage(), PhotoGrid(), SceneView(model), PairView()
        self.photo_panel, self.camera_panel = PhotoPanel(model), CameraPanel(model)
        self.build_panel, self.save_panel = BuildPanel(model, self.settings.pace), SavePanel(model)
        self.cleaning = CleanStep(self.view)
        panels = (self.photo_panel, self.camera_panel, self.build_panel, self.cleaning.panel, self.save_panel)
        self.center = stacked((self.empty, self.grid, self.view, self.pair))
        self.details = stacked_panels(panels)
        self.splitter = split(self.notice, self.center, self.details)
        self.setCentralWidget(whole(self.steps, self.splitter, self.strip))

    def _connect(self) -> None:
        model = self.model
        for signal in (model.photos_changed, model.settings_changed, model.run_changed, model.report_changed):
            signal.connect(self._show)
        model.opened.connect(self._start_over)
        model.noticed.connect(self.notice.tell)
        model.ended.connect(self._after_run)
        self.steps.chosen.connect(self.go_to)
        self.empty.add_wanted.connect(self.choose_photos)
        self.empty.open_wanted.connect(self.choose_project)
        self.empty.sample_wanted.connect(lambda folder: self.add_photos([folder]))
        self.empty.project_wanted.connect(self.open_project)
        self.grid.remove_wanted.connect(model.remove)
        self.grid.toggle_wanted.connect(self._toggle)
        self.grid.chosen.connect(self.photo_panel.choose)
        self.photo_panel.add_wanted.connect(self.choose_photos)
        self.photo_panel.masks_toggled.connect(self.grid.show_masks)
        self.photo_panel.next_wanted.connect(self.find_cameras)
        self.camera_panel.photo_chosen.connect(self.view.look_through)
        self.camera_panel.selection_changed.connect(self._show_pair)
        self.camera_panel.next_wanted.connect(lambda: self.go_to("build"))
        self.view.photo_picked.connect(self.camera_panel.select)
        self.pair.failed.connect(self.notice.tell)
        self.build_panel.next_wanted.connect(lambda: self.go_to("save"))
        self.cleaning.panel.mesh_wanted.connect(self.remake_mesh)
        self.save_panel.format_chosen.connect(lambda chosen: self.view.show_saved(chosen.is_mesh))

    # What the user does

    def add_photos(self, paths: Sequence[Path]) -> None:
        """Take in photos and folders of photos; a project folder is opened instead."""
        if len(paths) == 1 and is_project(paths[0]):
            self.open_project(paths[0])
            return
        if len(paths) == 1 and paths[0].suffix.lower() in SUFFIXES:
            self.look_at(paths[0])
            return
        self.notice.hide()
        self.model.add_photos(paths)
        self.go_to("photos")

    def open_project(self, folder: Path) -> None:
        """Open a project folder and show what there is."""
        self.notice.hide()
        if not self._is_free():
            return
        try:
            self.model.open(folder)
        except ReconError as error:
            self.notice.tell(Notice(error.message, error.hint))
            return
        self.settings.remember(folder.absolute())
        self.go_to("build" if self.model.has_scene else "photos")

    def new_project(self) -> None:
        """Begin an empty project; what was open is kept."""
        self.notice.hide()
        if self._is_free():
            self.model.new()

    def look_at(self, file: Path) -> None:
        """Show a file of splats or a mesh, without a project."""
        self.notice.hide()
        if not self._is_free():
            return
        self.model.new()
        self.view.open_file(file)
        self.go_to("build")

    def choose_file(self) -> None:
        """Ask for a file of splats or a mesh, and show it."""
        if (file := choose_scene_file(self)) is not None:
            self.look_at(file)

    def choose_photos(self) -> None:
        """Ask for photos, and take them in."""
        if photos := choose_photos(self):
            self.add_photos(photos)

    def choose_photo_folder(self) -> None:
        """Ask for a folder of photos, and take them in."""
        if (folder := choose_folder(self, "Choose a folder of photos")) is not None:
            self.add_photos([folder])

    def choose_project(self) -> None:
        """Ask for a project folder, and open it."""
        if (folder := choose_folder(self, "Open a project folder")) is not None:
            self.open_project(folder)

    def find_cameras(self) -> None:
        """Run as far as the cameras and show them."""
        self.notice.hide()
        if self._has_cleaned():
            self.model.find_cameras()
            self.go_to("cameras")

    def build(self) -> None:
        """Run to the end and show it."""
        self.notice.hide()
        if self._has_cleaned():
            self.model.build()
            self.go_to("build")

    def remake_mesh(self) -> None:
        """Write what was cleaned away, then make the mesh anew from what is left, and show it."""
        self.notice.hide()
        if not self._is_free() or not self.cleaning.finish(then=self.remake_mesh):
            return
        if self._has_cleaned():
            self.go_to("build")
            self.model.remake_mesh()

    def save(self) -> None:
        """Go where saving is."""
        self.go_to("save")
        self.save_panel.save.setFocus()

    def go_to(self, step: str) -> None:
        """Show a step; what was cleaned away is written when its step is left."""
        before, self.step = self.step, next(known for known in STEPS if known == step)
        if self.step != "clean":
            self.cleaning.leave()
        elif before != "clean" and self.model.folder is not None and self.model.has_scene and self._is_free():
            self.cleaning.enter(self.model.folder)
        self.steps.choose(self.step)
        self.details.setCurrentIndex(STEPS.index(self.step))
        if self.step == "save":
            self.save_panel.load_formats()
        else:
            self.view.show_as_before()
        self._show()

    def tell_keys(self) -> None:
        """Say which keys there are."""
        own = "Ctrl+1 to 5: the steps. Ctrl+O: photos. Ctrl+K: cameras. Ctrl+B: build. Ctrl+P: pause. Ctrl+.: stop. "
        self.notice.tell(Notice("Keys", f"{own}Ctrl+S: save. Del, Space: leave a photo out. {KEYS}", is_error=False))

    def tell_about(self) -> None:
        """Say what this is."""
        from recon.version import program_version

        told = "Photos to cameras, Gaussian splats and a mesh, on this machine alone. GPL-3.0-or-later."
        self.notice.tell(Notice(f"Handful {program_version()}", told, is_error=False))

    # Inside

    def _is_free(self) -> bool:
        """Nothing is running; else say so."""
        if self.model.phase != "idle":
            self.notice.tell(Notice("A run is under way.", "Stop it first; what is finished is kept."))
        return self.model.phase == "idle"

    def _begin(self, out: Path) -> None:
        if is_project(out):
            self.open_project(out)
        else:
            self.model.set_folder(out)

    def _has_cleaned(self) -> bool:
        """The project's files are not being changed by cleaning; else say so."""
        if self.step == "clean":
            self.go_to("build")
        if self.cleaning.is_writing:
            self.notice.tell(Notice("What was cleaned away is being written.", "Try again in a moment."))
        return not self.cleaning.is_writing

    def _toggle(self, paths: list[Path]) -> None:
        removed = {photo.path for photo in self.model.photos if photo.is_removed}
        is_back = all(path in removed for path in paths)
        (self.model.restore if is_back else self.model.remove)(paths)

    def _start_over(self) -> None:
        self.cleaning.leave()
        self.grid.clear()
        self.empty.show_recent(self.settings.recent)
        self.go_to("photos")

    def _after_run(self, exit_code: int) -> None:
        model = self.model
        if model.folder is not None and exit_code in (0, 3, 130):
            self.settings.remember(model.folder)
        if exit_code in (0, 3) and model.work.job == "build":
            self._learn_pace()
        if exit_code == 0 and model.work.job == "mesh":
            self.view.show_mesh()

    def _learn_pace(self) -> None:
        """A whole build tells how fast this machine is."""
        model, report = self.model, self.model.report
        if report is None or model.matcher is not None or len(report.stages) < len(STAGES):
            return
        seconds = sum(stage.seconds for stage in report.stages)
        is_cpu = report.device is not None and report.device.name == "cpu"
        cpu_seconds = sum(stage.cpu_seconds for stage in report.stages) if is_cpu else None
        self.settings.set_pace(pace_of(len(model.used_photos), PRESET_WORK[model.preset], seconds, cpu_seconds))
        self.build_panel.pace = self.settings.pace
        model.run_changed.emit()

    def _show(self) -> None:
        self.steps.show_steps(describe_steps(self.model))
        self.grid.show_photos(self.model.photos)
        page: QWidget = self.view
        if self.step == "photos":
            page = self.grid if self.model.photos else self.empty
        elif self.step == "cameras" and self._pair_names() is not None:
            page = self.pair
        self.center.setCurrentWidget(page)
        self.details.setVisible(page is not self.empty)
        name = "" if self.model.folder is None else f"{self.model.folder.name}{'*' * self.model.is_unsaved} – "
        self.setWindowTitle(f"{name}Handful")

    def _pair_names(self) -> tuple[str, str] | None:
        names = self.camera_panel.selected_names()
        return (names[0], names[1]) if len(names) == 2 else None

    def _show_pair(self) -> None:
        names, folder = self._pair_names(), self.model.folder
        self._show()
        if names is not None and folder is not None:
            self.pair.load(self.model.tasks, folder, names)

    def _match_theme(self) -> None:
        self._colours = colours()
        self.setStyleSheet(style_sheet(self._colours))
        self.view.match_theme()

    def _restore(self) -> None:
        for name, restore in (("window", self.restoreGeometry), ("splitter", self.splitter.restoreState)):
            stored = self.settings.geometry(name)
            if stored is not None:
                restore(stored)

    def load_samples(self) -> None:
        """Show pictures of the samples, read in the worker."""
        for name in SAMPLE_TITLES:

            def show(seen: object, name: str = name) -> None:
                thumbnail = getattr(seen, "thumbnail", None)
                self.empty.set_sample_picture(name, to_pixmap(thumbnail) if thumbnail is not None else QPixmap())

            self.model.tasks.start(lambda name=name: inspect_photo(first_photo(name)), show)  # type: ignore[misc]

    # Qt's events

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        # Qt tells of a new palette by one event or the other; at once, a style sheet would keep parts of the old one.
        is_palette = event is not None and event.type() in PALETTE_EVENTS
        if is_palette and self._colours not in (None, colours()):
            soon(self, self._match_theme)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and (mime := event.mimeData()) is not None and mime.hasUrls():
            event.acceptProposedAction()
            self.empty.set_hot(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        self.empty.set_hot(False)

    def dropEvent(self, event: QDropEvent | None) -> None:
        self.empty.set_hot(False)
        if event is not None and (mime := event.mimeData()) is not None:
            paths = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
            event.acceptProposedAction()
            self.add_photos(paths)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        if event is not None and not self.cleaning.finish(then=self.close):
            event.ignore()
            return
        self.settings.set_geometry("window", self.saveGeometry())
        self.settings.set_geometry("splitter", self.splitter.saveState())
        self.settings.save()
        self.save_panel.saver.wait()
        self.model.close()
        super().closeEvent(event)
