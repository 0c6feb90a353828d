"""What mouse and keys do to the view: dragging, flying, and smooth moves from one view to another."""

import time
from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from app.viewport_camera import STANDARD_VIEWS, ViewCamera, between

ORBIT_RAD_PER_PX = 0.006
CLICK_PX = 4  # a press and release nearer together is a click
FLY_PER_S = 0.8  # in distances of the pivot
FAST = 4.0  # with Shift
ZOOM_PER_DEGREE = 0.9985**8  # one notch of a wheel is 15 degrees
STEP_RAD = 0.1  # of an arrow key
FRAME_MS = 16
MOVE_S = 0.4
DIVIDER_PX = 8  # so near it can be grabbed

VIEW_KEYS = dict(zip(range(Qt.Key.Key_1, Qt.Key.Key_7), STANDARD_VIEWS, strict=False))
_Key = Qt.Key
_FLY = {
    _Key.Key_D: (1, 0, 0), _Key.Key_A: (-1, 0, 0), _Key.Key_E: (0, 1, 0),
    _Key.Key_Q: (0, -1, 0), _Key.Key_W: (0, 0, 1), _Key.Key_S: (0, 0, -1),
}  # fmt: skip
_STEPS = {
    _Key.Key_Left: (-STEP_RAD, 0.0), _Key.Key_Right: (STEP_RAD, 0.0),
    _Key.Key_Up: (0.0, STEP_RAD), _Key.Key_Down: (0.0, -STEP_RAD),
}  # fmt: skip


