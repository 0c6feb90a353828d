"""Time the native rasterizer, loss and training step against torch.

    python -m tests.bench.bench_rasterizer                      # all tables, some minutes
    python -m tests.bench.bench_rasterizer --quick --json FILE  # the figures that are demanded, at most 50 s

All that is compared takes turns in one process and draws the same picture (checked). Medians; in brackets the 10th and
90th percentile. Torch uses all threads.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the program does: torch's threads must not spin beside ours

import torch

from splatting import _native
from splatting.rasterize_native import rasterize
from tests.bench.rasterizer_cases import Setup, time_fit, time_losses, time_rasterizers, time_step
from tests.bench.surface_scene import surface_scene
from tests.bench.turns import Times

DEMANDED = Setup(100_000, is_as_gsplat=True)
SETUPS = (
    DEMANDED,
    *(Setup(count) for count in (10_000, 30_000, 100_000, 300_000, 1_000_000)),
    *(Setup(100_000, sh_degree=degree) for degree in (0, 1)),
    *(Setup(300_000, *size) for size in ((320, 240), (1280, 720), (1920, 1080))),
    Setup(1_000_000, 1920, 1080),
)
LARGEST = SETUPS[-1]


def print_peak_memory() -> None:
    """Draw the largest picture and print the process's peak so far: after the imports, with the scene, in the end."""
    peaks = [peak_mb()]
    splats, camera = surface_scene(LARGEST.count, LARGEST.sh_degree, LARGEST.width, LARGEST.height)
    peaks.append(peak_mb())
    rasterize(splats, camera).rgb.sum().backward()
    print(json.dumps([*peaks, peak_mb()]))


def peak_mb() -> float:
    """Largest resident set of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure_peak_memory() -> list[float]:
    """MB of a process of its own, see `print_peak_memory`."""
    command = [sys.executable, "-m", "tests.bench.bench_rasterizer", "--peak-memory"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_rasterizer_row(setup: Setup, times: dict[str, Times]) -> None:
    """One row of the table of rasterizers."""
    one, two, slow = times["1"], times["2"], times["torch"]
    parts = " + ".join(f"{ms:.1f}" for ms in two.by_part.values())
    print(
        f"| {setup} | {one} | {two} | {parts} | {two.cpu:.1f} | {slow} | {slow.cpu:.0f} "
        f"| {slow.wall / two.wall:.1f} | {slow.cpu / two.cpu:.1f} | {one.wall / two.wall:.2f} |",
        flush=True,
    )


RASTERIZER_HEAD = (
    "\n| forward + backward, ms | 1 thread | 2 threads | parts | CPU | torch | CPU | ratio | CPU ratio | 1 : 2 |"
    "\n|---|---|---|---|---|---|---|---|---|---|"
)


def print_loss_row(width: int, height: int, times: dict[str, Times]) -> None:
    """One row of the table of losses."""
    fast, *slow = times.values()
    cells = [f"{way} | {way.cpu:.0f} | {way.wall / fast.wall:.1f} | {way.cpu / fast.cpu:.1f}" for way in slow]
    print(f"| {width}x{height} | {fast} | {fast.cpu:.1f} | {' | '.join(cells)} |")


LOSS_HEAD = (
    "\n| L1 + SSIM, ms | native | CPU | torch | CPU | ratio | CPU ratio | separable | CPU | ratio | CPU ratio |"
    "\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def print_step_row(name: str, step: Times) -> None:
    """One row of the table of training steps."""
    parts = ", ".join(f"{part} {ms:.1f} ({step.cpu_by_part[part]:.1f})" for part, ms in step.by_part.items())
    print(f"| {name} | {step} | {step.cpu:.1f} | {parts} |")


STEP_HEAD = "\n| 100k, 640x480, SH 3, ms | wall | CPU | parts, wall (CPU) |\n|---|---|---|---|"


def quick_figures() -> dict[str, object]:
    """What the demands are about."""
    start = os.getloadavg()[0]
    pictures = time_rasterizers(DEMANDED, turns=7, budget_s=12)
    tuned = time_rasterizers(Setup(100_000), turns=5, budget_s=6)
    losses = time_losses(640, 480, turns=15, budget_s=4)
    step = time_step(turns=30, budget_s=4)
    native, slow = pictures["2"], pictures["torch"]
    return {
        "ratio_torch_100k": slow.wall / native.wall,
        "ratio_torch_100k_cpu": slow.cpu / native.cpu,
        "ratio_torch_100k_tuned": tuned["torch"].wall / tuned["2"].wall,
        "ratio_torch_100k_tuned_cpu": tuned["torch"].cpu / tuned["2"].cpu,
        "ratio_threads_2_1": pictures["1"].wall / native.wall,
        "ratio_ssim_torch": losses["torch"].wall / losses["native"].wall,
        "ratio_ssim_torch_separable": losses["torch, separable"].wall / losses["native"].wall,
        "ratio_ssim_torch_cpu": losses["torch"].cpu / losses["native"].cpu,
        "ms_rasterizer": {**native.by_part, "sum": native.wall, "cpu": native.cpu, "torch": slow.wall},
        "ms_loss": {name: times.wall for name, times in losses.items()},
        "ms_step": {**step.by_part, "sum": step.wall, "cpu": step.cpu},
        "ms_step_in_fit": time_fit(30).wall,
        "load": [start, os.getloadavg()[0]],
    }


def print_tables(turns: int) -> None:
    """Everything."""
    memory = measure_peak_memory()  # first: a child's peak is at least what its parent holds when it starts
    print(RASTERIZER_HEAD)
    for setup in SETUPS:
        print_rasterizer_row(setup, time_rasterizers(setup, turns if setup.count < 500_000 else 2))
    print(LOSS_HEAD)
    for size in ((640, 480), (1920, 1080)):
        print_loss_row(*size, time_losses(*size, 2 * turns))
    print(STEP_HEAD)
    print_step_row("by hand", time_step(4 * turns))
    print_step_row("in `fit`", time_fit(4 * turns + 5))
    imports, scene, drawn = memory
    print(f"\n{LARGEST}, peak MB: imports {imports:.0f}, with the scene {scene:.0f}, forward + backward {drawn:.0f}")


def describe_machine() -> str:
    """Date, versions, processor and load."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    return (
        f"{datetime.now():%Y-%m-%d %H:%M}, commit {commit.strip() or 'unknown'}, torch {torch.__version__}, "
        f"{_native.instruction_set()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Time what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the demanded figures only, within 50 s")
    parser.add_argument("--json", type=Path, help="with --quick: write them to this file")
    parser.add_argument("--turns", type=int, default=5, help="of the tables; ignored by --quick")
    parser.add_argument("--peak-memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_memory:
        print_peak_memory()
        return
    start = time.perf_counter()
    print(describe_machine())
    if options.quick:
        text = json.dumps(quick_figures(), indent=2)
        print(text)
        if options.json:
            options.json.write_text(text + "\n")
    else:
        print_tables(options.turns)
    print(f"\n{time.perf_counter() - start:.0f} s, load {os.getloadavg()[0]:.1f} in the end")


if __name__ == "__main__":
    main()
