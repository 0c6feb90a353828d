"""A progress bar that is painted when there is time for it.

QProgressBar paints at once whenever its value changes, and with OpenGL in the window that puts the whole window
together anew each time.
"""

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.window_style import colours


class Bar(QWidget):
    """A share of work done; with words on it if it is high enough."""

    def __init__(self, name: str, *, height: int, has_words: bool = False) -> None:
        super().__init__()
        self._share = 0.0
        self._name = name
        self._has_words = has_words
        self._height = height
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_share(0.0)

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]."""
        return self._share

    def set_share(self, share: float) -> None:
        """Show how much is done, in [0, 1]."""
        share = round(min(max(share, 0.0), 1.0), 3)
        if share != self._share:
            self._share = share
            self.setAccessibleName(f"{self._name}: {share:.0%}")
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, self._height)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        of, whole = colours(), QRectF(self.rect())
        round_px = min(whole.height() / 2, 4.0)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(of.line))
        painter.drawRoundedRect(whole, round_px, round_px)
        done = QRectF(0, 0, whole.width() * self._share, whole.height())
        painter.setBrush(QColor(of.accent))
        painter.drawRoundedRect(done, round_px, round_px)
        if self._has_words:
            self._paint_words(painter, done)
        painter.end()

    def _paint_words(self, painter: QPainter, done: QRectF) -> None:
        """The percentage, in the colour that can be read on either part."""
        of, words = colours(), f"{self._share:.0%}"
        for area, colour in ((done, of.on_accent), (QRectF(self.rect()).adjusted(done.width(), 0, 0, 0), of.text)):
            painter.setClipRect(area)
            painter.setPen(QColor(colour))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, words)
