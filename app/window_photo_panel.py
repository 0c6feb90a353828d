"""Details beside the photos: the chosen one, and the way on."""

from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from app.project_model import ProjectModel
from app.project_photos import ProjectPhoto
from app.project_result import MIN_PHOTOS
from app.window_parts import button, label, row, rule
from app.window_photo_pane import PhotoPane
from app.window_photos import thumbnail_of

PICTURE_HEIGHT = 200  # px, of a photo of 3:2 in the width of the panel
FEW = 4  # fewer photos see little from two sides


class PhotoPanel(QWidget):
    """What is known of the chosen photo.

    Signals:
        add_wanted: asks for a dialogue.
        next_wanted: to go on.
        masks_toggled: to draw masks, or not.
    """

    add_wanted = pyqtSignal()
    masks_toggled = pyqtSignal(bool)
    next_wanted = pyqtSignal()

    def __init__(self, model: ProjectModel) -> None:
        super().__init__()
        self._model = model
        self._path: Path | None = None
        layout = QVBoxLayout(self)
        self.title = label("Photos", "heading")
        self.pane = PhotoPane("The chosen photo")
        self.pane.setFixedHeight(PICTURE_HEIGHT)
        self.masks = QCheckBox("Show &masks")
        self.masks.setToolTip("Draw what masks leave out dark; it is not built")
        self.masks.setChecked(True)
        self.masks.toggled.connect(self.masks_toggled)
        self.masks.toggled.connect(lambda _: self._show())
        self.facts = label(role="faint")
        self.findings = label(role="warning")
        self.toggle = button("&Leave out", self._toggle, tip="Leave the photo out; the file stays (Del, Space)")
        self.add = button("&Add photos …", self.add_wanted.emit, tip="Choose more photo files (Ctrl+O)")
        self.counted = label()
        self.folder = QLineEdit()
        self.folder.setReadOnly(True)
        self.folder.setAccessibleName("Project folder")
        choose = button("C&hange …", self._choose_folder, tip="Choose where the project is kept")
        self.saved = label(role="faint")
        tip = "Compare the photos and find out where each was taken (Ctrl+K)"
        self.next = button("&Find cameras", self.next_wanted.emit, tip=tip, role="primary", name="find_cameras")
        self.why = label(role="faint")
        for part in (self.title, self.pane, self.masks, self.facts, self.findings):
            layout.addWidget(part)
        layout.addLayout(row(self.toggle, self.add))
        layout.addWidget(rule())
        layout.addWidget(self.counted)
        layout.addStretch(1)
        layout.addWidget(label("The project is kept in", "faint"))
        layout.addLayout(row(self.folder, choose))
        layout.addWidget(self.saved)
        layout.addWidget(self.next)
        layout.addWidget(self.why)
        model.photos_changed.connect(self._show)
        model.settings_changed.connect(self._show)
        model.run_changed.connect(self._show)
        self._show()

    def choose(self, path: Path | None) -> None:
        """Show what is known of a photo."""
        self._path = path
        self._show()

    def _photo(self) -> ProjectPhoto | None:
        return next((photo for photo in self._model.photos if photo.path == self._path), None)

    def _show(self) -> None:
        photo = self._photo()
        self.title.setText(photo.path.name if photo else "Photos")
        self.facts.setText(describe_photo(photo) if photo else "Choose a photo to see what is known of it.")
        seen = photo.inspected if photo else None
        self.pane.setVisible(seen is not None and seen.thumbnail is not None)
        if seen is not None:
            self.pane.show_rgb(thumbnail_of(seen, with_mask=self.masks.isChecked()))
        self.masks.setVisible(any(p.inspected and p.inspected.mask is not None for p in self._model.photos))
        self.findings.setText("\n".join(badge.sentence for badge in photo.badges) if photo else "")
        self.findings.setVisible(bool(photo and photo.badges))
        self.toggle.setEnabled(photo is not None)
        self.toggle.setText("&Take in again" if photo and photo.is_removed else "&Leave out")
        self.counted.setText(describe_photos(self._model))
        self.folder.setText(str(self._model.folder or ""))
        self.folder.setToolTip(str(self._model.folder or ""))
        self.saved.setText("Changes are kept beside it until you build." if self._model.is_unsaved else "")
        self.next.setEnabled(self._model.can_run)
        self.why.setText("" if self._model.can_run else why_not(self._model))
        self.why.setVisible(not self._model.can_run)

    def _toggle(self) -> None:
        photo = self._photo()
        if photo is not None:
            (self._model.restore if photo.is_removed else self._model.remove)([photo.path])

    def _choose_folder(self) -> None:
        start = str(self._model.folder.parent if self._model.folder else Path.home())
        name = QFileDialog.getExistingDirectory(self, "Choose a new or empty folder", start)
        if name:
            self._model.set_folder(Path(name))


def describe_photo(photo: ProjectPhoto) -> str:
    """Size, camera and whether it is used."""
    seen = photo.inspected
    if seen is None:
        return "It is being looked at …"
    if seen.problem is not None:
        return ""
    facts = [f"{seen.width} x {seen.height} pixels", seen.camera]
    return "\n".join([*facts, *(["Left out."] if photo.is_removed else [])])


def describe_photos(model: ProjectModel) -> str:
    """How many, and whether that is enough."""
    used, out = len(model.used_photos), len(model.photos) - len(model.used_photos)
    told = f"{used} photo{'s' * (used != 1)} will be used" + (f", {out} left out." if out else ".")
    if MIN_PHOTOS <= used < FEW:
        told += " That works, but what few photos show stays thin: six or more are better."
    return told


def why_not(model: ProjectModel) -> str:
    """Why nothing can be run now; empty if it can."""
    if model.phase != "idle":
        return "A run is under way; stop it first."
    if len(model.used_photos) < MIN_PHOTOS:
        return "Two photos are the least."
    return "" if model.can_run else "Choose a project folder."
