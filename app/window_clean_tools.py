"""Drawing over the 3D view: a box, a lasso or a brush stroke; the view below still zooms and turns."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from splatting.selection import rectangle

Tool = Literal["box", "lasso", "brush"]
LINE = QColor(255, 255, 255, 230)
SHADE = QColor(255, 90, 20, 50)
STEP_PX = 2.0  # of a stroke; nearer points are left out


class DrawingOverlay(QWidget):
    """Lies over a widget while a tool is chosen; the left button draws, all else goes to the widget below.

    Signals:
        outlined: corners [C, 2], px of this widget, and the keyboard modifiers.
        brushed: the stroke [C, 2], px of this widget, and the keyboard modifiers.
        left: the user pressed Escape.
    """

    outlined = pyqtSignal(object, object)
    brushed = pyqtSignal(object, object)
    left = pyqtSignal()

    def __init__(self, below: QWidget) -> None:
        super().__init__(below)
        self._tool: Tool | None = None
        self._points: list[QPointF] = []
        self._cursor: QPointF | None = None
        self.radius_px = 24.0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Drawing over the 3D view")
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        below.installEventFilter(self)
        self.resize(below.size())
        self.hide()

    @property
    def tool(self) -> Tool | None:
        """What is drawn; None: nothing, the view below has the mouse."""
        return self._tool

    def set_tool(self, tool: Tool | None) -> None:
        """Take another tool."""
        self._tool, self._points, self._cursor = tool, [], None
        self.setVisible(tool is not None)
        self.setCursor(Qt.CursorShape.BlankCursor if tool == "brush" else Qt.CursorShape.CrossCursor)
        if tool is not None:
            self.raise_()
            self.setFocus()
        self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.resize(watched.size())
        return False

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return super().mousePressEvent(event)
        self._points = [event.position()]
        self.update()
        return None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        self._cursor = event.position()
        if not self._points:
            super().mouseMoveEvent(event)
        elif (event.position() - self._points[-1]).manhattanLength() >= STEP_PX:
            self._points.append(event.position())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() != Qt.MouseButton.LeftButton or not self._points:
            return super().mouseReleaseEvent(event)
        if event.position() != self._points[-1]:
            self._points.append(event.position())
        stroke, modifiers = self._stroke(), event.modifiers()
        self._points = []
        self.update()
        if self._tool == "brush":
            self.brushed.emit(stroke, modifiers)
        elif len(stroke) > 1:
            self.outlined.emit(rectangle(stroke[0], stroke[-1]) if self._tool == "box" else stroke, modifiers)
        return None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self._points = []
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        self._cursor = None
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(LINE, 1.5))
        if self._tool == "brush":
            painter.setBrush(SHADE)
            for point in [*self._points[:: max(1, len(self._points) // 100)], *filter(None, [self._cursor])]:
                painter.drawEllipse(point, self.radius_px, self.radius_px)
        elif len(self._points) > 1:
            painter.setBrush(SHADE)
            if self._tool == "box":
                painter.drawRect(QRectF(self._points[0], self._points[-1]).normalized())
            else:
                painter.drawPolygon(QPolygonF(self._points))

    def _stroke(self) -> NDArray[np.float64]:
        return np.array([[point.x(), point.y()] for point in self._points])
