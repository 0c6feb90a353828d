"""What the window shows, in one place: photos, settings, how far the run is, what came out. Knows no widgets."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from app.photo_inspection import InspectedPhoto, inspect_photo, passed_over, photos_in
from app.project_files import (
    Asked,
    discard_unsaved,
    is_project,
    propose_folder,
    read_asked,
    read_unsaved,
)
from app.project_model_autosave import Autosave
from app.project_model_work import Job, Phase, ProjectWork
from app.project_notice import Notice
from app.project_photos import ProjectPhoto, ProjectPhotos
from app.project_result import MIN_PHOTOS, ProjectResult, read_result
from app.run_request import FilmRequest, MeshRequest, RunRequest
from app.run_state import RunState
from app.window_run import CANCELLED
from app.window_tasks import Tasks
from recon.progress import StageName
from recon.report import Report, ReportFileError


class ProjectModel(QObject):
    """The project that is open; methods change it, signals tell that it has changed.

    Signals:
        photos_changed: the list, what is left out, or what was seen in the photos.
        settings_changed: folder, preset, matcher or holdout.
        run_changed: phase, stages, ETA.
        report_changed: another report was read, or it is gone.
        result_written: "cameras", "points", "splats" or "mesh" lie anew in the folder; "" for all that there is.
        previewed: a file shows the splats while they are fitted.
        noticed: a `Notice`.
        ended: a run is over; its exit code.
        opened: another project, or an empty one.
    """

    photos_changed = pyqtSignal()
    settings_changed = pyqtSignal()
    run_changed = pyqtSignal()
    report_changed = pyqtSignal()
    result_written = pyqtSignal(str)
    previewed = pyqtSignal(Path)
    noticed = pyqtSignal(object)
    ended = pyqtSignal(int)
    opened = pyqtSignal()

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        tasks: Tasks | None = None,
        home: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """An empty project.

        Args:
            tasks: runs what takes long; made if None.
            home: where projects of the samples go.
            extra: further flags for every run of the command line.
        """
        super().__init__(parent)
        self.work = ProjectWork(self)
        self.run = self.work.run
        self.tasks = tasks or Tasks()
        self._home = home or Path.home() / "Handful"
        self._extra = tuple(extra)
        self._autosave = Autosave(self)
        self._autosave.due.connect(self.save_unsaved)
        self._autosave.failed.connect(self.noticed)
        self._reset()
        self.work.changed.connect(self.run_changed)
        self.work.result_written.connect(self.result_written)
        self.work.ended.connect(self._receive_end)
        self.run.warned.connect(lambda text: self.warnings.append(text))
        self.run.failed.connect(lambda *texts: self.noticed.emit(Notice(*texts)))
        self.run.previewed.connect(self.previewed)

    def _reset(self) -> None:
        self._photos = ProjectPhotos()
        self.folder: Path | None = None
        self.preset = "standard"
        self.matcher: str | None = None
        self.has_holdout = False
        self.result = ProjectResult()
        self.work.reset()
        self.warnings: list[str] = []
        self.film = Path()  # where the newest one is written
        self._autosave.is_unsaved = False

    # Photos

    @property
    def photos(self) -> tuple[ProjectPhoto, ...]:
        """All photos in their order, those left out too."""
        return self._photos.all

    @property
    def used_photos(self) -> tuple[ProjectPhoto, ...]:
        """Those that go into the next run."""
        return self._photos.used

    def add_photos(self, paths: Iterable[Path]) -> int:
        """Add photos, and those directly inside folders, each once; those left out are taken in again.

        Returns:
            How many are new or back.
        """
        paths = list(paths)
        try:
            found, others = photos_in(paths), passed_over(paths)
        except OSError as error:
            self.noticed.emit(Notice(f"The photos cannot be read: {error.strerror or error}.", "Check the folder."))
            return 0
        before = {photo.path for photo in self.photos if not photo.is_removed}
        changed = [path for path in found if path not in before]
        self._look_at(self._photos.add(changed))
        if not found:
            hint = " ".join([*others, "Drop JPEG, PNG, HEIC or TIFF files."])
            self.noticed.emit(Notice("There are no photos in what you dropped.", hint))
        elif others:
            self.noticed.emit(Notice("Not everything that you dropped is a photo.", " ".join(others), is_error=False))
        if changed:
            if self.folder is None:
                self._propose_folder(changed[0])
            self._photos_edited()
        return len(changed)

    def remove(self, paths: Iterable[Path]) -> None:
        """Leave photos out; they stay in the list."""
        self._photos.set_removed(paths, True)
        self._photos_edited()

    def restore(self, paths: Iterable[Path]) -> None:
        """Take photos in again."""
        self._photos.set_removed(paths, False)
        self._photos_edited()

    # Settings

    @property
    def is_unsaved(self) -> bool:
        """There are changes that no build has written yet."""
        return self._autosave.is_unsaved

    def set_folder(self, folder: Path) -> None:
        """Build into another folder."""
        if self.folder is not None and self.is_unsaved:
            discard_unsaved(self.folder)
        self.folder = folder.absolute()
        self._load_report()
        self._settings_edited()

    def set_preset(self, preset: str) -> None:
        """Choose draft, standard or best."""
        if preset != self.preset:
            self.preset = preset
            self._settings_edited()

    def set_matcher(self, matcher: str | None) -> None:
        """Choose how photos are compared; None: as usual."""
        if matcher != self.matcher:
            self.matcher = matcher
            self._settings_edited()

    def set_holdout(self, is_wanted: bool) -> None:
        """Keep one photo aside for measuring, or not."""
        if is_wanted != self.has_holdout:
            self.has_holdout = is_wanted
            self._settings_edited()

    # The run

    @property
    def can_run(self) -> bool:
        """There are photos enough and nothing is running."""
        return self.phase == "idle" and len(self.used_photos) >= MIN_PHOTOS and self.folder is not None

    @property
    def report(self) -> Report | None:
        """Of the last run."""
        return self.result.report

    @property
    def has_cameras(self) -> bool:
        """The last run placed photos."""
        return self.result.has_cameras

    @property
    def has_scene(self) -> bool:
        """There is something to save."""
        return self.folder is not None and (self.folder / "splats.ply").is_file()

    @property
    def has_other_photos(self) -> bool:
        """The report speaks of other photos than those chosen now."""
        return not self.result.is_of([photo.path for photo in self.used_photos])

    @property
    def has_fewer_photos(self) -> bool:
        """All photos chosen now were placed in the last run, among others: a build needs nothing else."""
        return self.result.has_placed([photo.path for photo in self.used_photos])

    @property
    def is_stale(self) -> bool:
        """The report speaks of other photos or settings than those chosen now."""
        return self.report is not None and (self.has_other_photos or self.report.preset != self.preset)

    @property
    def phase(self) -> Phase:
        """How the work of a child process stands."""
        return self.work.phase

    @property
    def state(self) -> RunState:
        """How far that work is."""
        return self.work.state

    def find_cameras(self) -> None:
        """Run as far as the cameras."""
        self._reconstruct("cameras", "cameras")

    def build(self) -> None:
        """Run to the end; finished stages are not run again."""
        self._reconstruct("build", "mesh")

    def remake_mesh(self) -> None:
        """Make the mesh anew from the splats that cleaning left; does nothing while something is at work."""
        if self.phase == "idle" and self.has_scene and self.folder is not None:
            self.work.start("mesh", MeshRequest(self.folder))

    def make_film(self, destination: Path, *, may_replace: bool = False) -> None:
        """Write a film around what the photos show; does nothing while something is at work.

        `may_replace`: another film of that name, which the user has agreed to lose.
        """
        if self.phase == "idle" and self.has_scene and self.folder is not None:
            self.film = destination
            self.work.start("film", FilmRequest(self.folder, destination, may_replace))

    def pause(self) -> None:
        """Hold the work still, or let it go on."""
        self.work.pause()

    def stop(self) -> None:
        """Stop the work; finished stages are kept."""
        self.work.stop()

    def close(self) -> None:
        """End everything that goes on; changes are kept."""
        if self.is_unsaved:
            self.save_unsaved()
        self.tasks.stop()
        self.work.close()

    # Projects

    def new(self) -> None:
        """Begin an empty project; what was open is autosaved."""
        if self.is_unsaved:
            self.save_unsaved()
        self.tasks.drop_waiting()
        self._reset()
        self._tell_all()

    def open(self, folder: Path) -> None:
        """Open a project folder, with the changes that were kept beside it.

        Raises:
            ReconError: it is none.
        """
        folder = folder.absolute()
        unsaved = read_unsaved(folder)
        saved = read_asked(folder) if is_project(folder) or unsaved is None else None
        asked = unsaved or saved or Asked()
        self.new()
        self.folder, self.preset, self.matcher = folder, asked.preset, asked.matcher
        self.has_holdout = asked.has_holdout
        missing = [path for path in map(Path, asked.photos) if not path.is_file()]
        there = [path for path in map(Path, asked.photos) if path not in missing]
        self._look_at(self._photos.add(there, removed=map(Path, asked.removed)))
        self._autosave.is_unsaved = unsaved is not None
        self._load_report()
        self._tell_all()
        self.result_written.emit("")
        if missing:
            named = ", ".join(path.name for path in missing[:3])
            told = f"{len(missing)} of the photos are no longer where they were: {named}."
            self.noticed.emit(Notice(told, "The result can be looked at and saved; put them back to build again."))

    def save_unsaved(self) -> None:
        """Keep what was changed beside the project folder; nothing if it is as it was built."""
        if self.folder is not None:
            self._autosave.keep(self.folder, self.asked())
            self.settings_changed.emit()

    def asked(self) -> Asked:
        """What the user asked for."""
        return Asked(
            photos=tuple(str(photo.path) for photo in self.photos),
            removed=tuple(str(photo.path) for photo in self.photos if photo.is_removed),
            preset=self.preset,
            matcher=self.matcher,
            has_holdout=self.has_holdout,
        )

    # Inside

    def _propose_folder(self, photo: Path) -> None:
        from assets import SAMPLES

        self.folder = propose_folder(photo.parent, self._home, is_shipped=photo.is_relative_to(SAMPLES))

    def _look_at(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.tasks.start(partial(inspect_photo, path), self._receive_inspected)

    def _photos_edited(self) -> None:
        self._autosave.edited()
        self.photos_changed.emit()
        self.run_changed.emit()

    def _settings_edited(self) -> None:
        self._autosave.edited()
        self.settings_changed.emit()
        self.run_changed.emit()

    def _tell_all(self) -> None:
        self.opened.emit()
        for signal in (self.photos_changed, self.settings_changed, self.report_changed, self.run_changed):
            signal.emit()

    def _receive_inspected(self, inspected: InspectedPhoto) -> None:
        if self._photos.see(inspected):
            self.photos_changed.emit()
            self.run_changed.emit()

    def _reconstruct(self, job: Job, until: StageName) -> None:
        if not self.can_run or self.folder is None:
            return
        self.warnings = []
        used = tuple(photo.path for photo in self.used_photos)
        aside = self.result.photo_to_measure_on(used) if self.has_holdout else None
        holdout = () if aside is None else (aside.name,)
        request = RunRequest(used, self.folder, self.preset, self.matcher, until, holdout, extra=self._extra)
        self.work.start(job, request)

    def _receive_end(self, exit_code: int) -> None:
        if self.work.job == "film":
            if exit_code == 0:
                self.noticed.emit(Notice("The film is saved.", str(self.film), is_error=False))
        else:
            self._load_report()
            self.save_unsaved()
            if exit_code != CANCELLED:
                self.result_written.emit("")
        self.run_changed.emit()
        self.ended.emit(exit_code)

    def _load_report(self) -> None:
        self.result = ProjectResult()
        if self.folder is not None:
            try:
                self.result = read_result(self.folder)
            except ReportFileError as error:
                self.noticed.emit(Notice("The project's report cannot be read.", "Build again.", str(error)))
        self.report_changed.emit()
