"""The Clean step as the window meets it: entered, left, and done before anything else changes the project."""

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject

from app.window_clean_model import CleanModel
from app.window_clean_panel import CleanPanel
from app.window_view import SceneView


class CleanStep(QObject):
    """Holds model and panel of the step, and hands the view back to the others when it is left."""

    def __init__(self, view: SceneView) -> None:
        super().__init__(view)
        self.model = CleanModel(self)
        self.panel = CleanPanel(self.model, view.viewport)
        self._view = view
        self._is_shown = False
        self._then: Callable[[], object] | None = None
        self.model.saved.connect(lambda _: self._saved())
        self.model.failed.connect(lambda *_: self._forget_then())
        self.model.moved.connect(lambda _: view.load(""))

    def enter(self, folder: Path) -> None:
        """Open the finished project in the folder."""
        self._is_shown = True
        self.model.open(folder)

    def leave(self) -> None:
        """Write what was cleaned away, every step of which can still be undone, and hand the view back."""
        if not self._is_shown:
            return
        self._is_shown = False
        self.panel.deactivate()
        if self.model.has_unsaved:
            self.model.save()
        else:
            self._hand_back()

    @property
    def is_writing(self) -> bool:
        """The project's files are being changed."""
        return bool(self.model.busy_with)

    def finish(self, then: Callable[[], object]) -> bool:
        """Whether nothing is left to write; else write it, and call `then`."""
        if not self.model.has_unsaved:
            return True
        self._then = then
        self.model.save()
        return False

    def _saved(self) -> None:
        self._hand_back()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _forget_then(self) -> None:
        """What could not be written is still there, and nothing that would lose it is done."""
        self._then = None

    def _hand_back(self) -> None:
        """The view shows the project's files again, unless the user is still at it."""
        if not self._is_shown:
            self.model.close()
            self._view.load("")
