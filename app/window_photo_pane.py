"""A photo as large as its place allows."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.window_pictures import to_pixmap
from app.window_style import colours


class PhotoPane(QWidget):
    """Shows a picture whole, in its proportions."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._picture = QPixmap()
        self.setAccessibleName(name)
        self.setMinimumSize(120, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_rgb(self, rgb: NDArray[np.uint8] | None) -> None:
        """Show a picture [H, W, 3]; None: nothing."""
        self._picture = QPixmap() if rgb is None else to_pixmap(rgb)
        self.update()

    @property
    def picture(self) -> QPixmap:
        """What is shown; null if nothing is."""
        return self._picture

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(colours().canvas))
        if not self._picture.isNull():
            size = QSizeF(self._picture.size()).scaled(QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio)
            area = QRectF(QPointF(), size)
            area.moveCenter(QRectF(self.rect()).center())
            painter.drawPixmap(area, self._picture, QRectF(self._picture.rect()))
        painter.end()
