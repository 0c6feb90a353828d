"""Ctrl-C and a polite kill, as a wish that long work asks about."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cancel_on_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a polite kill stop the run at its next progress call; a second one stops it at once.

    Yields:
        A function that says whether to stop.
    """
    cancelled = False

    def cancel(signum: int, frame: FrameType | None) -> None:
        nonlocal cancelled
        if cancelled:
            raise KeyboardInterrupt
        cancelled = True
        print("Stopping; once more stops at once.", file=sys.stderr)

    before = {signum: signal.signal(signum, cancel) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: cancelled
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
