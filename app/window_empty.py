"""What the window shows before there are photos: drop them here, or try the samples."""

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QPixmap
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.photo_inspection import photos_in
from app.window_parts import button, label, set_role
from assets import SAMPLES

SAMPLE_TITLES = {"banana": "Banana, 6 photos", "tankard": "Tankard, 6 photos", "berlin": "Street, 3 photos"}
ADVICE = (
    "3 to 20 photos of one thing or place. Take a step to the side between two photos, so that each shows most of what "
    "the one before shows. Do not zoom."
)
MAX_RECENT = 5
ADVICE_WIDTH = 460


class EmptyPage(QWidget):
    """Signals: photos chosen by dropping are the window's; these are its own buttons.

    Signals:
        add_wanted, open_wanted: a dialogue, please.
        sample_wanted: the folder of a sample.
        project_wanted: a recent project.
    """

    add_wanted = pyqtSignal()
    open_wanted = pyqtSignal()
    sample_wanted = pyqtSignal(Path)
    project_wanted = pyqtSignal(Path)

    def __init__(self) -> None:
        super().__init__()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(32, 24, 32, 24)
        self.frame = QFrame()
        self.frame.setProperty("role", "drop")
        inner = QVBoxLayout(self.frame)
        inner.setSpacing(12)
        inner.addStretch(2)
        title = label("Drop photos here", "title")
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        inner.addWidget(title)
        advice = label(ADVICE, "faint")
        advice.setAlignment(Qt.AlignmentFlag.AlignCenter)
        advice.setFixedWidth(ADVICE_WIDTH)
        advice.setMinimumHeight(advice.heightForWidth(ADVICE_WIDTH))  # layouts forget that it wraps
        inner.addWidget(advice, alignment=Qt.AlignmentFlag.AlignHCenter)
        inner.addLayout(self._buttons())
        inner.addStretch(1)
        samples = label("Nothing at hand? Try one of these:", "faint")
        samples.setAlignment(Qt.AlignmentFlag.AlignCenter)
        inner.addWidget(samples)
        inner.addLayout(self._samples())
        inner.addStretch(2)
        outer.addWidget(self.frame, 1)
        self.recent = QVBoxLayout()
        self.recent.setSpacing(2)
        outer.addLayout(self.recent)

    def show_recent(self, folders: Sequence[Path]) -> None:
        """Offer recent projects."""
        while (item := self.recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        if folders:
            self.recent.addWidget(label("Recent projects", "heading"))
        for folder in folders[:MAX_RECENT]:
            made = button(f"{folder.name}   ({folder.parent})", lambda folder=folder: self.project_wanted.emit(folder))  # type: ignore[misc]
            made.setFlat(True)
            made.setStyleSheet("text-align: left;")
            made.setToolTip(f"Open {folder}")
            self.recent.addWidget(made)

    def set_hot(self, is_hot: bool) -> None:
        """Show that what is dragged can be dropped."""
        self.frame.setProperty("hot", "true" if is_hot else "false")
        self.frame.setProperty("role", "")
        set_role(self.frame, "drop")

    def _buttons(self) -> QHBoxLayout:
        add = button(
            "&Add photos …", self.add_wanted.emit, tip="Choose photo files (Ctrl+O)", role="primary", name="add"
        )
        open_ = button("Open &project …", self.open_wanted.emit, tip="Open an earlier project (Ctrl+Shift+O)")
        layout = QHBoxLayout()
        layout.addStretch(1)
        layout.addWidget(add)
        layout.addWidget(open_)
        layout.addStretch(1)
        return layout

    def _samples(self) -> QHBoxLayout:
        layout = QHBoxLayout()
        layout.addStretch(1)
        for name, title in SAMPLE_TITLES.items():
            made = QToolButton()
            made.setObjectName(f"sample_{name}")
            made.setText(title)
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setIconSize(QSize(120, 80))
            made.setAutoRaise(True)
            made.setToolTip(f"Try the sample {name}; it ships with the program")
            made.clicked.connect(lambda _, name=name: self.sample_wanted.emit(SAMPLES / name))
            layout.addWidget(made)
        layout.addStretch(1)
        return layout

    def set_sample_picture(self, name: str, picture: QPixmap) -> None:
        """Show a picture on a sample's button."""
        made = self.findChild(QToolButton, f"sample_{name}")
        if made is not None:
            made.setIcon(QIcon(picture))


def first_photo(name: str) -> Path:
    """A photo that stands for a sample."""
    return photos_in([SAMPLES / name])[0]
