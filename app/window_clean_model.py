"""What the Clean step knows and does: selection, edits, frame by clicks; no widgets."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.viewport_worker import LatestWorker
from app.window_clean_scene import surface_depth, thinned, to_show
from recon.errors import ReconError
from splatting.selection import Mask, front_part, in_box, in_outline, in_sphere, rectangle

if TYPE_CHECKING:  # torch takes a second to load: jobs load it in the worker
    from recon.clean_project import CleanScene
    from recon.frame_wish import FrameWish
    from splatting.camera import Camera
    from splatting.edit_history import Edit

Mode = Literal["replace", "add", "subtract"]
Picking = Literal["up", "length"]
POINTS_WANTED: dict[Picking, int] = {"up": 3, "length": 2}
CROP_OUTLIERS, CROP_MARGIN = 0.002, 0.03  # shares of the Gaussians on each side, and of the box's sides
log = logging.getLogger(__name__)


class CleanModel(QObject):
    """A finished project while it is being cleaned. Slow work runs in a thread; its results arrive as signals.

    Signals:
        changed: numbers, texts or what is possible.
        shown: the Gaussians to show now.
        failed: something did not work; sentence and hint.
        saved: the project's splats were written; its folder.
        moved: the project got another frame, so that all of its files are new; its folder.
    """

    changed = pyqtSignal()
    shown = pyqtSignal(object)
    failed = pyqtSignal(str, str)
    saved = pyqtSignal(object)
    moved = pyqtSignal(object)
    _delivered = pyqtSignal(str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._delivered.connect(self._receive)
        self._worker = LatestWorker(self._delivered.emit, "cleaning")
        self.destroyed.connect(self._worker.stop)
        self._forget()

    def _forget(self) -> None:
        self.scene: CleanScene | None = None
        self.strength = 0.0
        self.selection: Mask = np.zeros(0, bool)
        self.crop: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.shows_coverage = False
        self.picking: Picking | None = None
        self.points: list[NDArray[np.float64]] = []
        self.busy_with = ""
        self._saved_steps: tuple[Edit, ...] = ()

    # Opening and saving

    def open(self, folder: Path) -> None:
        """Read a finished project and look for floaters, in the thread."""

        def work() -> "CleanScene":
            from recon.clean_project import open_clean_scene

            return open_clean_scene(folder)

        self._forget()
        self.start("open", "Looking for floaters …", work, self._opened)

    def close(self) -> None:
        """Forget the project; what was not saved is lost."""
        self._forget()
        self.changed.emit()

    def save(self) -> None:
        """Write the project's splats without what was removed; every step can still be undone."""
        if (scene := self.scene) is None:
            return
        steps = scene.history.steps

        def work() -> Path:
            from recon.clean_project import save_cleaning

            save_cleaning(scene)
            return scene.project.folder

        def done(folder: Path) -> None:
            self._saved_steps = steps
            self.saved.emit(folder)

        self.start("save", "Saving …", work, done)

    @property
    def has_unsaved(self) -> bool:
        """There are steps that the project's files do not show yet."""
        return self.scene is not None and self.scene.history.steps != self._saved_steps

    # Numbers

    @property
    def removed(self) -> Mask:
        """Which Gaussians are out [N]."""
        return np.zeros(0, bool) if self.scene is None else self.scene.history.removed()

    @property
    def num_left(self) -> int:
        """Gaussians that are in the scene."""
        return 0 if self.scene is None else len(self.selection) - int(self.removed.sum())

    @property
    def num_selected(self) -> int:
        """Gaussians that `delete` would take out."""
        return int(self.selection.sum())

    # Selecting

    def set_strength(self, strength: float) -> None:
        """Select likely floaters in place of what is selected; 0 selects nothing."""
        from splatting.floaters import likely_floaters

        self.strength = strength
        if self.scene is not None:
            self._select(likely_floaters(self.scene.scores, strength), "replace")

    def select_outline(self, outline: NDArray[np.floating], camera: "Camera", mode: Mode, *, front_only: bool) -> None:
        """Select what a view shows inside an outline [C, 2] px; `front_only`: not what lies behind its surface."""
        if self.scene is None:
            return
        xyz = self.scene.gaussians.means.numpy()
        mask = in_outline(xyz, camera, outline)
        if front_only and mask.any():
            mask = front_part(xyz, mask, camera, surface_depth(self.scene, self.removed, camera))
        self.strength = 0.0
        self._select(mask, mode)

    def brush(self, stroke: NDArray[np.floating], radius_px: float, camera: "Camera", mode: Mode) -> None:
        """Select balls on the surface that a view shows, along a stroke [C, 2] px, as wide as the brush looks there."""
        if self.scene is None:
            return
        xyz, depth = self.scene.gaussians.means.numpy(), surface_depth(self.scene, self.removed, camera)
        size = np.array(depth.shape[::-1])
        points = np.asarray(stroke, np.float64)
        around = rectangle(points.min(axis=0) - 2 * radius_px, points.max(axis=0) + 2 * radius_px)
        near = np.flatnonzero(in_outline(xyz, camera, around))  # balls project to no more than that
        mask = np.zeros(len(xyz), bool)
        for pixel in thinned(points, radius_px / 2):
            column, row = np.clip(pixel * size / [camera.width, camera.height], 0, size - 1).astype(int)
            if (z := float(depth[row, column])) > 0:
                center = camera.unproject(pixel[None], np.array([z]))[0]
                mask[near] |= in_sphere(xyz[near], center, radius_px * z / float(camera.K[0, 0]))
        self.strength = 0.0
        self._select(mask, mode)

    def select_unseen(self) -> None:
        """Select what no photo shows, but not what fills gaps in what photos show."""
        from splatting.unseen import beyond_the_seen
        from splatting.visibility import num_seeing

        if self.scene is not None:
            self.strength = 0.0
            beyond = beyond_the_seen(self.scene.gaussians, num_seeing(self.scene.shares))
            self._select(beyond.numpy(), "replace")

    def set_crop(self, low: Sequence[float], high: Sequence[float]) -> None:
        """Move the crop box; nothing is selected yet."""
        self.crop = np.minimum(low, high).astype(np.float64), np.maximum(low, high).astype(np.float64)
        self.changed.emit()

    def propose_crop(self) -> None:
        """A box around what two or more photos see, but for a few outliers."""
        from splatting.visibility import num_seeing

        if self.scene is None:
            return
        known = (num_seeing(self.scene.shares).numpy() >= 2) & ~self.removed
        xyz = self.scene.gaussians.means.numpy()[known if known.any() else ~self.removed]
        low, high = np.quantile(xyz, [CROP_OUTLIERS, 1 - CROP_OUTLIERS], axis=0)
        self.set_crop(low - CROP_MARGIN * (high - low), high + CROP_MARGIN * (high - low))

    def select_outside_crop(self) -> None:
        """Select all that lies outside of the crop box."""
        if self.scene is not None and self.crop is not None:
            self.strength = 0.0
            self._select(~in_box(self.scene.gaussians.means.numpy(), *self.crop), "replace")

    def invert(self) -> None:
        """Select what is not selected."""
        self._select(~self.selection, "replace")

    def deselect(self) -> None:
        """Select nothing."""
        self.strength = 0.0
        self._select(np.zeros_like(self.selection), "replace")

    # Editing

    def delete(self, what: str = "") -> None:
        """Take the selected Gaussians out of the scene."""
        if self.scene is None or not self.num_selected:
            return
        told = what or (f"likely floaters, strength {self.strength:g}" if self.strength else "a selection")
        try:
            self.scene.history.remove(self.selection, told)
        except ValueError:
            self.failed.emit("Nothing would be left of the scene.", "Select less; Ctrl+I inverts the selection.")
            return
        self.deselect()

    def undo(self) -> None:
        """Take the last step back."""
        if self.scene is not None and self.scene.history.undo() is not None:
            self._select(self.selection, "replace")

    def redo(self) -> None:
        """Do the step again that was undone."""
        if self.scene is not None and self.scene.history.redo() is not None:
            self._select(self.selection, "replace")

    # Up and length

    def pick(self, what: Picking | None) -> None:
        """Begin to collect clicked points, or stop."""
        self.picking, self.points = what, []
        self.changed.emit()

    def add_point(self, point: NDArray[np.floating]) -> None:
        """A point [3] was clicked; with the third one for "up" the project is turned at once."""
        if self.picking is None:
            return
        if len(self.points) == POINTS_WANTED[self.picking]:
            self.points = []
        self.points.append(np.asarray(point, np.float64))
        self.changed.emit()
        if self.picking == "up" and len(self.points) == POINTS_WANTED["up"]:
            self._level()

    @property
    def picked_length(self) -> float | None:
        """Between the two points that were clicked, in the project's unit; None before."""
        if self.picking != "length" or len(self.points) != 2:
            return None
        return float(np.linalg.norm(self.points[1] - self.points[0]))

    def set_length(self, length: str) -> None:
        """Tell how long it really is between the two points, as in "32 cm": the project is scaled."""
        if (scene := self.scene) is None or self.picked_length is None:
            return
        a, b = self.points

        def wish() -> "FrameWish":
            from recon.picked_frame import length_between

            return length_between(a, b, length, scene.views, scene.frame, scene.depth_maps)

        self._align(wish, "Setting the scale …")

    def _level(self) -> None:
        if (scene := self.scene) is None:
            return
        points = tuple(self.points)

        def wish() -> "FrameWish":
            from recon.picked_frame import up_of_points

            return up_of_points(points, [camera.center for camera in scene.cameras], scene.frame)

        self._align(wish, "Turning the scene upright …")

    def _align(self, make_wish: "Callable[[], FrameWish]", told: str) -> None:
        """Save, move the whole project, and open it again."""
        assert self.scene is not None
        scene, has_unsaved = self.scene, self.has_unsaved

        def work() -> "CleanScene":
            from recon.align_project import align_project
            from recon.clean_project import open_clean_scene, save_cleaning

            try:
                wish = make_wish()
            except ValueError as error:
                raise ReconError(f"That does not work: {error}.", "Click the points again.") from error
            if has_unsaved:
                save_cleaning(scene)
            align_project(scene.project.folder, wish)
            return open_clean_scene(scene.project.folder)

        def done(opened: "CleanScene") -> None:
            self.picking, self.points, self.crop = None, [], None
            self._opened(opened)
            self.moved.emit(opened.project.folder)

        self.start("align", told, work, done)

    # Colours

    def show_coverage(self, is_shown: bool) -> None:
        """Colour the scene by how many photos see it, or as it is."""
        self.shows_coverage = is_shown
        self._show()

    # Inside

    def _opened(self, scene: "CleanScene") -> None:
        self.scene, self._saved_steps = scene, scene.history.steps
        self._select(np.zeros(len(scene.gaussians), bool), "replace")

    def _select(self, mask: Mask, mode: Mode) -> None:
        if mode == "add":
            mask = self.selection | mask
        elif mode == "subtract":
            mask = self.selection & ~mask
        self.selection = np.asarray(mask & ~self.removed)
        self._show()

    def _show(self) -> None:
        """Have the Gaussians made that are to be shown; only the newest wish counts."""
        self.changed.emit()
        if (scene := self.scene) is None:
            return
        kept, selection, shows_coverage = ~self.removed, self.selection, self.shows_coverage
        self.request("shown", lambda: to_show(scene, kept, selection, shows_coverage), self.shown.emit)

    # Slow work

    def start(self, name: str, told: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work()` in the thread, then `done(result)`; `told` says meanwhile what goes on."""
        self.busy_with = told
        self.changed.emit()

        def finish(result: Any) -> None:
            self.busy_with = ""
            done(result)
            self.changed.emit()

        self.request(name, work, finish)

    def request(self, name: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work()` in the thread in place of what waits there under that name, then `done(result)`.

        An exception goes to `failed`.
        """
        self._worker.request(name, lambda: (done, work()))

    def _receive(self, name: str, result: Any) -> None:
        if not isinstance(result, Exception):
            done, value = result
            done(value)
            return
        self.busy_with = ""
        self.changed.emit()
        if isinstance(result, ReconError):
            self.failed.emit(result.message, result.hint)
        elif isinstance(result, OSError):
            self.failed.emit(f"The project cannot be written: {result.strerror or result}.", "Nothing has changed.")
        else:
            log.error("%s failed", name, exc_info=result)
            self.failed.emit(f"That did not work: {result}.", "The log says more.")
