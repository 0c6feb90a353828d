"""Optimise Gaussians against posed views, without densification.

The start already holds every Gaussian that the scene will ever have (the EDGS idea [1]), so the loop is short: render
a view, compare, step; now and then remove what turned invisible. Dropout with compensation [2] and a mild opacity decay
[3] keep Gaussians that few views constrain from explaining one photo only.

[1] Kotovenko et al., EDGS: Eliminating Densification for Efficient Convergence of 3DGS, 2025.
[2] Park et al., DropGaussian: Structural Regularization for Sparse-view Gaussian Splatting, CVPR 2025.
[3] Han et al., Binocular-Guided 3D Gaussian Splatting with View Consistency for Sparse View Synthesis, NeurIPS 2024.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from splatting.adam import Adam
from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.losses import photometric_loss
from splatting.rasterizer import Rasterizer, RenderOptions

REPORT_EVERY = 10
PRUNE_EVERY = 100
DECAY_EVERY = 10
MIN_OPACITY = 0.005  # below 1/255 a Gaussian is never drawn
MAX_SCALE_SHARE = 0.1  # of the median depth: larger Gaussians are fog

OnStep = Callable[[int, Callable[[], Gaussians]], None]
"""Called as `on_step(step, current)`; `current()` gives the Gaussians as they are after that step."""


@dataclass(frozen=True)
class FitConfig:
    """How the Gaussians are optimised. Learning rates are Adam's, as in 3DGS unless said.

    That of the harmonics is twice the one of 3DGS, whose 30,000 steps leave it time: in 1,000 steps a slower one cannot
    follow a light that turns with the camera, and a faster one learns single photos by heart.
    """

    num_iterations: int = field(
        default=1000, metadata={"help": "optimisation steps", "unit": "", "low": 0, "high": 100_000}
    )
    sh_degree: int = field(
        default=3, metadata={"help": "degree of view-dependent colour", "unit": "", "low": 0, "high": 3}
    )
    dropout: float = field(
        default=0.2,
        metadata={"help": "share of Gaussians left out at the last step", "unit": "", "low": 0, "high": 0.9},
    )
    opacity_decay: float = field(
        default=0.999,
        metadata={"help": "factor on opacities per step, from 15 % to 80 %", "unit": "", "low": 0.9, "high": 1},
    )
    coarse_share: float = field(
        default=0.3,
        metadata={"help": "share of the steps that run at half size, first", "unit": "", "low": 0, "high": 1},
    )
    background_jitter: float = field(
        default=0.3,
        metadata={
            "help": "range of the background's random change; larger is more opaque",
            "unit": "",
            "low": 0,
            "high": 2,
        },
    )
    ssim_weight: float = field(
        default=0.2, metadata={"help": "share of 1 - SSIM in the loss", "unit": "", "low": 0, "high": 1}
    )
    even_exposure: bool = field(
        default=False, metadata={"help": "make photos equally bright where they differ by over 3 %", "unit": ""}
    )
    lr_means: float = field(
        default=1.6e-4, metadata={"help": "times the extent; falls to 1 %", "unit": "extent", "low": 0, "high": 1}
    )
    guess_boost: float = field(
        default=5.0,
        metadata={"help": "times that rate for Gaussians whose place is a guess", "unit": "", "low": 0.1, "high": 100},
    )
    lr_scales: float = field(default=5e-3, metadata={"help": "of log scales", "unit": "", "low": 0, "high": 1})
    lr_quats: float = field(default=1e-3, metadata={"help": "of rotations", "unit": "", "low": 0, "high": 1})
    lr_opacities: float = field(default=2.5e-2, metadata={"help": "of opacity logits", "unit": "", "low": 0, "high": 1})
    lr_sh: float = field(default=2.5e-3, metadata={"help": "of constant colour", "unit": "", "low": 0, "high": 1})
    lr_harmonics: float = field(
        default=2.5e-4, metadata={"help": "of view-dependent colour", "unit": "", "low": 0, "high": 1}
    )


@dataclass(frozen=True)
class TrainingView:
    """One view to fit.

    Attributes:
        camera: where it was taken.
        rgb: [H, W, 3] float32 in [0, 1].
        valid: [H, W] bool; False pixels are not compared. None means all.
        mask: [H, W] float32, share of each pixel that shows the object; the rest is background. None means all of it.
    """

    camera: Camera
    rgb: Tensor
    valid: Tensor | None = None
    mask: Tensor | None = None

    def over(self, background: Tensor) -> Tensor:
        """What a render over this colour [3] should show, [H, W, 3]."""
        return self.rgb if self.mask is None else torch.lerp(background, self.rgb, self.mask[..., None])


def halved(view: TrainingView) -> TrainingView:
    """The view at half its size, box-filtered; an odd last row or column is dropped."""
    height, width = view.camera.height // 2, view.camera.width // 2
    even = Camera(view.camera.K, view.camera.cam_from_world, 2 * width, 2 * height)

    def shrink(image: Tensor) -> Tensor:
        blocks = image[: 2 * height, : 2 * width].float().unflatten(0, (height, 2)).unflatten(2, (width, 2))
        return blocks.mean(dim=(1, 3))

    valid = None if view.valid is None else shrink(view.valid) > 0.99  # a block is valid if all of it is
    mask = None if view.mask is None else shrink(view.mask)
    return TrainingView(even.resized(width, height), shrink(view.rgb).contiguous(), valid, mask)


@dataclass(frozen=True)
class SceneBounds:
    """Sizes that make the fit independent of the unit.

    Attributes:
        extent: radius of the camera positions, at most the median depth; world units.
        median_depth: of the Gaussians, as the cameras see them.
        near: nothing nearer than this is drawn.
    """

    extent: float
    median_depth: float
    near: float


def scene_bounds(means: Tensor, cameras: Sequence[Camera]) -> SceneBounds:
    """Measure the scene as its cameras see it.

    Args:
        means: centres [N, 3] in the world frame; N may be 0.
        cameras: the training cameras, at least one.
    """
    centers = np.stack([camera.center for camera in cameras])
    radius = 1.1 * float(np.linalg.norm(centers - centers.mean(0), axis=1).max())
    depths = np.concatenate([camera.project(means.detach().cpu().double().numpy())[1] for camera in cameras])
    depths = depths[depths > 0]
    if not len(depths):
        return SceneBounds(max(radius, 1e-6), max(radius, 1e-6), 1e-4)
    # A single camera, or cameras at one place, have no radius: fall back on a share of the depth.
    median = float(np.median(depths))
    return SceneBounds(float(np.clip(radius, 0.1 * median, median)), median, 0.3 * float(np.percentile(depths, 0.5)))


def fit(
    gaussians: Gaussians,
    views: Sequence[TrainingView],
    config: FitConfig,
    *,
    rasterizer: Rasterizer,
    background: Tensor,
    seed: int,
    progress: Callable[[int, int, str], None],
    is_verified: Tensor | None = None,
    on_preview: Callable[[Gaussians], None] | None = None,
    on_step: OnStep | None = None,
) -> Gaussians:
    """Optimise all parameters of the Gaussians against the views; their number only falls.

    Runs on the device of `gaussians`. The views are visited in random order, each once per round.

    Args:
        gaussians: the start; its `sh` is widened to `config.sh_degree`.
        views: at least one, on the same device.
        background: colour [3] behind everything, up to the jitter that the config asks for.
        seed: of view order, dropout and backgrounds.
        progress: called at every step; what it raises ends the fit.
        is_verified: bool [N], False for Gaussians whose place is a guess; None: all are where they should be.
        on_preview: given the current Gaussians now and then; never waits for anyone.
        on_step: called after every step, for measuring.

    Returns:
        The optimised Gaussians.

    Raises:
        ValueError: there is no view.
    """
    if not views:
        raise ValueError("views must hold at least one view")
    torch_random = torch.Generator(device=gaussians.means.device).manual_seed(seed)
    numpy_random = np.random.default_rng(seed)
    bounds = scene_bounds(gaussians.means, [view.camera for view in views])
    adam = _make_adam(gaussians, config, bounds.extent)
    options = RenderOptions(near=bounds.near)
    boost = (
        None if is_verified is None else torch.where(is_verified, 1.0, config.guess_boost)[:, None].to(gaussians.means)
    )
    order: list[int] = []
    num_steps = config.num_iterations
    coarse_views = [halved(view) for view in views] if config.coarse_share > 0 else []
    for step in range(1, num_steps + 1):
        if not order:
            order = numpy_random.permutation(len(views)).tolist()
        view = (coarse_views if step <= config.coarse_share * num_steps else views)[order.pop()]
        rate = config.lr_means * bounds.extent * 0.01 ** (step / num_steps)
        adam.rates["means"] = rate if boost is None else rate * boost

        splats = _drop_out(Gaussians(**adam.leaves).activate(), config.dropout * step / num_steps, torch_random)
        behind = _jitter(background, config.background_jitter, torch_random)
        render = rasterizer(splats, view.camera, background=behind, options=options)
        loss = photometric_loss(render.rgb, view.over(behind), ssim_weight=config.ssim_weight, valid=view.valid)
        loss.backward()
        adam.step()

        if step % DECAY_EVERY == 0 and 0.15 * num_steps < step < 0.8 * num_steps:
            _decay_opacities(adam.leaves["opacity_logits"], config.opacity_decay**DECAY_EVERY)
        if step % PRUNE_EVERY == 0:
            kept = _prune(adam, MAX_SCALE_SHARE * bounds.median_depth)
            boost = None if boost is None else boost[kept]
            if on_preview is not None:
                on_preview(Gaussians(**adam.leaves).detach())
        if on_step is not None:
            on_step(step, lambda: Gaussians(**adam.leaves).detach())
        if step % REPORT_EVERY == 1:
            message = f"loss {loss.item():.4f}, {len(splats.means):,} Gaussians"  # a GPU is waited for
        progress(step, num_steps, message)
    return Gaussians(**adam.leaves).detach()


def _make_adam(gaussians: Gaussians, config: FitConfig, extent: float) -> Adam:
    """The parameters to step; the harmonics above the constant colour learn more slowly."""
    sh = gaussians.sh.new_zeros(len(gaussians), (config.sh_degree + 1) ** 2, 3)
    shared = min(sh.shape[1], gaussians.sh.shape[1])
    sh[:, :shared] = gaussians.sh[:, :shared]
    sh_rates = sh.new_full(sh.shape[1:], config.lr_harmonics)
    sh_rates[0] = config.lr_sh
    rates: dict[str, float | Tensor] = {
        "means": config.lr_means * extent,
        "log_scales": config.lr_scales,
        "quats_wxyz": config.lr_quats,
        "opacity_logits": config.lr_opacities,
        "sh": sh_rates,
    }
    return Adam(vars(replace(gaussians, sh=sh)), rates)


def _jitter(background: Tensor, amount: float, random: torch.Generator) -> Tensor:
    """A background that no half-transparent surface can count on."""
    noise = torch.rand(3, generator=random, device=background.device, dtype=background.dtype) - 0.5
    return (background + amount * noise).clamp(0, 1)


def _drop_out(splats: Splats, rate: float, random: torch.Generator) -> Splats:
    """Leave out a share of the Gaussians and make up for it with the others' opacity [2], section 3.2.

    At most up to 1: a Gaussian of more would not be drawn.
    """
    if rate <= 0:
        return splats
    kept = torch.rand(len(splats.opacities), generator=random, device=splats.opacities.device) >= rate
    return replace(splats, opacities=(splats.opacities * (kept / (1 - rate))).clamp(max=1))


@torch.no_grad()
def _decay_opacities(opacity_logits: Tensor, factor: float) -> None:
    if factor < 1:
        opacity_logits.copy_((opacity_logits.sigmoid() * factor).clamp(1e-5, 1 - 1e-5).logit())


@torch.no_grad()
def _prune(adam: Adam, max_scale: float) -> Tensor:
    """Remove what is invisible, fog or broken; returns what stays, [N] bool."""
    leaves = adam.leaves
    keep = (leaves["opacity_logits"].sigmoid() > MIN_OPACITY) & (leaves["log_scales"].amax(1).exp() < max_scale)
    for tensor in leaves.values():
        keep &= tensor.isfinite().reshape(len(tensor), -1).all(1)
    if not keep.all():
        adam.keep(keep)
    return keep
