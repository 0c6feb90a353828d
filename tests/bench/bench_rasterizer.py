"""Time the native rasterizer and loss; all cases take turns in one process, medians are printed.

python -m tests.bench.bench_rasterizer [--repeats 15]
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import torch

from splatting import _native
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.losses import photometric_loss
from splatting.rasterize_native import rasterize

WIDTH, HEIGHT = 640, 480


def surface_scene(count: int, sh_degree: int) -> tuple[Splats, Camera]:
    """Gaussians about three pixels wide on wavy sheets that fill the view."""
    random = np.random.default_rng(0)
    focal = 0.8 * WIDTH
    x, y = random.uniform(-0.7, 0.7, count), random.uniform(-0.55, 0.55, count)
    z = 3 + 0.6 * np.sin(5 * x) * np.cos(4 * y) + random.choice([0.0, 0.8, 1.6], count)
    pixel = z / focal
    tensors = (
        np.stack([x * z, y * z, z], 1),
        random.normal(size=(count, 4)),
        pixel[:, None] * random.uniform(0.5, 2.5, (count, 3)),
        random.uniform(0.1, 0.9, count),
        0.3 * random.normal(size=(count, (sh_degree + 1) ** 2, 3)),
    )
    K = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    splats = Splats(*(torch.from_numpy(tensor.astype(np.float32)).requires_grad_() for tensor in tensors))
    return splats, Camera(K, np.eye(4), WIDTH, HEIGHT)


def rasterizer_case(count: int, sh_degree: int) -> Callable[[], None]:
    """One forward and backward pass."""
    splats, camera = surface_scene(count, sh_degree)
    gradient = torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))

    def run() -> None:
        for tensor in vars(splats).values():
            tensor.grad = None
        rasterize(splats, camera).rgb.backward(gradient)

    return run


def loss_case() -> Callable[[], None]:
    """L1 + SSIM and its gradient."""
    random = torch.Generator().manual_seed(0)
    rgb = torch.rand(HEIGHT, WIDTH, 3, generator=random).requires_grad_()
    target = torch.rand(HEIGHT, WIDTH, 3, generator=random)

    def run() -> None:
        rgb.grad = None
        photometric_loss(rgb, target).backward()

    return run


def main() -> None:
    """Time all cases in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    cases = {f"rasterize {n // 1000}k, SH {degree}": rasterizer_case(n, degree) for n, degree in CASES}
    cases["L1 + SSIM"] = loss_case()
    seconds: dict[tuple[str, int], list[tuple[float, float]]] = {}
    available = torch.get_num_threads()
    for _ in range(repeats + 1):
        for name, run in cases.items():
            for threads in {1, available}:
                torch.set_num_threads(threads)
                wall, cpu = time.perf_counter(), time.process_time()
                run()
                seconds.setdefault((name, threads), []).append((time.perf_counter() - wall, time.process_time() - cpu))
    load = os.getloadavg()[0]
    print(f"forward + backward, {WIDTH}x{HEIGHT}, {_native.instruction_set()}, load {load:.1f}, {repeats} repeats\n")
    print("| case | threads | median ms | spread ms | CPU ms |\n|---|---|---|---|---|")
    for (name, threads), times in sorted(seconds.items()):
        wall_ms, cpu_ms = 1000 * np.array(times[1:]).T  # the first one warms up
        low, high = np.percentile(wall_ms, (10, 90))
        print(f"| {name} | {threads} | {np.median(wall_ms):.1f} | {low:.1f} to {high:.1f} | {np.median(cpu_ms):.1f} |")


CASES = ((100_000, 1), (100_000, 3), (300_000, 3))

if __name__ == "__main__":
    main()
