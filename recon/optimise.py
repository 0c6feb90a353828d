"""The fit as the scene sees it: views become targets, the device is honoured."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.device import Device
from recon.exposure import evened
from recon.progress import Progress
from recon.scene import DepthMap, View
from splatting import rasterizer
from splatting.fit import FitConfig, OnStep, TrainingView, fit
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer


class Fit(Protocol):
    """What `splatting.fit.fit` is: see there."""

    def __call__(
        self,
        gaussians: Gaussians,
        views: Sequence[TrainingView],
        config: FitConfig,
        *,
        rasterizer: Rasterizer,
        background: Tensor,
        seed: int,
        progress: Progress,
        is_verified: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Gaussians: ...


def optimise(
    start: Gaussians,
    views: Sequence[View],
    config: FitConfig,
    device: Device,
    *,
    seed: int,
    progress: Progress,
    is_verified: NDArray[np.bool_] | None = None,
    depth_maps: Sequence[DepthMap] = (),
    on_step: OnStep | None = None,
    loop: Fit = fit,
) -> Gaussians:
    """Fit the Gaussians to the training views; the result is on the CPU whatever the device. See `splatting.fit`.

    `depth_maps` are those of the views; without them photos cannot be compared and are taken as bright as they are.
    `on_step` is called after every step; `loop` is what fits, ours unless another is measured beside it.
    """
    if depth_maps and config.even_exposure:
        views = evened(views, depth_maps)
    background = background_of(views)
    target = torch.device(device.torch_name)
    moved = Gaussians(**{part.name: getattr(start, part.name).to(target) for part in fields(start)})
    return loop(
        moved,
        [training_view(view, target) for view in views],
        config,
        rasterizer=rasterizer.create(device.rasterizer),
        background=background.to(target),
        seed=seed,
        progress=progress,
        is_verified=None if is_verified is None else torch.from_numpy(is_verified).to(target),
        on_step=on_step,
    ).detach()


def training_view(view: View, device: torch.device) -> TrainingView:
    """A view as the fit takes it."""
    return TrainingView(
        view.camera,
        torch.from_numpy(view.rgb.astype(np.float32) / 255).to(device),
        None if view.valid.all() else torch.from_numpy(view.valid).to(device),
        None if view.mask is None else torch.from_numpy(view.mask.astype(np.float32)).to(device),
    )


def background_of(views: Sequence[View]) -> Tensor:
    """Colour [3] behind everything: white around masked objects, else the mean colour of the photos."""
    if any(view.mask is not None for view in views):
        return torch.ones(3)
    mean = np.mean([view.rgb[view.valid].mean(0) for view in views], axis=0) / 255
    return torch.from_numpy(mean.astype(np.float32))


def target_rgb(view: View, background: Tensor) -> np.ndarray:
    """What a render should show, [H, W, 3] float32 in [0, 1]: the photo, or its object on the background."""
    rgb = view.rgb.astype(np.float32) / 255
    return rgb if view.mask is None else np.where(view.mask[..., None], rgb, background.cpu().numpy())
