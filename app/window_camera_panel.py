"""Details beside the cameras: each photo with how sure its camera is; what to do about those that failed."""

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPixmap
from PyQt6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.project_model import ProjectModel
from app.window_parts import button, card, label, row
from app.window_photo_panel import why_not
from app.window_style import colours, confidence_colour
from recon.report import LOW_CONFIDENCE, PhotoReport

NAME_ROLE = Qt.ItemDataRole.UserRole


class CameraPanel(QWidget):
    """A photo is looked through when it is chosen; of two what they share is shown.

    Signals:
        photo_chosen: the name of a placed photo.
        selection_changed: one was chosen, or two, or more.
        next_wanted: to go on to the build.
    """

    photo_chosen = pyqtSignal(str)
    selection_changed = pyqtSignal()
    next_wanted = pyqtSignal()

    def __init__(self, model: ProjectModel) -> None:
        super().__init__()
        self._model = model
        layout = QVBoxLayout(self)
        self.summary = label(role="heading")
        self.list = QListWidget()
        self.list.setObjectName("camera_list")
        self.list.setAccessibleName("Photos and their cameras")
        self.list.setToolTip("Choose one to look through its camera; choose two to see what matches between them")
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.currentItemChanged.connect(lambda item, _: self._choose(item))
        self.list.itemSelectionChanged.connect(self.selection_changed)
        self.told = label()
        self.pairs = label(role="faint")
        self.leave_out = button("&Leave out", self._leave_out, tip="Build without this photo", name="leave_out")
        tip = "Compare the photos again with the slower, more careful matcher"
        self.harder = button("&Try harder", self._try_harder, tip=tip, name="try_harder")
        self.go_on = button("&Go on", self.next_wanted.emit, tip="Build with the photos that were placed", name="go_on")
        self.failed, failed_layout = card(self.told)
        failed_layout.addLayout(row(self.leave_out, self.harder))
        failed_layout.addWidget(self.go_on)
        tip = "Compare the photos and find out where each was taken (Ctrl+K)"
        self.find_button = button("&Find cameras", model.find_cameras, tip=tip, role="primary")
        self.next = button("&Build this scene", self.next_wanted.emit, tip="Go on to step 3", role="primary")
        self.why = label(role="faint")
        self.take_in = button("Ta&ke in again", self._take_in, tip="Use the photo that was left out", name="take_in")
        below = (self.pairs, self.failed, self.take_in, self.find_button, self.next, self.why)
        for part in (self.summary, self.list, *below):
            layout.addWidget(part)
        layout.setStretchFactor(self.list, 1)
        layout.addStretch(0)  # takes the room of the list while that is empty
        for signal in (model.report_changed, model.run_changed, model.photos_changed, model.settings_changed):
            signal.connect(self._show)
        self._show()

    def selected_names(self) -> list[str]:
        """The photos that are chosen, by the report's names."""
        return [item.data(NAME_ROLE) for item in self.list.selectedItems()]

    def select(self, name: str) -> None:
        """Choose a photo, as a click on its frame does."""
        for index in range(self.list.count()):
            item = self.list.item(index)
            if item is not None and item.data(NAME_ROLE) == name and item is not self.list.currentItem():
                self.list.setCurrentItem(item)

    def _photos(self) -> Sequence[PhotoReport]:
        return self._model.report.photos if self._model.report else ()

    def _current(self) -> PhotoReport | None:
        item = self.list.currentItem()
        name = None if item is None else item.data(NAME_ROLE)
        return next((photo for photo in self._photos() if photo.name == name), None)

    def _choose(self, item: QListWidgetItem | None) -> None:
        photo = self._current()
        if photo is not None and photo.placed:
            self.photo_chosen.emit(photo.name)
        self._show_failed()

    def _show(self) -> None:
        photos = self._photos()
        known = [photo for photo in photos if photo.placed is not None]
        placed = sum(photo.placed is True for photo in known)
        is_running = self._model.work.phase != "idle"
        none = "Looking for the cameras …" if is_running else "No cameras yet"
        self.summary.setText(f"{placed} of {len(known)} photos placed" if known else none)
        if [self._key_of(photo) for photo in photos] != [self._key(row) for row in range(self.list.count())]:
            self._fill(photos)
        self.list.setVisible(bool(photos))
        is_wanted = not placed or (self._model.has_other_photos and not self._model.has_fewer_photos)
        self.find_button.setVisible(is_wanted and not is_running)
        self.find_button.setEnabled(self._model.can_run)
        self.next.setVisible(not is_wanted)
        told = why_not(self._model) if is_wanted and not is_running else ""
        self.why.setText(told or ("The photos have changed since." if is_wanted and placed else ""))
        self.why.setVisible(bool(self.why.text()))
        self._show_failed()

    def _key(self, index: int) -> object:
        item = self.list.item(index)
        return None if item is None else item.data(NAME_ROLE + 1)

    def _key_of(self, photo: PhotoReport) -> object:
        """What its line in the list depends on."""
        return (photo.name, photo.placed, photo.confidence, self._is_out(photo))

    def _fill(self, photos: Sequence[PhotoReport]) -> None:
        current = self._current()
        self.list.blockSignals(True)
        self.list.clear()
        for photo in photos:
            is_out = self._is_out(photo)
            mark = QColor(colours().faint) if is_out else confidence_colour(photo.confidence, photo.placed is True)
            item = QListWidgetItem(dot(mark), describe(photo, is_out=is_out))
            item.setData(NAME_ROLE, photo.name)
            item.setData(NAME_ROLE + 1, self._key_of(photo))
            item.setToolTip(" ".join(text for text in (photo.reason, photo.hint) if text) or explain(photo))
            self.list.addItem(item)
            if current is not None and photo.name == current.name:
                self.list.setCurrentItem(item)
        self.list.blockSignals(False)
        if self.list.currentItem() is None:
            failed = next((index for index, photo in enumerate(photos) if photo.placed is False), None)
            if failed is not None:
                self.list.setCurrentRow(failed)

    def _show_failed(self) -> None:
        photo = self._current()
        is_out = photo is not None and self._is_out(photo)
        is_failed = photo is not None and photo.placed is False and not is_out
        self.failed.setVisible(is_failed)
        self.take_in.setVisible(is_out)
        if photo is not None and is_failed:
            self.told.setText(" ".join(text for text in (photo.reason, photo.hint) if text))
            placed = sum(other.placed is True for other in self._photos())
            self.go_on.setText(f"&Go on with {placed} of {len(self._photos())}")
            self.go_on.setVisible(placed >= 2)
            is_tried = self._model.matcher == "quality"
            self.harder.setEnabled(self._model.can_run and not is_tried)
            self.harder.setText("Tried harder" if is_tried and self._model.phase == "idle" else "&Try harder")
        self.pairs.setText(describe_pairs(self._model, photo))
        self.pairs.setVisible(bool(self.pairs.text()))

    def _path(self, photo: PhotoReport) -> Path | None:
        by_name = (other.path for other in self._model.photos if other.path.name == photo.name)
        return self._model.result.paths.get(photo.name) or next(by_name, None)

    def _is_out(self, photo: PhotoReport) -> bool:
        path = self._path(photo)
        return any(other.path == path and other.is_removed for other in self._model.photos)

    def _leave_out(self) -> None:
        photo = self._current()
        path = None if photo is None else self._path(photo)
        if path is not None:
            self._model.remove([path])

    def _take_in(self) -> None:
        photo = self._current()
        path = None if photo is None else self._path(photo)
        if path is not None:
            self._model.restore([path])

    def _try_harder(self) -> None:
        self._model.set_matcher("quality")
        self._model.find_cameras()


