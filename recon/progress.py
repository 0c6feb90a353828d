"""Progress reports and cancelling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Progress = Callable[[int, int, str], None]
"""Called inside a stage as `progress(done, total, message)`; raises `Cancelled` to stop the caller."""

StageName = Literal["photos", "matches", "cameras", "points", "splats", "mesh"]
STAGES: tuple[StageName, ...] = ("photos", "matches", "cameras", "points", "splats", "mesh")


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """Raised by a progress callback when the user wants to stop."""


@dataclass(frozen=True)
class PipelineEvent:
    """Where the whole pipeline is.

    Attributes:
        stage: the running stage.
        stage_fraction: how much of it is done, in [0, 1].
        overall_fraction: how much of the work asked for is done, in [0, 1], weighted by the time stages usually take.
        message: what is happening, a few words.
    """

    stage: StageName
    stage_fraction: float
    overall_fraction: float
    message: str


PipelineProgress = Callable[[PipelineEvent], None]
"""What the pipeline calls; raises `Cancelled` to stop it."""


def no_progress(done: int, total: int, message: str) -> None:
    """Report nothing."""
