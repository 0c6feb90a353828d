"""When the viewport draws what: a subset while something moves, everything after a rest, in pieces."""

import logging
from collections.abc import Callable
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QOpenGLContext

from app.viewport_context import current_context
from app.viewport_data import MESH_MODES, PreparedSplats
from app.viewport_renderer import FIRST_SPLATS, Picture, Renderer
from app.viewport_sorting import SortedView, ViewSorter
from app.viewport_worker import LatestWorker

REST_MS = 150  # after the last move everything is drawn
_OPENGL_HINT = "Install a driver with OpenGL 3.3 or newer."
log = logging.getLogger(__name__)


class Mailbox(QObject):
    """Takes what a worker delivers to the window's thread; outlives the window, if need be."""

    delivered = pyqtSignal(str, object)

    def put(self, name: str, result: object) -> None:
        """Called in the worker's thread; its bound method, unlike `delivered.emit`, keeps the mailbox alive."""
        self.delivered.emit(name, result)


class Painter(QObject):
    """Holds the renderer and the newest order of the splats; `paint` alone draws.

    Signals:
        wants_paint: there is more to draw.
        rested: the picture is whole.
        failed: OpenGL is missing or gave up; sentence and hint.
    """

    wants_paint = pyqtSignal()
    rested = pyqtSignal()
    failed = pyqtSignal(str, str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.renderer: Renderer | None = None
        self.sorted: SortedView | None = None
        self.has_rested = False
        self.is_moving = False
        self._splats: PreparedSplats | None = None
        self._cam_from_world: NDArray[np.float64] = np.eye(4)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._come_to_rest)
        self._sorter = ViewSorter()
        mailbox = Mailbox()
        mailbox.delivered.connect(self._receive)
        self._worker = LatestWorker(mailbox.put, "depth sort")
        self.destroyed.connect(self._worker.stop)

    def touch(self, splats: PreparedSplats | None, cam_from_world: NDArray[np.float64]) -> None:
        """Something has changed: a fast picture now, the whole one after a rest. None: there is nothing to sort."""
        self.is_moving, self.has_rested = True, False
        self._rest.start()
        self._take(splats, cam_from_world)
        self._request_sort(FIRST_SPLATS if self.renderer is None else 2 * self.renderer.moving_count)
        self.wants_paint.emit()

    def replace(self, splats: PreparedSplats | None, cam_from_world: NDArray[np.float64]) -> None:
        """Other splats, seen from the same place: the old picture stays until the new one is whole."""
        self.has_rested = False
        self._take(splats, cam_from_world)
        self._come_to_rest()

    def sort_now(self, splats: PreparedSplats | None, cam_from_world: NDArray[np.float64]) -> None:
        """Sort all in this thread, for a picture that cannot wait."""
        self._take(splats, cam_from_world)
        if splats is not None:
            self.sorted = ViewSorter().sort(splats, cam_from_world, len(splats))

    def start(self, context: QOpenGLContext | None) -> None:
        """Begin with a context that is current; what cannot be done is told by `failed`, never raised."""
        try:
            self.renderer = Renderer(current_context())
        except (RuntimeError, moderngl.Error) as error:  # in Qt's callbacks an exception ends the program
            self._report(error)
            return
        assert context is not None
        context.aboutToBeDestroyed.connect(self.forget)

    def forget(self) -> None:
        """The context goes, and with it all that was uploaded; what is shown stays with others."""
        self.renderer = None

    def paint(self, number: int, picture: Picture, *, everything: bool = False) -> None:
        """Draw into the framebuffer of that number of the current context; see `Renderer.draw`."""
        if self.renderer is None:
            return
        is_sorted = self.sorted is not None and self.sorted.count >= len(self.sorted.splats)
        budget = "all" if everything else "moving" if self.is_moving or not is_sorted else "piece"
        try:
            is_complete = self.renderer.draw(self.renderer.framebuffer(number), picture, self.sorted, budget=budget)
        except moderngl.Error as error:
            self.forget()
            self._report(error)
            return
        has_no_splats = picture.splats is None or picture.mode in MESH_MODES
        if budget == "piece" and not is_complete:
            self.wants_paint.emit()
        elif not self.is_moving and not self.has_rested and (has_no_splats or budget == "piece"):
            self.has_rested = True
            soon(self, self.rested.emit)

    def _take(self, splats: PreparedSplats | None, cam_from_world: NDArray[np.float64]) -> None:
        if splats is not self._splats:
            self._splats, self.sorted = splats, None
        self._cam_from_world = cam_from_world

    def _come_to_rest(self) -> None:
        self.is_moving = False
        if self._splats is not None:
            self._request_sort(len(self._splats))
        self.wants_paint.emit()

    def _request_sort(self, count: int) -> None:
        sorter, splats, matrix = self._sorter, self._splats, self._cam_from_world
        if splats is not None:
            self._worker.request("sorted", lambda: sorter.sort(splats, matrix, count))

    def _receive(self, _: str, result: Any) -> None:
        if isinstance(result, Exception):
            log.error("the splats could not be sorted", exc_info=result)
        elif result.splats is self._splats:
            self.sorted = result
            self.wants_paint.emit()

    def _report(self, error: Exception) -> None:
        log.error("the viewport cannot draw", exc_info=error)
        message = f"The 3D view cannot be shown: {error}."
        soon(self, lambda: self.failed.emit(message, _OPENGL_HINT))


def soon(parent: QObject, action: Callable[[], None]) -> None:
    """Act when the event at hand is done, if the parent still lives then."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.timeout.connect(action)
    timer.timeout.connect(timer.deleteLater)
    timer.start()