class Navigation(QObject):
    """Holds the view, and changes it as the user says; what it cannot decide it tells.

    Signals:
        moved: the view has changed.
        grabbed: the user has begun to move it: what shows a photo may stop.
        clicked, double_clicked: where, in px of the window.
    """

    moved = pyqtSignal()
    grabbed = pyqtSignal()
    clicked = pyqtSignal(QPointF)
    double_clicked = pyqtSignal(QPointF)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._height = parent.height
        self._view = ViewCamera()
        self._pressed_at: QPointF | None = None
        self._last = QPointF()
        self._is_drag = False
        self._flying: set[int] = set()
        self._is_fast = False
        self._ends: tuple[ViewCamera, ViewCamera, float] | None = None
        self._last_tick = 0.0
        self._mouse: dict[QEvent.Type, Callable[[QMouseEvent], None]] = {
            QEvent.Type.MouseButtonPress: self._press,
            QEvent.Type.MouseMove: self._drag,
            QEvent.Type.MouseButtonRelease: self._release,
            QEvent.Type.MouseButtonDblClick: self._double_click,
        }
        parent.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def view(self) -> ViewCamera:
        """Where the user looks from."""
        return self._view

    @property
    def is_under_way(self) -> bool:
        """The user is flying, or a smooth move has not arrived."""
        return self._timer.isActive()

    def go_to(self, view: ViewCamera, *, smoothly: bool = True) -> None:
        """Change the view, at once or within less than half a second; nothing moves where it is there already."""
        if view.is_same(self._view):
            self._ends, self._view = None, view
        elif smoothly:
            self._ends = self._view, view, time.monotonic()
            self._start_timer()
        else:
            self._ends = None
            self._set(view)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        return event is not None and self._handle(event)

    def _handle(self, event: QEvent) -> bool:
        """Take an event of the window; False if it means nothing here, or others may have it, too."""
        kind = event.type()
        if isinstance(event, QMouseEvent) and kind in self._mouse:
            self._mouse[kind](event)
        elif isinstance(event, QWheelEvent):
            self._take(self._view.zoomed(ZOOM_PER_DEGREE ** (event.angleDelta().y() / 8)))
        elif isinstance(event, QKeyEvent) and kind == QEvent.Type.KeyPress:
            return self._key_down(event)
        elif isinstance(event, QKeyEvent) and kind == QEvent.Type.KeyRelease and not event.isAutoRepeat():
            self._flying.discard(event.key())
        elif kind == QEvent.Type.FocusOut:  # no event will tell that a key has gone up
            self._flying.clear()
            self._pressed_at, self._is_drag = None, False
            return False
        else:
            return False
        return True

    def _press(self, event: QMouseEvent) -> None:
        self._pressed_at = self._last = event.position()
        self._is_drag = False
        widget = self.parent()
        assert isinstance(widget, QWidget)
        widget.setFocus(Qt.FocusReason.MouseFocusReason)

    def _drag(self, event: QMouseEvent) -> None:
        """With the left button it orbits; with another one, or Shift, it pans."""
        if self._pressed_at is None:
            return
        if not self._is_drag and (event.position() - self._pressed_at).manhattanLength() < CLICK_PX:
            return
        self._is_drag = True
        step, self._last = event.position() - self._last, event.position()
        is_left = bool(event.buttons() & Qt.MouseButton.LeftButton)
        if is_left and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            view = self._view.orbited(-step.x() * ORBIT_RAD_PER_PX, step.y() * ORBIT_RAD_PER_PX)
        else:
            view = self._view.panned(step.x(), step.y(), self._height())
        self._take(view)

    def _release(self, event: QMouseEvent) -> None:
        """Without a drag that is a click."""
        if self._pressed_at is not None and not self._is_drag and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(event.position())
        self._pressed_at, self._is_drag = None, False

    def _double_click(self, event: QMouseEvent) -> None:
        self._pressed_at = None
        self.double_clicked.emit(event.position())

    def _key_down(self, event: QKeyEvent) -> bool:
        """False if the key means nothing here."""
        key, modifiers = event.key(), event.modifiers()
        if modifiers & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return False
        self._is_fast = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        if key in _FLY:
            self._flying.add(key)
            self._start_timer()
        elif key in _STEPS:
            self._take(self._view.orbited(*_STEPS[_Key(key)]))
        elif key in VIEW_KEYS:
            self.grabbed.emit()
            self.go_to(self._view.seen_from(VIEW_KEYS[key]))
        elif key in (_Key.Key_Plus, _Key.Key_Equal, _Key.Key_Minus):
            self._take(self._view.zoomed(1.15 if key == _Key.Key_Minus else 1 / 1.15))
        else:
            return False
        return True

    def _take(self, view: ViewCamera) -> None:
        """The user's own move ends one under way."""
        self._ends = None
        self.grabbed.emit()
        self._set(view)

    def _set(self, view: ViewCamera) -> None:
        self._view = view
        self.moved.emit()

    def _start_timer(self) -> None:
        if not self._timer.isActive():
            self._last_tick = time.monotonic()
            self._timer.start()

    def _tick(self) -> None:
        now = time.monotonic()
        elapsed, self._last_tick = min(now - self._last_tick, 0.1), now
        if self._flying:
            speed = FLY_PER_S * self._view.distance * elapsed * (FAST if self._is_fast else 1.0)
            right, up, forward = (speed * sum(_FLY[_Key(key)][axis] for key in self._flying) for axis in range(3))
            self._take(self._view.flown(right, up, forward))
        elif self._ends is not None:
            start, end, since = self._ends
            share = min((now - since) / MOVE_S, 1.0)
            if share >= 1:
                self._ends = None
                self._timer.stop()
            self._set(between(start, end, share * share * (3 - 2 * share)))  # slow at both ends
        else:
            self._timer.stop()
            self.moved.emit()


class Divider(QObject):
    """Lets the user drag the line between a photo and the picture; the view does not move then.

    Signals:
        dragged: to which share of the width.
    """

    dragged = pyqtSignal(float)

    def __init__(self, parent: QWidget, share: Callable[[], float | None]) -> None:
        """Ask `share` where the line is; None if there is none. Make it after what else takes the mouse."""
        super().__init__(parent)
        self._parent, self._share, self._is_held = parent, share, False
        parent.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        share = self._share()
        if share is None or not isinstance(event, QMouseEvent):
            return False
        if event.type() == QEvent.Type.MouseButtonPress:
            self._is_held = abs(event.position().x() - share * self._parent.width()) < DIVIDER_PX
        was_held = self._is_held
        if was_held and event.type() == QEvent.Type.MouseMove:
            self.dragged.emit(event.position().x() / self._parent.width())
        if event.type() == QEvent.Type.MouseButtonRelease:
            self._is_held = False
        return was_held
