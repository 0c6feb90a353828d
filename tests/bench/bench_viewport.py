"""Time the 3D view, by software (llvmpipe) where there is no card.

    xvfb-run -a -s "-screen 0 1400x900x24" python -m tests.bench.bench_viewport [--splats 100000] [--file splats.ply]

Needs a display with OpenGL 3.3. Without a file: Gaussians on a surface as in the rasterizer's measurements, degree 3.
Frames while moving are orbit steps drawn one after the other; CPU seconds stand beside wall seconds, because those say
little on a machine that others use: "if idle" is the larger of GUI thread and half of all CPU time.
"""

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from app.viewport import Viewport

FRAMES, TURNS = 40, 4


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splats", type=int, default=100_000)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720))
    parser.add_argument("--moving", type=int, help="splats of a moving frame, in place of the adaptive number")
    asked = parser.parse_args()
    application = QApplication(sys.argv[:1])
    start = time.perf_counter()
    viewport = Viewport()
    viewport.failed.connect(lambda message, hint: sys.exit(message))
    viewport.resize(*asked.size)
    viewport.show()
    _wait_until(application, lambda: viewport._painter.renderer is not None)
    print(f"first paint of an empty view | {1e3 * (time.perf_counter() - start):.0f} ms")
    _show_scene(application, viewport, asked)
    print(
        f"renderer | {viewport._painter.renderer._context.info['GL_RENDERER']}, {os.getloadavg()[0]:.1f} others at work"
    )
    _time_moving(application, viewport, asked.moving)
    _time_rest(application, viewport)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1024)
    print(f"peak memory, all of the process | {peak:.0f} MB")


def _show_scene(application: QApplication, viewport: Viewport, asked: argparse.Namespace) -> None:
    if asked.file:
        from splatting.formats.ply import read_ply

        gaussians = read_ply(asked.file)
    else:
        from splatting.gaussians import Gaussians
        from tests.bench.surface_scene import surface_scene

        splats, _ = surface_scene(asked.splats, 3, *asked.size)
        made = (splats.means, splats.scales.log(), splats.quats_wxyz, splats.opacities.logit(), splats.colours)
        gaussians = Gaussians(*(tensor.detach() for tensor in made))
        del splats, made
    count = len(gaussians)
    before, worst, start = _resident_mb(), _WorstGap(), time.perf_counter()
    viewport.set_gaussians(gaussians)
    _wait_until(application, lambda: viewport.modes != ())
    elapsed = 1e3 * (time.perf_counter() - start)
    print(f"{count} splats prepared in | {elapsed:.0f} ms, window blocked {worst.stop():.0f} ms at most")
    rested: list[bool] = []
    viewport.rested.connect(lambda: rested.append(True))
    _wait_until(application, lambda: bool(rested))
    del gaussians
    if before:
        held = _resident_mb() - before
        print(f"memory for them, besides those given | {held:.0f} MB, {1e6 * held / count:.0f} bytes each")


def _time_moving(application: QApplication, viewport: Viewport, count: int | None) -> None:
    """Orbit; every frame is drawn before the next is asked for."""
    walls, cpus, own = [], [], []
    for frame in range(FRAMES):
        if count and viewport._painter.renderer:
            viewport._painter.renderer.pace.count = count
        viewport.navigation.go_to(viewport.view.orbited(0.03, 0), smoothly=False)
        times = time.perf_counter(), time.process_time(), time.thread_time()
        viewport.repaint()
        application.processEvents()
        now = time.perf_counter(), time.process_time(), time.thread_time()
        if frame >= 5:
            for into, before, after in zip((walls, cpus, own), times, now, strict=True):
                into.append(1e3 * (after - before))
    wall, cpu, gui = (statistics.median(values) for values in (walls, cpus, own))
    idle = max(gui, cpu / 2)
    drawn = viewport._painter.renderer.pace.count if viewport._painter.renderer else 0
    print(
        f"moving, {drawn} splats | {wall:.0f} ms a frame, {1e3 / wall:.1f} fps; CPU {cpu:.0f} ms, of them {gui:.0f} in"
    )
    print(f"  the window's thread: {1e3 / idle:.1f} fps if idle")


def _time_rest(application: QApplication, viewport: Viewport) -> None:
    """From the last move to the whole picture, and how long the window did not answer meanwhile."""
    walls, cpus, gaps = [], [], []
    for _ in range(TURNS):
        rested: list[bool] = []
        viewport.rested.connect(lambda rested=rested: rested.append(True))
        worst = _WorstGap()
        start, cpu = time.perf_counter(), time.process_time()
        viewport.navigation.go_to(viewport.view.orbited(0.1, 0), smoothly=False)
        _wait_until(application, lambda rested=rested: bool(rested))
        walls.append(1e3 * (time.perf_counter() - start))
        cpus.append(1e3 * (time.process_time() - cpu))
        gaps.append(worst.stop())
    print(f"whole picture after the last move | {statistics.median(walls):.0f} ms, 150 of them waiting; ")
    print(f"  CPU {statistics.median(cpus):.0f} ms; window blocked {max(gaps):.0f} ms at most")


def _resident_mb() -> float:
    """Memory of this process; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if status.exists() else 0.0


class _WorstGap:
    """The longest time between two ticks of a timer of 5 ms."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._worst = 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    def _tick(self) -> None:
        now = time.perf_counter()
        self._worst, self._last = max(self._worst, now - self._last), now

    def stop(self) -> float:
        """Milliseconds."""
        self._tick()
        self._timer.stop()
        return 1e3 * self._worst


def _wait_until(application: QApplication, claim: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.perf_counter() + timeout_s
    while not claim():
        if time.perf_counter() > end:
            sys.exit("nothing happened for a minute")
        application.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
