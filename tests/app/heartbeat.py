"""How long the window's thread does not answer, and what it is at then. Needs PyQt6."""

import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer

TICK_MS = 16
SAMPLE_S = 0.01
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Gap:
    """Time between two ticks: on the wall, and computed by the window's thread in it, s; what it was at, by samples."""

    wall_s: float
    busy_s: float
    at: Counter[str] = field(default_factory=Counter)


class Heartbeat:
    """Ticks in the window's thread and remembers how late each tick was; another thread looks at what kept it."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._wall, self._busy = time.perf_counter(), time.thread_time()
        self._seen: Counter[str] = Counter()
        self._thread_id = threading.get_ident()
        self._is_over = threading.Event()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        threading.Thread(target=self._watch, name="heartbeat", daemon=True).start()

    def pause(self) -> None:
        """Count nothing until `go_on`: a screenshot is not the window's work."""
        self._tick()
        self._timer.stop()

    def go_on(self) -> None:
        """Count again."""
        self._wall, self._busy, self._seen = time.perf_counter(), time.thread_time(), Counter()
        self._timer.start()

    def stop(self) -> None:
        """End both timer and thread."""
        self._timer.stop()
        self._is_over.set()

    def _tick(self) -> None:
        wall, busy = time.perf_counter(), time.thread_time()
        self.gaps.append(Gap(wall - self._wall, busy - self._busy, self._seen))
        self._wall, self._busy, self._seen = wall, busy, Counter()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            if time.perf_counter() - self._wall > 2 * TICK_MS / 1000 and self._timer.isActive():
                frame = sys._current_frames().get(self._thread_id)
                self._seen[_place(traceback.extract_stack(frame))] += 1


def _place(stack: traceback.StackSummary) -> str:
    """The two innermost of our own functions; outside of them Qt is at work, or waits."""
    own = [call for call in stack if call.filename.startswith(str(ROOT / "app"))]
    return " < ".join(f"{Path(call.filename).stem}.{call.name}:{call.lineno}" for call in own[:-4:-1]) or "Qt"


def told_gaps(gaps: list[Gap], count: int = 5) -> list[str]:
    """Lines on the longest gaps."""
    walls = sorted(gap.wall_s for gap in gaps)
    lines = [
        f"{len(gaps)} ticks of {TICK_MS} ms",
        f"longest gap {1000 * walls[-1]:.0f} ms, 99 % below {1000 * walls[int(0.99 * len(walls))]:.0f} ms, "
        f"{sum(wall > 0.1 for wall in walls)} above 100 ms",
        f"most that the window's thread computed in a gap: {1000 * max(gap.busy_s for gap in gaps):.0f} ms",
    ]
    for gap in sorted(gaps, key=lambda gap: -gap.wall_s)[:count]:
        at = ", ".join(f"{place} ({times})" for place, times in gap.at.most_common(4))
        lines.append(f"  {1000 * gap.wall_s:.0f} ms, {1000 * gap.busy_s:.0f} computed: {at}")
    return lines