def describe(photo: PhotoReport, *, is_out: bool = False) -> str:
    """Two lines for the list."""
    if is_out:
        return f"{photo.name}\nleft out"
    if photo.placed is None:
        return f"{photo.name}\nnot tried yet"
    if not photo.placed:
        return f"{photo.name}\nnot placed"
    sure = "" if photo.confidence is None else f"{100 * photo.confidence:.0f} % sure"
    aside = "kept aside for measuring" if photo.is_heldout else ""
    return f"{photo.name}\n" + (" · ".join(text for text in (sure, aside) if text) or "placed")


def explain(photo: PhotoReport) -> str:
    """Why it is that sure, for the tool tip."""
    if not photo.placed:
        return ""
    error = "" if photo.error_px is None else f", {photo.error_px:.2f} px from where they should be"
    doubt = photo.confidence is not None and photo.confidence < LOW_CONFIDENCE
    return f"It sees {photo.num_points:,} points{error}." + (" Its camera may be wrong." if doubt else "")


def describe_pairs(model: ProjectModel, photo: PhotoReport | None) -> str:
    """Which photos share most with one."""
    if model.report is None or photo is None:
        return ""
    shared = sorted(
        ((pair.num_inliers, pair.b if pair.a == photo.name else pair.a, pair.rejected is None)
         for pair in model.report.pairs if photo.name in (pair.a, pair.b)),
        reverse=True,
    )  # fmt: skip
    if not shared:
        return ""
    if not shared[0][0]:
        return "Matches: none with any other photo"
    lines = [f"{count:,} with {name}{'' if is_used else ' (not used)'}" for count, name, is_used in shared[:3] if count]
    return "Matches: " + "; ".join(lines)


def dot(colour: QColor) -> QIcon:
    """A round mark."""
    picture = QPixmap(32, 32)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(5, 5, 22, 22)
    painter.end()
    icon = QIcon(picture)
    icon.addPixmap(picture, QIcon.Mode.Selected)  # else the selection's colour is laid over it
    return icon
