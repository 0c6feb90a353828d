"""Four ways to show how far a run is: a bar, plain lines, JSON lines, nothing."""

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TextIO

from app.arguments import print_error
from recon.progress import PipelineEvent

ProgressStyle = Literal["auto", "bar", "jsonl", "none"]

LINE_EVERY_S = 3.0
JSONL_EVERY_S = 0.2
# Before this much of the work is done, an estimate of the rest is no better than a guess.
MIN_FRACTION_FOR_ETA = 0.03
MIN_S_FOR_ETA = 3.0


class Display(Protocol):
    """Shows progress, warnings and the end of a run; use it in a `with` statement."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def progress(self, event: PipelineEvent) -> None:
        """Show where the run is."""

    def warning(self, message: str) -> None:
        """Show an odd but survivable finding."""

    def error(self, message: str, hint: str) -> None:
        """Show why there is no result."""

    def done(self, exit_code: int, outputs: dict[str, str]) -> None:
        """Say what was made; nothing for people, whom the command itself tells."""


def create_display(style: ProgressStyle) -> Display:
    """The display of that name; `auto` is a bar on a terminal, else a plain line every few seconds."""
    if style == "jsonl":
        return JsonLines(sys.stdout)
    if style == "none":
        return Quiet()
    return Bar() if style == "bar" or sys.stderr.isatty() else PlainLines(sys.stderr)


class Clock:
    """Time spent and time to go."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._start = now()
        self._first_fraction: float | None = None
        self._first_time = 0.0

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._now() - self._start

    def eta_s(self, fraction: float, message: str = "") -> float | None:
        """Seconds to go, from the pace since the first event: what an earlier run had done says nothing.

        Args:
            fraction: of the whole that is done.
            message: "unchanged" if a stage of an earlier run was taken over.
        """
        if self._first_fraction is None or message == "unchanged":
            self._first_fraction, self._first_time = fraction, self._now()
        advanced, passed_s = fraction - self._first_fraction, self._now() - self._first_time
        if advanced < MIN_FRACTION_FOR_ETA or passed_s < MIN_S_FOR_ETA:
            return None
        return passed_s * (1 - fraction) / advanced


class Quiet:
    """Shows nothing but warnings and errors."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def progress(self, event: PipelineEvent) -> None:
        """Show nothing."""

    def warning(self, message: str) -> None:
        """Show a warning on stderr."""
        print(f"Warning: {message}", file=sys.stderr)

    def error(self, message: str, hint: str) -> None:
        """Show the error and what to do on stderr."""
        print_error(message, hint)

    def done(self, exit_code: int, outputs: dict[str, str]) -> None:
        """Show nothing."""


class PlainLines(Quiet):
    """A line every few seconds and at each new stage."""

    def __init__(self, stream: TextIO, clock: Clock | None = None) -> None:
        self._stream = stream
        self._clock = clock or Clock()
        self._stage = ""
        self._last = -LINE_EVERY_S

    def progress(self, event: PipelineEvent) -> None:
        """Print a line if it is time for one."""
        eta = self._clock.eta_s(event.overall_fraction, event.message)
        elapsed = self._clock.elapsed_s()
        if event.stage == self._stage and elapsed - self._last < LINE_EVERY_S:
            return
        self._stage, self._last = event.stage, elapsed
        rest = f", {duration(eta)} left" if eta is not None else ""
        print(f"{event.overall_fraction:4.0%}  {event.stage:8} {event.message}{rest}", file=self._stream, flush=True)


class JsonLines(Quiet):
    """One JSON object a line: events `progress`, `warning`, `error`, `done`."""

    def __init__(self, stream: TextIO, clock: Clock | None = None) -> None:
        self._stream = stream
        self._clock = clock or Clock()
        self._stage = ""
        self._last = -JSONL_EVERY_S

    def progress(self, event: PipelineEvent) -> None:
        """Write a `progress` event; at most five a second, but each new stage and the end of each."""
        eta = self._clock.eta_s(event.overall_fraction, event.message)
        elapsed = self._clock.elapsed_s()
        if event.stage == self._stage and elapsed - self._last < JSONL_EVERY_S and event.stage_fraction < 1:
            return
        self._stage, self._last = event.stage, elapsed
        self._write(
            "progress",
            stage=event.stage,
            stage_fraction=round(event.stage_fraction, 4),
            overall=round(event.overall_fraction, 4),
            elapsed_s=round(elapsed, 1),
            eta_s=None if eta is None else round(eta, 1),
            message=event.message,
        )

    def warning(self, message: str) -> None:
        """Write a `warning` event."""
        self._write("warning", message=message)

    def error(self, message: str, hint: str) -> None:
        """Write an `error` event, and the same for people on stderr."""
        self._write("error", message=message, hint=hint)
        print_error(message, hint)

    def done(self, exit_code: int, outputs: dict[str, str]) -> None:
        """Write the `done` event, always the last."""
        self._write("done", exit_code=exit_code, outputs=outputs)

    def _write(self, event: str, **values: Any) -> None:
        print(json.dumps({"event": event, **values}, ensure_ascii=False), file=self._stream, flush=True)


class Bar(Quiet):
    """A bar with stage, percentage, time spent and time to go, on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._clock = Clock()
        self._bar = Progress(
            TextColumn("[bold]{task.description:8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            TextColumn("[dim]{task.fields[message]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, eta="", message="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, event: PipelineEvent) -> None:
        """Move the bar."""
        from rich.markup import escape

        eta = self._clock.eta_s(event.overall_fraction, event.message)
        self._bar.update(
            self._task,
            completed=event.overall_fraction,
            description=event.stage,
            eta="" if eta is None else f"{duration(eta)} left",
            message=escape(event.message),
        )

    def warning(self, message: str) -> None:
        """Print a warning above the bar."""
        self._bar.console.print(f"Warning: {message}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A few words for people: `40 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
