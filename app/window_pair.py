"""Two photos side by side with lines between what they share."""

from functools import partial
from pathlib import Path

from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPixmap
from PyQt6.QtWidgets import QWidget

from app.pair_lines import PairLines, load_pair
from app.project_notice import Notice
from app.window_pictures import to_pixmap
from app.window_style import colours
from app.window_tasks import Tasks
from recon.errors import ReconError

MARGIN, WORDS_HEIGHT = 12, 28


class PairView(QWidget):
    """Shows a pair; `failed` gives a `Notice` on why it cannot be shown."""

    failed = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Matches between two photos")
        self.setMinimumSize(240, 160)
        self._pair: PairLines | None = None
        self._wanted: tuple[str, str] | None = None
        self._pictures: list[QPixmap] = []

    @property
    def pair(self) -> PairLines | None:
        """What is shown."""
        return self._pair

    def load(self, tasks: Tasks, folder: Path, names: tuple[str, str]) -> None:
        """Read what two photos of a project share; show it, unless others are wanted by then."""
        self._wanted = names
        self.show_pair(None)

        def show(pair: PairLines) -> None:
            if self._wanted == pair.names:
                self.show_pair(pair)

        def fail(error: Exception) -> None:
            if not isinstance(error, ReconError):
                raise error
            self.failed.emit(Notice(error.message, error.hint))

        tasks.start(partial(load_pair, folder, *names), show, fail)

    def show_pair(self, pair: PairLines | None) -> None:
        """Show a pair; None: wait for one."""
        self._pair = pair
        self._pictures = [] if pair is None else [to_pixmap(rgb) for rgb in pair.pictures]
        self.setAccessibleDescription("" if pair is None else describe_pair(pair))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        of, painter = colours(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(of.canvas))
        painter.setPen(QColor(of.text))
        words = QRectF(0, self.height() - WORDS_HEIGHT, self.width(), WORDS_HEIGHT)
        told = "Reading the matches …" if self._pair is None else describe_pair(self._pair)
        painter.drawText(words, Qt.AlignmentFlag.AlignCenter, told)
        if self._pair is not None:
            areas = [self._area(index) for index in range(2)]
            for area, picture in zip(areas, self._pictures, strict=True):
                painter.drawPixmap(area, picture, QRectF(picture.rect()))
            self._paint_lines(painter, areas, self._pair)
        painter.end()

    def _area(self, index: int) -> QRectF:
        """Where a photo goes: beside the other in a wide window, above it in a high one."""
        is_wide = self.width() > self.height()
        width = (self.width() - 3 * MARGIN) / 2 if is_wide else self.width() - 2 * MARGIN
        height = float(self.height() - WORDS_HEIGHT - 2 * MARGIN)
        height = height if is_wide else (height - MARGIN) / 2
        left = MARGIN + (index * (width + MARGIN) if is_wide else 0)
        top = MARGIN + (0 if is_wide else index * (height + MARGIN))
        size = QSizeF(self._pictures[index].size()).scaled(width, height, Qt.AspectRatioMode.KeepAspectRatio)
        area = QRectF(QPointF(), size)
        area.moveCenter(QRectF(left, top, width, height).center())
        return area

    def _paint_lines(self, painter: QPainter, areas: list[QRectF], pair: PairLines) -> None:
        """Lines in the colours of the rainbow from left to right: neighbours belong together."""
        for a, b in zip(*pair.points, strict=True):
            colour = QColor.fromHsvF(0.83 * float(a[0]), 0.85, 1.0, 0.75)
            painter.setPen(QPen(colour, 1.2))
            ends = [
                QPointF(area.left() + x * area.width(), area.top() + y * area.height())
                for area, (x, y) in zip(areas, (a, b), strict=True)
            ]
            painter.drawLine(*ends)
            painter.setBrush(colour)
            for end in ends:
                painter.drawEllipse(end, 2.5, 2.5)


def describe_pair(pair: PairLines) -> str:
    """One line on the pair."""
    shown = "" if len(pair.points[0]) == pair.num_matches else f", {len(pair.points[0])} of them shown"
    told = f"{pair.names[0]} and {pair.names[1]}: {pair.num_matches:,} matches agree{shown}"
    return told if pair.rejected is None else f"{told}; not used: {pair.rejected}"
