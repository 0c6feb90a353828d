"""Progress of short commands: shown only if they turn out not to be."""

import contextlib
import time
from collections.abc import Callable, Iterator

from app.progress_display import Display, create_display
from recon.progress import PipelineEvent, Progress

PATIENCE_S = 2.0


@contextlib.contextmanager
def late_progress(
    *, create: Callable[[], Display] = lambda: create_display("auto"), now: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A progress callback that opens a display at the first call after two seconds.

    Args:
        create: makes the display.
        now: seconds of a clock.
    """
    start = now()
    with contextlib.ExitStack() as stack:
        display: Display | None = None

        def progress(done: int, total: int, message: str) -> None:
            nonlocal display
            if display is None and now() - start >= PATIENCE_S:
                display = stack.enter_context(create())
            if display is not None:
                fraction = done / max(total, 1)
                display.progress(PipelineEvent("splats", fraction, fraction, message))

        yield progress
