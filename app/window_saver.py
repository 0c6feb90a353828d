"""Saving as a child process: the command line's own `export`."""

import sys
from pathlib import Path

from PyQt6.QtCore import QObject, QProcess, QProcessEnvironment, pyqtSignal

from app.window_run import told_error


def export_arguments(project: Path, format: str, destination: Path, *, may_replace: bool) -> list[str]:
    """What follows `handful`; only the file itself was agreed upon, not what else would lie beside a new one."""
    over = ["--overwrite"] if may_replace and destination.is_file() else []
    return ["export", str(project), "--to", format, "-o", str(destination), *over]


class Saver(QObject):
    """One file at a time.

    Signals:
        saved: where it was written.
        failed: sentence, hint, details.
        changed: it began or ended.
    """

    saved = pyqtSignal(Path)
    failed = pyqtSignal(str, str, str)
    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.finished.connect(self._end)
        self._process.errorOccurred.connect(self._process_error)
        self._destination = Path()

    @property
    def is_running(self) -> bool:
        """A file is being written."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, project: Path, format: str, destination: Path, *, may_replace: bool = False) -> None:
        """Write a project in a format, over a file only if that is agreed; only when nothing is being written."""
        self._destination = destination
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONPATH", str(Path(__file__).parents[1]))
        environment.insert("PYTHONIOENCODING", "utf-8")
        self._process.setProcessEnvironment(environment)
        arguments = export_arguments(project, format, destination, may_replace=may_replace)
        self._process.start(sys.executable, ["-P", "-m", "app.tethered", *arguments])
        self.changed.emit()

    def wait(self) -> None:
        """Block until nothing is being written."""
        if self.is_running:
            self._process.waitForFinished(-1)

    def _end(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        errors = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")  # type: ignore[call-overload]
        if status == QProcess.ExitStatus.NormalExit and exit_code == 0:
            self.saved.emit(self._destination)
        elif exit_code == 2 and errors.strip():
            self.failed.emit(*told_error(errors), "")
        else:
            self.failed.emit("Saving failed unexpectedly.", "Nothing was written.", errors.strip())
        self.changed.emit()

    def _process_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # `finished` does not follow then
            self.failed.emit("Saving could not be started.", self._process.errorString(), "")
            self.changed.emit()
