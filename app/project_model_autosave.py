"""Changes to a project, kept beside its folder soon after they are made, never in it. Knows no widgets."""

from pathlib import Path

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.project_files import Asked, discard_unsaved, is_project, read_asked, write_unsaved
from app.project_notice import Notice
from recon.errors import ReconError

AFTER_MS = 400


class Autosave(QObject):
    """Says when to keep changes, and keeps them.

    Signals:
        due: the last change was a moment ago; call `keep`.
        failed: a `Notice`.
    """

    due = pyqtSignal()
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_unsaved = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.timeout.connect(self.due)

    def edited(self) -> None:
        """Something was changed."""
        self.is_unsaved = True
        self._timer.start()

    def keep(self, folder: Path, asked: Asked) -> None:
        """Keep what is asked for beside the project folder; nothing if it is as it was built."""
        self._timer.stop()
        try:
            if is_project(folder) and read_asked(folder) == asked:
                self.is_unsaved = False
                discard_unsaved(folder)
            else:
                write_unsaved(folder, asked)
        except (OSError, ReconError) as error:
            told = f"Your changes cannot be kept beside {folder.name}: {error}."
            self.failed.emit(Notice(told, "Choose another project folder."))
