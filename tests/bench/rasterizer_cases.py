"""What is timed: rasterizers, losses and training steps, each checked to do the same job as the other."""

from dataclasses import dataclass

import torch

from splatting.adam import Adam
from splatting.camera import Camera
from splatting.fit import FitConfig, TrainingView, fit
from splatting.gaussians import Gaussians, Splats
from splatting.losses import photometric_loss, photometric_loss_torch
from splatting.rasterize_native import rasterize
from tests.bench import torch_path
from tests.bench.surface_scene import surface_scene
from tests.bench.turns import Contestant, Stopwatch, Times, take_turns

PIECE = 500_000  # pairs; the fastest for torch of 60k, 125k, 250k, 500k, 1M, 2M, all
ONE_PIECE = 10**9
MAX_SHARE_OF_OTHER_PIXELS = 1e-3  # where a Gaussian is so near to 1/255 that rounding decides whether it is drawn


@dataclass(frozen=True)
class Setup:
    """What is drawn, and whether torch blends it as gsplat does or tuned."""

    count: int
    width: int = 640
    height: int = 480
    sh_degree: int = 3
    is_as_gsplat: bool = False

    def __str__(self) -> str:
        note = ", torch as gsplat" if self.is_as_gsplat else ""
        return f"{self.count // 1000}k, {self.width}x{self.height}, SH {self.sh_degree}{note}"


STEP = Setup(100_000)
"""What a training step is timed with."""


def time_rasterizers(setup: Setup, turns: int, budget_s: float = float("inf")) -> dict[str, Times]:
    """Forward and backward: native with one and two threads, and torch."""
    splats, camera = surface_scene(setup.count, setup.sh_degree, setup.width, setup.height)
    way = torch_path.blend_as_gsplat if setup.is_as_gsplat else torch_path.blend
    pieces = torch_path.find_pairs(splats, camera, pairs_at_once=ONE_PIECE if setup.is_as_gsplat else PIECE)
    check_same_picture(splats, camera, pieces, way)
    gradient = torch.randn(setup.height, setup.width, 3, generator=torch.Generator().manual_seed(0))

    def native(watch: Stopwatch) -> None:
        rgb = rasterize(splats, camera).rgb
        watch.lap("forward")
        rgb.backward(gradient)
        watch.lap("backward")
        clear_gradients(splats)

    def torch_way(watch: Stopwatch) -> None:
        torch_path.forward_backward(splats, camera, pieces, gradient, way)
        watch.lap("forward and backward")
        clear_gradients(splats)

    contestants = {
        "1": Contestant(native, threads=1, repeats=2),
        "2": Contestant(native, threads=2, repeats=3),
        "torch": Contestant(torch_way, threads=torch.get_num_threads()),
    }
    return take_turns(contestants, turns, budget_s)


def check_same_picture(
    splats: Splats, camera: Camera, pieces: list[torch_path.Pairs], way: torch_path.Blend = torch_path.blend
) -> None:
    """Stop unless both ways draw the same."""
    with torch.no_grad():
        difference = (rasterize(splats, camera).rgb - torch_path.render(splats, camera, pieces, way)).abs().amax(2)
    share = float((difference > 1e-4).float().mean())
    if share > MAX_SHARE_OF_OTHER_PIXELS or difference.max() > 0.02:
        raise RuntimeError(f"the pictures differ by up to {difference.max():.3g}, in {100 * share:.3f} % of the pixels")


def time_losses(width: int, height: int, turns: int, budget_s: float = float("inf")) -> dict[str, Times]:
    """L1 + SSIM and its gradient: the fused kernel, torch's 11 x 11 convolution, and torch's in two directions."""
    random = torch.Generator().manual_seed(0)
    target = torch.rand(height, width, 3, generator=random)
    rgb = (target + 0.1 * torch.randn(height, width, 3, generator=random)).requires_grad_()
    losses = {
        "native": photometric_loss,
        "torch": torch_path.photometric_loss,
        "torch, separable": photometric_loss_torch,
    }
    contestants = {}
    for name, loss in losses.items():

        def run(watch: Stopwatch, loss=loss) -> None:
            loss(rgb, target).backward()
            watch.lap("loss")
            rgb.grad = None

        contestants[name] = Contestant(run, threads=torch.get_num_threads(), repeats=3 if name == "native" else 1)
    return take_turns(contestants, turns, budget_s)


def time_step(turns: int, budget_s: float = float("inf")) -> Times:
    """One step of training as `splatting.fit` does it: 100k Gaussians, 640x480, SH 3."""
    gaussians, view = training_scene()
    adam = Adam(vars(gaussians), dict.fromkeys(vars(gaussians), 1e-3))

    def run(watch: Stopwatch) -> None:
        rgb = rasterize(Gaussians(**adam.leaves).activate(), view.camera).rgb
        watch.lap("forward")
        loss = photometric_loss(rgb, view.rgb)
        watch.lap("loss")
        loss.backward()
        watch.lap("backward")
        adam.step()
        watch.lap("adam")

    return take_turns({"step": Contestant(run, threads=torch.get_num_threads())}, turns, budget_s)["step"]


def time_fit(steps: int) -> Times:
    """The same step inside `splatting.fit`, between two reports of progress."""
    gaussians, view = training_scene()
    watches = [Stopwatch()]

    def progress(done: int, total: int, message: str) -> None:
        watches[-1].lap("step")
        watches.append(Stopwatch())

    config = FitConfig(num_iterations=steps, sh_degree=3, dropout=0, coarse_share=0)
    fit(gaussians, [view], config, rasterizer=rasterize, background=torch.zeros(3), seed=0, progress=progress)
    return Times.of(watches[5:-1])


def training_scene() -> tuple[Gaussians, TrainingView]:
    """Gaussians, and a picture of others."""
    splats, camera = surface_scene(STEP.count, STEP.sh_degree, STEP.width, STEP.height)
    others, _ = surface_scene(STEP.count, STEP.sh_degree, STEP.width, STEP.height, seed=1)
    with torch.no_grad():
        target = rasterize(others, camera).rgb.clamp(0, 1)
        raw = Gaussians(splats.means, splats.scales.log(), splats.quats_wxyz, splats.opacities.logit(), splats.colours)
    return raw.detach(), TrainingView(camera, target)


def clear_gradients(splats: Splats) -> None:
    """Forget the gradients of the last run."""
    for tensor in vars(splats).values():
        if tensor is not None:
            tensor.grad = None
