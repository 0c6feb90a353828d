"""Progress of commands that do one thing, in the displays that the whole pipeline has."""

import argparse
from collections.abc import Callable
from typing import get_args

from app.arguments import one_of
from app.progress_display import Display, ProgressStyle
from recon.progress import Cancelled, PipelineEvent, Progress, StageName


def add_progress_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--progress`, as `reconstruct` has it."""
    styles = get_args(ProgressStyle)
    parser.add_argument(
        "--progress", type=one_of(*styles), default="auto", metavar="|".join(styles), help="jsonl: a JSON object a line"
    )


def stage_progress(display: Display, stage: StageName, is_cancelled: Callable[[], bool]) -> Progress:
    """Show work as if the stage of that name were all there is; it raises Cancelled when asked to stop."""

    def progress(done: int, total: int, message: str) -> None:
        if is_cancelled():
            raise Cancelled
        fraction = done / max(total, 1)
        display.progress(PipelineEvent(stage, fraction, fraction, message))

    return progress
