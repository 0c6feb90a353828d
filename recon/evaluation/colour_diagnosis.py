"""How much of the error on held-out photos is colour, how much geometry: what remains when only colours may change.

The Gaussians' places, shapes and opacities stay; their colours are fitted to the held-out photos themselves. What error
is then left no colours could mend: it is geometry's. Colours have much freedom where few photos ask for them, so the
share of geometry is a lower bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splatting.adam import Adam
from splatting.fit import TrainingView
from splatting.gaussians import Gaussians
from splatting.losses import photometric_loss
from splatting.metrics import psnr
from splatting.rasterizer import Rasterizer

STEPS_PER_VIEW = 40
RATE, LAST_RATE = 0.05, 0.005  # of the constant colour; harmonics above it take a twentieth, as in the fit
HARMONICS_SHARE = 1 / 20


@dataclass(frozen=True)
class ColourDiagnosis:
    """Errors on held-out photos before and after fitting nothing but colours to them.

    Attributes:
        psnr: of the scene as it is, dB, mean over the photos.
        psnr_with_best_colours: after fitting colours, dB.
        geometry_share: of the squared error that no colours mend, mean over the photos, in [0, 1].
    """

    psnr: float
    psnr_with_best_colours: float
    geometry_share: float


def diagnose_colours(
    gaussians: Gaussians,
    views: Sequence[TrainingView],
    rasterizer: Rasterizer,
    background: Tensor,
    *,
    seed: int,
    progress: Callable[[int, int, str], None],
) -> ColourDiagnosis:
    """Fit the colours to the held-out photos and compare.

    Args:
        gaussians: the scene, on the CPU.
        views: the held-out photos.
        rasterizer: draws on the CPU.
        background: colour [3] behind everything.
        seed: of the order of the views.
        progress: called at every step; what it raises ends the fit.

    Raises:
        ValueError: there is no view.
    """
    if not views:
        raise ValueError("views must hold at least one view")
    before = _errors(gaussians, views, rasterizer, background)
    rates = gaussians.sh.new_full(gaussians.sh.shape[1:], HARMONICS_SHARE)
    rates[0] = 1
    adam = Adam({"sh": gaussians.sh}, {"sh": RATE * rates})
    random, num_steps = np.random.default_rng(seed), STEPS_PER_VIEW * len(views)
    order: list[int] = []
    fixed = gaussians.detach()
    for step in range(num_steps):
        if not order:
            order = random.permutation(len(views)).tolist()
        view = views[order.pop()]
        adam.rates["sh"] = RATE * (LAST_RATE / RATE) ** (step / num_steps) * rates
        rgb = _render(_with_colours(fixed, adam.leaves["sh"]), view, rasterizer, background)
        photometric_loss(rgb, view.over(background), ssim_weight=0, valid=view.valid).backward()
        adam.step()
        progress(step, num_steps, "fitting colours to held-out photos")
    best = _with_colours(fixed, adam.leaves["sh"].detach())
    after = np.minimum(_errors(best, views, rasterizer, background), before)
    progress(num_steps, num_steps, "fitting colours to held-out photos")
    shares = after / np.maximum(before, 1e-10)
    return ColourDiagnosis(_mean_psnr(before), _mean_psnr(after), float(shares.mean()))


def _with_colours(gaussians: Gaussians, sh: Tensor) -> Gaussians:
    return Gaussians(gaussians.means, gaussians.log_scales, gaussians.quats_wxyz, gaussians.opacity_logits, sh)


def _render(gaussians: Gaussians, view: TrainingView, rasterizer: Rasterizer, background: Tensor) -> Tensor:
    return rasterizer(gaussians.activate(), view.camera, background=background).rgb


@torch.no_grad()
def _errors(
    gaussians: Gaussians, views: Sequence[TrainingView], rasterizer: Rasterizer, background: Tensor
) -> np.ndarray:
    """Mean squared error of each view over its valid pixels [V]."""
    decibels = [
        psnr(_render(gaussians, view, rasterizer, background).clamp(0, 1), view.over(background), view.valid)
        for view in views
    ]
    return 10 ** (-np.array(decibels) / 10)


def _mean_psnr(errors: np.ndarray) -> float:
    return float(np.mean(-10 * np.log10(errors)))
