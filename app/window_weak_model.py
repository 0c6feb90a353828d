"""Where a scene is weak: where it looks unlike its photos, and where to take the next one. Knows no widgets."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.window_clean_model import CleanModel
from app.window_clean_scene import checked_view

if TYPE_CHECKING:  # torch takes a second to load
    from recon.clean_project import CleanScene
    from recon.evaluation.view_check import ViewCheck
    from recon.next_photo import NextPhoto
    from splatting.camera import Camera


class WeakModel(QObject):
    """Weak places of the scene that a `CleanModel` holds, found in that model's thread.

    Signals:
        changed: the suggestion, or whether views are compared.
        checked: a picture [H, W, 3] of the view that was asked for last: grey, bright where it is unlike the photos.
    """

    changed = pyqtSignal()
    checked = pyqtSignal(object)

    def __init__(self, clean: CleanModel) -> None:
        super().__init__(clean)
        self._clean = clean
        self._scene: CleanScene | None = None
        self._check: ViewCheck | None = None
        self._ticket = 0
        self.suggestion: NextPhoto | None = None
        self.is_checking = False
        clean.changed.connect(self._meet_scene)
        clean.failed.connect(lambda *_: self._set_checking(False))

    def suggest(self) -> None:
        """Find where to take the next photo from."""
        if (scene := self._clean.scene) is None:
            return

        def work() -> "NextPhoto | None":
            from recon.next_photo import suggest_next_photo
            from splatting import rasterizer

            names = [view.name for view in scene.views]
            return suggest_next_photo(scene.gaussians, scene.shares, scene.cameras, names, rasterizer.create("cpu"))

        def done(found: "NextPhoto | None") -> None:
            self.suggestion = found
            self.changed.emit()
            if found is None:
                self._clean.failed.emit("No place for a next photo was found.", "Take it from between two photos.")

        self._clean.start("suggest", "Looking for weak places …", work, done)

    def check(self, camera: "Camera") -> None:
        """Compare a view of what is left with the photos; `checked` follows, unless `forget` comes first."""
        if (scene := self._clean.scene) is None:
            return
        self._ticket += 1
        ticket, removed = self._ticket, self._clean.removed
        self._set_checking(True)
        self._clean.request("check", self._work(scene, removed, camera), lambda made: self._receive(ticket, made))

    def forget(self) -> None:
        """The view has changed: what is being computed for the one before is not wanted."""
        self._ticket += 1
        self._set_checking(False)

    def _work(self, scene: "CleanScene", removed: NDArray[np.bool_], camera: "Camera") -> Callable[[], object]:
        def work() -> object:
            from recon.evaluation.view_check import ViewCheck
            from splatting import rasterizer

            if self._check is None:
                self._check = ViewCheck(scene.views, rasterizer.create("cpu"))
            return checked_view(scene, removed, camera, self._check)

        return work

    def _receive(self, ticket: int, picture: NDArray[np.uint8]) -> None:
        if ticket == self._ticket:
            self._set_checking(False)
            self.checked.emit(picture)

    def _set_checking(self, is_checking: bool) -> None:
        if is_checking != self.is_checking:
            self.is_checking = is_checking
            self.changed.emit()

    def _meet_scene(self) -> None:
        """Another scene: nothing is known of it yet."""
        if self._clean.scene is not self._scene:
            self._scene, self._check, self.suggestion = self._clean.scene, None, None
            self.forget()
            self.changed.emit()
