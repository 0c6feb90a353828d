"""The desktop window: choose photos, build, look at the result."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QSize, Qt, QTimer, QUrl
from PyQt6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QIcon,
    QImageReader,
    QPixmap,
)
from PyQt6.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMainWindow,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.progress_display import duration
from app.viewport import Viewport
from app.window_run import CANCELLED, ReconstructionRun
from recon.photo_loading import PHOTO_SUFFIXES

PRESETS = ("draft", "standard", "best")
THUMBNAIL = QSize(128, 96)
PROGRESS_STEPS = 1000
PATH_ROLE = Qt.ItemDataRole.UserRole


class PhotoList(QListWidget):
    """The photos to use, with thumbnails; takes files and folders that are dropped on it."""

    def __init__(self) -> None:
        super().__init__()
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setMovement(QListWidget.Movement.Static)
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.setIconSize(THUMBNAIL)
        self.setGridSize(THUMBNAIL + QSize(16, 32))  # fixed: thumbnails come after the names
        self.setAcceptDrops(True)
        self._without_thumbnail: list[QListWidgetItem] = []

    def photos(self) -> list[Path]:
        """The photos in the order they were added."""
        return [self.item(row).data(PATH_ROLE) for row in range(self.count())]  # type: ignore[union-attr]

    def add(self, paths: Iterable[Path]) -> None:
        """Add photos, and those directly inside folders; each once."""
        known = set(self.photos())
        for path in paths:
            for photo in sorted(path.iterdir()) if path.is_dir() else [path]:
                if photo.suffix.lower() in PHOTO_SUFFIXES and photo not in known:
                    known.add(photo)
                    item = QListWidgetItem(photo.name)
                    item.setData(PATH_ROLE, photo)
                    item.setToolTip(str(photo))
                    self.addItem(item)
                    self._without_thumbnail.append(item)
        QTimer.singleShot(0, self._load_one_thumbnail)

    def remove_selected(self) -> None:
        """Take the selected photos out of the list."""
        for item in self.selectedItems():
            if item in self._without_thumbnail:
                self._without_thumbnail.remove(item)
            self.takeItem(self.row(item))

    def _load_one_thumbnail(self) -> None:
        """One at a time between events, so that the window answers; Qt decodes JPEG at reduced size."""
        if not self._without_thumbnail:
            return
        item = self._without_thumbnail.pop(0)
        reader = QImageReader(str(item.data(PATH_ROLE)))
        reader.setAutoTransform(True)
        if reader.size().isValid():
            reader.setScaledSize(reader.size().scaled(2 * THUMBNAIL, Qt.AspectRatioMode.KeepAspectRatio))
        item.setIcon(QIcon(QPixmap.fromImage(reader.read())))
        QTimer.singleShot(0, self._load_one_thumbnail)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and (mime := event.mimeData()) is not None and mime.hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent | None) -> None:
        if event is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        if event is not None and (mime := event.mimeData()) is not None:
            self.add(Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile())
            event.acceptProposedAction()


class MainWindow(QMainWindow):
    """Photos on the left, the scene in the middle, what to do and what happens on the right."""

    def __init__(self, out: Path | None = None) -> None:
        super().__init__()
        self.setWindowTitle("Handful")
        self.resize(1280, 720)
        self.run = ReconstructionRun(self)
        self.photo_list = PhotoList()
        self.output = QLineEdit(str(out) if out else "")
        self.output.setPlaceholderText("project folder")
        self.preset = QComboBox()
        self.preset.addItems(PRESETS)
        self.preset.setCurrentText("standard")
        self.build_button = _button("Build", self.build)
        self.cancel_button = _button("Cancel", self.run.cancel)
        self.report_button = _button("Open report", lambda: self._open("report.html"))
        self.folder_button = _button("Open folder", lambda: self._open(""))
        self.bar = QProgressBar()
        self.bar.setRange(0, PROGRESS_STEPS)
        self.viewport = Viewport()
        self.viewport.hide()  # until there is something to see
        self.viewport.failed.connect(lambda message, hint: self._note(f"{message} {hint}".strip()))
        self.viewport.shown.connect(lambda _: self.viewport.show())
        self.status = QLabel("Drop 3 to 20 photos of one thing or place here.")
        self.messages = QPlainTextEdit()
        self.messages.setReadOnly(True)
        self._lay_out()
        self.run.progressed.connect(self._show_progress)
        self.run.warned.connect(self._note)
        self.run.failed.connect(lambda message, hint: self._note(f"{message} {hint}".strip()))
        self.run.finished.connect(self._show_end)
        model = self.photo_list.model()
        assert model is not None
        model.rowsInserted.connect(self._propose_output)
        model.rowsRemoved.connect(self._update_buttons)
        self.output.textChanged.connect(self._update_buttons)
        self._update_buttons()
        if out is not None and (out / "splats.ply").is_file():
            self.viewport.open_project(out)

    def build(self) -> None:
        """Start a reconstruction of the photos in the list."""
        self.messages.clear()
        self.bar.setValue(0)
        self.status.setText("Starting …")
        self.run.start(self.photo_list.photos(), Path(self.output.text()), self.preset.currentText())
        self._update_buttons()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.run.cancel()
        self.run.wait()
        super().closeEvent(event)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(QLabel("Save in"), 0, 0)
        grid.addWidget(self.output, 0, 1)
        grid.addWidget(_button("…", self._choose_output), 0, 2)
        grid.addWidget(QLabel("Quality"), 1, 0)
        grid.addWidget(self.preset, 1, 1, 1, 2)
        right = QVBoxLayout()
        right.addLayout(grid)
        right.addLayout(_row(self.build_button, self.cancel_button))
        right.addWidget(self.bar)
        right.addWidget(self.status)
        right.addWidget(self.messages)
        right.addLayout(_row(self.report_button, self.folder_button))
        left = QVBoxLayout()
        left.addWidget(self.photo_list)
        left.addLayout(_row(_button("Add photos …", self._choose_photos), _button("Remove", self._remove)))
        both = QHBoxLayout()
        both.addLayout(left, 3)
        both.addWidget(self.viewport, 5)
        both.addLayout(right, 2)
        center = QWidget()
        center.setLayout(both)
        self.setCentralWidget(center)

    def _choose_photos(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in sorted(PHOTO_SUFFIXES))
        names, _ = QFileDialog.getOpenFileNames(self, "Choose photos", "", f"Photos ({kinds})")
        self.photo_list.add(Path(name) for name in names)

    def _choose_output(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a project folder", self.output.text())
        if name:
            self.output.setText(name)

    def _remove(self) -> None:
        self.photo_list.remove_selected()

    def _show_progress(self, event: dict[str, Any]) -> None:
        self.bar.setValue(round(PROGRESS_STEPS * event["overall"]))
        rest = "" if event["eta_s"] is None else f" · {duration(event['eta_s'])} left"
        self.status.setText(f"{event['stage']}: {event['message']}{rest}")

    def _show_end(self, exit_code: int, outputs: dict[str, str]) -> None:
        texts = {0: "Done.", 3: "Done; some photos were left out.", CANCELLED: "Cancelled; Build resumes."}
        self.status.setText(texts.get(exit_code, "There is no result."))
        self._update_buttons()
        if "splats" in outputs:
            self.viewport.open_project(Path(self.output.text()))

    def _note(self, text: str) -> None:
        self.messages.appendPlainText(text)

    def _propose_output(self) -> None:
        """The first photos propose a project folder beside theirs."""
        if not self.output.text():
            folder = self.photo_list.photos()[0].absolute().parent
            self.output.setText(str(folder.with_name(f"{folder.name}-handful")))
        self._update_buttons()

    def _update_buttons(self) -> None:
        running = self.run.is_running
        self.build_button.setEnabled(not running and self.photo_list.count() > 0 and bool(self.output.text()))
        self.cancel_button.setEnabled(running)
        folder = Path(self.output.text())
        self.report_button.setEnabled(bool(self.output.text()) and (folder / "report.html").is_file())
        self.folder_button.setEnabled(bool(self.output.text()) and folder.is_dir())

    def _open(self, name: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self.output.text()).absolute() / name)))


def _button(text: str, action: Any) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: action())
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def open_window(out: Path | None = None) -> int:
    """Show the window until it is closed; returns the exit code."""
    application = QApplication(sys.argv[:1])
    window = MainWindow(out)
    window.show()
    return application.exec()
