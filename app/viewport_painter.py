"""When the viewport draws what: a subset while something moves, everything after a rest, in pieces."""

import logging
import time
from collections.abc import Callable
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QOpenGLContext

from app.viewport_context import current_context
from app.viewport_data import PreparedSplats
from app.viewport_pace import FIRST_SPLATS
from app.viewport_renderer import Picture, Renderer
from app.viewport_sorting import SortedView, ViewSorter
from app.viewport_worker import LatestWorker

REST_MS = 150  # after the last move everything is drawn
SORTED_TOO = 1.3  # times what a moving frame has is sorted, as the next one may have more
_OPENGL_HINT = "Install a driver with OpenGL 3.3 or newer."
log = logging.getLogger(__name__)


class Mailbox(QObject):
    """Takes what a worker delivers to the window's thread; outlives the window, if need be."""

    delivered = pyqtSignal(str, object)

    def put(self, name: str, result: object) -> None:
        """Called in the worker's thread; its bound method, unlike `delivered.emit`, keeps the mailbox alive."""
        self.delivered.emit(name, result)


class Painter(QObject):
    """Holds the renderer and the newest order of the splats; `paint` and `draw_piece` draw.

    At rest the splats are drawn aside, piece by piece, and only the whole picture is shown: putting a window together
    takes software as long as ten thousand splats.

    Signals:
        wants_paint: there is something else to show.
        wants_piece: the context should be made current and `draw_piece` called.
        rested: the picture is whole.
        failed: OpenGL is missing or gave up; sentence and hint.
    """

    wants_paint = pyqtSignal()
    wants_piece = pyqtSignal()
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
        self._next_piece = QTimer(self)
        self._next_piece.setSingleShot(True)
        self._next_piece.timeout.connect(self.wants_piece)
        self._began_s: float | None = None  # when a frame with new splats began
        self._drawn = 0
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
        self._request_sort(round(SORTED_TOO * (FIRST_SPLATS if self.renderer is None else self.renderer.pace.count)))
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
        """Draw into the framebuffer of that number of the current context, at rest what is complete."""
        if self.renderer is None:
            return
        began_s, view = time.perf_counter(), self.sorted
        if picture.has_splats and view is not None and (everything or not self._is_resting):
            self._try(lambda renderer: self._add(renderer, picture, view, everything, began_s))
        self._try(lambda renderer: renderer.draw(renderer.framebuffer(number), picture))
        if self.is_moving or self.renderer is None:
            return
        if picture.has_splats and not (view is not None and self._is_resting):
            return  # the order is on its way
        if picture.has_splats and view is not None and not self.renderer.is_complete(picture, view):
            self._next_piece.start()
        elif not self.has_rested:
            self.has_rested = True
            soon(self, self.rested.emit)

    def draw_piece(self, picture: Picture) -> None:
        """Draw a piece of the splats aside; asks for the next one, or for the whole to be painted."""
        view = self.sorted
        if view is None or not self._is_resting or not picture.has_splats:
            return
        self._try(lambda renderer: renderer.add_splats(picture, view, "piece"))
        if self.renderer is not None and self.renderer.is_complete(picture, view):
            self.wants_paint.emit()
        elif self.renderer is not None:
            self._next_piece.start()

    def end_frame(self) -> None:
        """What was painted is on the screen."""
        if self._began_s is not None and self.renderer is not None:
            self.renderer.pace.learn(self._drawn, time.perf_counter() - self._began_s)
        self._began_s = None

    @property
    def _is_resting(self) -> bool:
        """Nothing moves, and all splats have been sorted."""
        return not self.is_moving and self.sorted is not None and self.sorted.count >= len(self.sorted.splats)

    def _add(self, renderer: Renderer, picture: Picture, view: SortedView, everything: bool, began_s: float) -> None:
        drawn = renderer.add_splats(picture, view, "all" if everything else "moving")
        if drawn and not everything:
            self._drawn, self._began_s = drawn, began_s

    def _try(self, action: Callable[[Renderer], object]) -> None:
        """Draw unless OpenGL has given up."""
        if self.renderer is None:
            return
        try:
            action(self.renderer)
        except moderngl.Error as error:
            self.forget()
            self._report(error)

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
            if self._is_resting:
                self._next_piece.start()
            else:
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
