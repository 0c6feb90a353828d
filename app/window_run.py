"""The command line as a child process, seen from the window.

The child runs the command line's own code with `--progress jsonl`: what crashes it leaves the window standing.
"""

import json
import os
import signal
import sys
from pathlib import Path

from PyQt6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

from app.run_request import Request

KILL_AFTER_MS = 10_000  # a stage asks whether to stop at least twice a second; what takes longer hangs
MAX_ERROR_CHARS = 20_000
PREVIEW_POLL_MS = 400
CANCELLED, BUG, REFUSED = 130, 1, 2


class ReconstructionRun(QObject):
    """One run at a time; signals arrive in the window's thread.

    Signals:
        progressed: a `progress` event of the command line, as a dict.
        warned: an odd but survivable finding.
        failed: sentence, hint and details (what the child wrote to stderr).
        previewed: a file of splats that shows the fit so far was replaced.
        finished: exit code and outputs (what -> path relative to the project folder), always the last.
    """

    progressed = pyqtSignal(dict)
    warned = pyqtSignal(str)
    failed = pyqtSignal(str, str, str)
    previewed = pyqtSignal(Path)
    finished = pyqtSignal(int, dict)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read_events)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._end)
        self._process.errorOccurred.connect(self._process_error)
        self._kill_timer = QTimer(self)
        self._kill_timer.setSingleShot(True)
        self._kill_timer.setInterval(KILL_AFTER_MS)
        self._kill_timer.timeout.connect(self._process.kill)
        self._preview_timer = QTimer(self)
        self._preview_timer.setInterval(PREVIEW_POLL_MS)
        self._preview_timer.timeout.connect(self._look_for_preview)
        self._preview_file: Path | None = None
        self._what = ""
        self._preview_time = 0
        self._has_failed = self._is_cancelled = self._is_paused = False
        self._outputs: dict[str, str] = {}
        self._errors = ""

    @property
    def is_running(self) -> bool:
        """A child process is at work, or paused."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def process_id(self) -> int:
        """Of the child; 0 if there is none."""
        return self._process.processId()

    @property
    def is_paused(self) -> bool:
        """The child process holds still."""
        return self._is_paused

    @property
    def can_pause(self) -> bool:
        """This system can hold a process still."""
        return hasattr(signal, "SIGSTOP")

    def start(self, request: Request) -> None:
        """Start the child process; only when none is running."""
        self._has_failed = self._is_cancelled = self._is_paused = False
        self._outputs, self._errors = {}, ""
        self._what = request.what
        self._preview_file, self._preview_time = request.preview_file, _changed_at(request.preview_file)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONPATH", str(Path(__file__).parents[1]))
        environment.insert("PYTHONIOENCODING", "utf-8")
        self._process.setProcessEnvironment(environment)
        # -P: a folder called "app" where the window was started must not be taken for ours.
        self._process.start(sys.executable, ["-P", "-m", "app.tethered", *request.arguments()])
        if self._preview_file is not None:
            self._preview_timer.start()

    def pause(self) -> None:
        """Hold the child still; it keeps its memory."""
        if self.is_running and not self._is_paused and self.can_pause:
            os.kill(self._process.processId(), signal.SIGSTOP)
            self._is_paused = True

    def resume(self) -> None:
        """Let a paused child go on."""
        if self._is_paused and self.is_running:
            os.kill(self._process.processId(), signal.SIGCONT)
        self._is_paused = False

    def cancel(self) -> None:
        """Ask the child to stop between two steps; end it if it does not."""
        if self.is_running:
            self._is_cancelled = True
            self._process.terminate()
            self.resume()  # a stopped process hears nothing
            self._kill_timer.start()

    def wait(self) -> None:
        """Block until the child has ended."""
        if self.is_running and not self._process.waitForFinished(KILL_AFTER_MS):
            self._process.kill()
            self._process.waitForFinished()

    def _look_for_preview(self) -> None:
        changed = _changed_at(self._preview_file)
        if changed != self._preview_time:
            self._preview_time = changed
            if changed and self._preview_file is not None:
                self.previewed.emit(self._preview_file)

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
                self._fail(event["message"], event["hint"])
            elif kind == "done":
                self._outputs = event["outputs"]

    def _read_errors(self) -> None:
        text = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")  # type: ignore[call-overload]
        self._errors = (self._errors + text)[-MAX_ERROR_CHARS:]

    def _fail(self, message: str, hint: str) -> None:
        self._has_failed = True
        self.failed.emit(message, hint, self._errors.strip())

    def _end(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._kill_timer.stop()
        self._preview_timer.stop()
        self._is_paused = False
        self._read_events()
        self._read_errors()
        if status == QProcess.ExitStatus.CrashExit and self._is_cancelled:
            exit_code = CANCELLED
        elif status == QProcess.ExitStatus.CrashExit:
            exit_code = BUG
            if not self._has_failed:
                self._fail(f"{self._what} was ended by the system.", "Memory may be short: close other programs.")
        elif exit_code == REFUSED and not self._has_failed and self._errors.strip():
            self._fail(*told_error(self._errors))
        elif exit_code not in (0, 3, CANCELLED) and not self._has_failed:
            self._fail(f"{self._what} failed unexpectedly.", "What was finished is kept: try again.")
        self.finished.emit(exit_code, self._outputs)

    def _process_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # `finished` does not follow then
            self._preview_timer.stop()
            self._fail(f"{self._what} could not be started.", self._process.errorString())
            self.finished.emit(BUG, {})


def told_error(errors: str) -> tuple[str, str]:
    """Sentence and hint of the last error in what the command line wrote to stderr."""
    message, _, hint = errors.strip().rpartition("Error: ")[2].partition("\n")
    return message.strip(), hint.strip().removeprefix("Hint: ")


def _changed_at(path: Path | None) -> int:
    """When a file was last replaced, ns; 0 if it is not there."""
    try:
        return 0 if path is None else path.stat().st_mtime_ns
    except OSError:
        return 0
