"""A reconstruction as a child process, seen from the window.

The child runs the command line's own code with `--progress jsonl`: what crashes it leaves the window standing.
"""

import json
import sys
from pathlib import Path

from PyQt6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

KILL_AFTER_MS = 10_000  # a stage asks whether to stop at least twice a second; what takes longer hangs
MAX_ERROR_CHARS = 2000
CANCELLED, BUG = 130, 1


class ReconstructionRun(QObject):
    """One run at a time; signals arrive in the window's thread.

    Signals:
        progressed: a `progress` event of the command line, as a dict.
        warned: an odd but survivable finding.
        failed: sentence and hint.
        finished: exit code and outputs (what -> path relative to the project folder), always the last.
    """

    progressed = pyqtSignal(dict)
    warned = pyqtSignal(str)
    failed = pyqtSignal(str, str)
    finished = pyqtSignal(int, dict)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read_events)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._end)
        self._process.errorOccurred.connect(self._process_error)
        self._has_failed = False
        self._is_cancelled = False
        self._outputs: dict[str, str] = {}
        self._errors = ""

    @property
    def is_running(self) -> bool:
        """A child process is at work."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, photos: list[Path], out: Path, preset: str) -> None:
        """Start the child process; only when none is running."""
        self._has_failed, self._is_cancelled, self._outputs, self._errors = False, False, {}, ""
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONPATH", str(Path(__file__).parents[1]))
        environment.insert("PYTHONIOENCODING", "utf-8")
        self._process.setProcessEnvironment(environment)
        # -P: a folder called "app" where the window was started must not be taken for ours.
        command = ["-P", "-m", "app", "reconstruct", "-o", str(out), "--preset", preset, "--progress", "jsonl"]
        self._process.start(sys.executable, command + [str(photo) for photo in photos])

    def cancel(self) -> None:
        """Ask the child to stop between two steps; end it if it does not."""
        if self.is_running:
            self._is_cancelled = True
            self._process.terminate()
            QTimer.singleShot(KILL_AFTER_MS, self._process.kill)

    def wait(self) -> None:
        """Block until the child has ended."""
        if self.is_running and not self._process.waitForFinished(KILL_AFTER_MS):
            self._process.kill()
            self._process.waitForFinished()

    def _read_events(self) -> None:
        while self._process.canReadLine():
            try:
                event = json.loads(bytes(self._process.readLine()))  # type: ignore[call-overload]
                kind = event["event"]
            except (ValueError, KeyError, TypeError):
                continue  # a library printed something
            if kind == "progress":
                self.progressed.emit(event)
            elif kind == "warning":
                self.warned.emit(event["message"])
            elif kind == "error" and not self._is_cancelled:
                self._has_failed = True
                self.failed.emit(event["message"], event["hint"])
            elif kind == "done":
                self._outputs = event["outputs"]

    def _read_errors(self) -> None:
        text = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")  # type: ignore[call-overload]
        self._errors = (self._errors + text)[-MAX_ERROR_CHARS:]

    def _end(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._read_events()
        self._read_errors()
        if status == QProcess.ExitStatus.CrashExit and self._is_cancelled:
            exit_code = CANCELLED
        elif status == QProcess.ExitStatus.CrashExit and not self._has_failed:
            self.failed.emit(
                "The reconstruction was ended by the system.", "Memory may be short: close other programs."
            )
            exit_code = BUG
        elif exit_code not in (0, 3, CANCELLED) and not self._has_failed:
            self.failed.emit("The reconstruction failed unexpectedly.", self._errors.strip())
        self.finished.emit(exit_code, self._outputs)

    def _process_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # `finished` does not follow then
            self.failed.emit("The reconstruction could not be started.", self._process.errorString())
            self.finished.emit(BUG, {})
