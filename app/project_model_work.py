"""What the window has the command line do for a project: one thing at a time, and how far it is. Knows no widgets."""

from typing import Any, Literal

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.run_request import Request
from app.run_state import RunState
from app.window_run import ReconstructionRun
from recon.progress import STAGES, StageName

TELL_EVERY_MS = 400  # with OpenGL in the window every change puts the whole window together anew

Phase = Literal["idle", "running", "paused", "stopping"]
Job = Literal["cameras", "build", "mesh", "film"]
# What each stage leaves in the project folder once the next one has begun.
RESULT_OF: dict[StageName, str] = {"cameras": "cameras", "points": "points", "splats": "splats", "mesh": "mesh"}


class ProjectWork(QObject):
    """A child process at work.

    Signals:
        changed: job, phase, stages or ETA.
        result_written: "cameras", "points", "splats" or "mesh" lie anew in the folder.
        ended: it is over; exit code.
    """

    changed = pyqtSignal()
    result_written = pyqtSignal(str)
    ended = pyqtSignal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run = ReconstructionRun(self)
        self._tell = QTimer(self)
        self._tell.setSingleShot(True)
        self._tell.setInterval(TELL_EVERY_MS)
        self._tell.timeout.connect(self.changed)
        self.reset()
        self.run.progressed.connect(self._receive_progress)
        self.run.finished.connect(self._receive_end)

    def reset(self) -> None:
        """Forget what was done."""
        self.job: Job = "build"
        self.phase: Phase = "idle"
        self.state = RunState()

    @property
    def is_making_stages(self) -> bool:
        """Stages of the project are being made anew."""
        return self.phase != "idle" and self.job != "film"

    def start(self, job: Job, request: Request) -> None:
        """Begin; only when nothing is at work."""
        self.job, self.phase, self.state = job, "running", RunState()
        self.run.start(request)
        self.changed.emit()

    def pause(self) -> None:
        """Hold still, or go on."""
        if self.phase == "running":
            self.run.pause()
        elif self.phase == "paused":
            self.run.resume()
        else:
            return
        self.phase = "paused" if self.run.is_paused else "running"
        self.changed.emit()

    def stop(self) -> None:
        """Stop; what is finished is kept."""
        if self.phase in ("running", "paused"):
            self.phase = "stopping"
            self.run.cancel()
            self.changed.emit()

    def close(self) -> None:
        """Stop, and block until it has."""
        self.run.cancel()
        self.run.wait()

    def _receive_progress(self, event: dict[str, Any]) -> None:
        if self.job == "film":
            is_new, self.state = False, self.state.with_overall(event)
        else:
            is_new, self.state = self.state.begun_by(event), self.state.after(event)
        before = STAGES[: STAGES.index(event["stage"])]
        if is_new and self.job != "mesh" and before and before[-1] in RESULT_OF:
            self.result_written.emit(RESULT_OF[before[-1]])
        if is_new:
            self.changed.emit()
        elif not self._tell.isActive():
            self._tell.start()

    def _receive_end(self, exit_code: int, outputs: dict[str, str]) -> None:
        self.phase = "idle"
        self.ended.emit(exit_code)
