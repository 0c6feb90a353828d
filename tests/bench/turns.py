"""Time several ways to do something, turn by turn, so that a busy machine is unfair to none of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


class Stopwatch:
    """Wall and CPU seconds of the parts of one run; CPU seconds count all threads."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}
        self._last = (time.perf_counter(), time.process_time())

    def lap(self, part: str) -> None:
        """What was done since the last call, or since the start, was `part`."""
        now = (time.perf_counter(), time.process_time())
        self.parts[part] = (now[0] - self._last[0], now[1] - self._last[1])
        self._last = now


@dataclass(frozen=True)
class Contestant:
    """One way to do it.

    Attributes:
        run: does it once and tells the watch when a part is over; the last part ends with it.
        threads: how many torch may use meanwhile.
        repeats: runs per turn.
    """

    run: Callable[[Stopwatch], None]
    threads: int
    repeats: int = 1


@dataclass(frozen=True)
class Times:
    """Milliseconds of all runs; wall and CPU [runs, parts]."""

    parts: tuple[str, ...]
    wall_ms: np.ndarray
    cpu_ms: np.ndarray

    @classmethod
    def of(cls, runs: list[Stopwatch]) -> "Times":
        """The times of runs of the same parts."""
        seconds = np.array([list(run.parts.values()) for run in runs])  # [runs, parts, wall or CPU]
        return cls(tuple(runs[0].parts), 1000 * seconds[..., 0], 1000 * seconds[..., 1])

    @property
    def wall(self) -> float:
        """Median wall time of a whole run."""
        return float(np.median(self.wall_ms.sum(1)))

    @property
    def cpu(self) -> float:
        """Median CPU time of a whole run."""
        return float(np.median(self.cpu_ms.sum(1)))

    @property
    def by_part(self) -> dict[str, float]:
        """Median wall time of every part."""
        return dict(zip(self.parts, np.median(self.wall_ms, 0).tolist(), strict=True))

    @property
    def cpu_by_part(self) -> dict[str, float]:
        """Median CPU time of every part."""
        return dict(zip(self.parts, np.median(self.cpu_ms, 0).tolist(), strict=True))

    def __str__(self) -> str:
        low, high = np.percentile(self.wall_ms.sum(1), (10, 90))
        return f"{self.wall:.1f} ({low:.1f} to {high:.1f})"


def take_turns(contestants: dict[str, Contestant], turns: int, budget_s: float = float("inf")) -> dict[str, Times]:
    """Let all run in turn; the first turn warms up and does not count.

    Args:
        budget_s: no further turn begins after this time; at least one is counted.
    """
    start, available = time.perf_counter(), torch.get_num_threads()
    watches: dict[str, list[Stopwatch]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        if turn > 1 and time.perf_counter() - start > budget_s:
            break
        for name, contestant in contestants.items():
            torch.set_num_threads(contestant.threads)
            for _ in range(contestant.repeats):
                watch = Stopwatch()
                contestant.run(watch)
                if turn > 0:
                    watches[name].append(watch)
    torch.set_num_threads(available)
    return {name: Times.of(runs) for name, runs in watches.items()}
