"""The photos as thumbnails with badges, and what can be said about the one that is chosen."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QModelIndex, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPalette, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.masked_picture import masked_picture
from app.photo_inspection import InspectedPhoto
from app.project_photos import ProjectPhoto
from app.window_pictures import to_pixmap
from app.window_style import colours

MIN_PICTURE = QSize(192, 132)
ASIDE, BELOW = 16, 46  # of a picture in its cell, px
PATH_ROLE, PHOTO_ROLE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class PhotoGrid(QListWidget):
    """Thumbnails; Delete leaves the chosen photos out, Space turns that about.

    Signals:
        remove_wanted, toggle_wanted: lists of paths.
        chosen: the photo that has the focus, or None.
    """

    remove_wanted = pyqtSignal(list)
    toggle_wanted = pyqtSignal(list)
    chosen = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("photo_grid")
        self.setAccessibleName("Photos")
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setMovement(QListWidget.Movement.Static)
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self._fit()
        self.setUniformItemSizes(True)
        self.setItemDelegate(_PhotoDelegate(self))
        self.currentItemChanged.connect(lambda item, _: self.chosen.emit(item and item.data(PATH_ROLE)))
        self._pictures: dict[Path, QPixmap] = {}
        self._shows_masks = True

    def show_photos(self, photos: Iterable[ProjectPhoto]) -> None:
        """Show these; what was chosen stays so."""
        items = {item.data(PATH_ROLE): item for item in (self.item(row) for row in range(self.count())) if item}
        wanted = {photo.path: photo for photo in photos}
        for path in items.keys() - wanted.keys():
            self.takeItem(self.row(items[path]))
            self._pictures.pop(path, None)
        for path, photo in wanted.items():
            item = items.get(path)
            if item is None:
                item = QListWidgetItem(self)
                item.setData(PATH_ROLE, path)
            item.setData(PHOTO_ROLE, photo)
            item.setText(path.name)
            said = [badge.sentence for badge in photo.badges]
            item.setToolTip("\n".join([str(path), *said, *(["Left out; Space takes it in again."] * photo.is_removed)]))
            state = "left out, " if photo.is_removed else ""
            item.setData(
                Qt.ItemDataRole.AccessibleTextRole,
                f"{path.name}, {state}{', '.join(badge.label for badge in photo.badges) or 'fine'}",
            )

    def selected_paths(self) -> list[Path]:
        """Those that are chosen."""
        return [item.data(PATH_ROLE) for item in self.selectedItems()]

    def show_masks(self, is_shown: bool) -> None:
        """Draw what masks leave out dark, or as it is."""
        self._shows_masks = is_shown
        self._pictures.clear()
        port = self.viewport()
        assert port is not None
        port.update()

    def picture(self, photo: ProjectPhoto) -> QPixmap | None:
        """Its thumbnail, once it was looked at."""
        if photo.path not in self._pictures and photo.inspected is not None:
            rgb = thumbnail_of(photo.inspected, with_mask=self._shows_masks)
            if rgb is not None:
                self._pictures[photo.path] = to_pixmap(rgb)
        return self._pictures.get(photo.path)

    @property
    def picture_size(self) -> QSize:
        """Room for a picture: as many as can be stand beside each other and fill the width."""
        bar = self.verticalScrollBar()
        width = self.width() - 4 - (0 if bar is None else bar.sizeHint().width())  # whether the bar is there or not
        columns = max(width // (MIN_PICTURE.width() + ASIDE), 1)
        across = max(width // columns - ASIDE, MIN_PICTURE.width())
        return QSize(across, round(across * MIN_PICTURE.height() / MIN_PICTURE.width()))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        size = self.picture_size
        self.setGridSize(QSize(size.width() + ASIDE, size.height() + BELOW))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_wanted.emit(self.selected_paths())
        elif event is not None and event.key() == Qt.Key.Key_Space:
            self.toggle_wanted.emit(self.selected_paths())
        else:
            super().keyPressEvent(event)


class _PhotoDelegate(QStyledItemDelegate):
    """Paints a photo with its name and badges; a photo that is left out is faint and struck through."""

    def __init__(self, grid: PhotoGrid) -> None:
        super().__init__(grid)
        self._grid = grid

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return self._grid.gridSize()

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        assert painter is not None
        photo: ProjectPhoto = index.data(PHOTO_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        self._paint_ground(painter, option, is_selected)
        size = self._grid.picture_size
        area = QRect(option.rect.center().x() - size.width() // 2, option.rect.top() + 10, *_size(size))
        self._paint_picture(painter, area, photo)
        words = QRect(area.left(), area.bottom() + 4, area.width(), 22)
        self._paint_name(painter, words, photo, option, is_selected)
        self._paint_badges(painter, area, photo)
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem, is_selected: bool) -> None:
        if is_selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(option.palette.color(QPalette.ColorRole.Highlight))
            painter.drawRoundedRect(option.rect.adjusted(3, 3, -3, -3), 6, 6)
        elif option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(option.palette.color(QPalette.ColorRole.Highlight))
            painter.drawRoundedRect(option.rect.adjusted(3, 3, -3, -3), 6, 6)

    def _paint_picture(self, painter: QPainter, area: QRect, photo: ProjectPhoto) -> None:
        picture = self._grid.picture(photo)
        if picture is None:
            painter.fillRect(area, QColor(colours().line))
            problem = photo.inspected is not None and photo.inspected.problem
            painter.setPen(QColor(colours().faint))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "no photo" if problem else "…")
            return
        size = picture.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRect(0, 0, *_size(size))
        target.moveCenter(area.center())
        painter.setOpacity(0.25 if photo.is_removed else 1.0)
        painter.drawPixmap(target, picture)
        painter.setOpacity(1.0)
        if photo.is_removed:
            painter.setPen(QColor(colours().faint))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "left out")

    def _paint_name(
        self, painter: QPainter, words: QRect, photo: ProjectPhoto, option: QStyleOptionViewItem, is_selected: bool
    ) -> None:
        font = option.font
        font.setStrikeOut(photo.is_removed)
        painter.setFont(font)
        role = QPalette.ColorRole.HighlightedText if is_selected else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(role))
        name = QFontMetrics(font).elidedText(photo.path.name, Qt.TextElideMode.ElideMiddle, words.width())
        painter.drawText(words, Qt.AlignmentFlag.AlignCenter, name)

    def _paint_badges(self, painter: QPainter, area: QRect, photo: ProjectPhoto) -> None:
        of = colours()
        font = painter.font()
        font.setStrikeOut(False)
        font.setPointSizeF(max(font.pointSizeF() * 0.85, 7))
        painter.setFont(font)
        metrics = QFontMetrics(font)
        left = area.left() + 4
        for badge in photo.badges:
            width = metrics.horizontalAdvance(badge.label) + 12
            pill = QRect(left, area.top() + 4, width, metrics.height() + 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(
                QColor(of.bad if badge.kind == "unusable" else of.warning if badge.is_problem else of.faint)
            )
            painter.drawRoundedRect(pill, 4, 4)
            painter.setPen(QColor(of.canvas))
            painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, badge.label)
            left += width + 4


def thumbnail_of(seen: InspectedPhoto, *, with_mask: bool) -> NDArray[np.uint8] | None:
    """Its small picture [H, W, 3]; None if it cannot be read."""
    if seen.thumbnail is None or seen.mask is None or not with_mask:
        return seen.thumbnail
    return masked_picture(seen.thumbnail, seen.mask)


def _size(size: QSize) -> tuple[int, int]:
    return size.width(), size.height()
