"""The fit as the scene sees it: views become targets, the device is honoured."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.device import Device
from recon.progress import Progress
from recon.scene import View
from splatting import rasterizer
from splatting.fit import FitConfig, TrainingView, fit
from splatting.gaussians import Gaussians


def optimise(
    start: Gaussians,
    views: Sequence[View],
    config: FitConfig,
    device: Device,
    *,
    seed: int,
    progress: Progress,
    is_verified: NDArray[np.bool_] | None = None,
) -> Gaussians:
    """Fit the Gaussians to the training views; the result is on the CPU whatever the device. See `splatting.fit`."""
    background = background_of(views)
    target = torch.device(device.torch_name)
    moved = Gaussians(**{part.name: getattr(start, part.name).to(target) for part in fields(start)})
    training = [
        TrainingView(
            view.camera,
            torch.from_numpy(view.rgb.astype(np.float32) / 255).to(target),
            None if view.valid.all() else torch.from_numpy(view.valid).to(target),
            None if view.mask is None else torch.from_numpy(view.mask.astype(np.float32)).to(target),
        )
        for view in views
    ]
    return fit(
        moved,
        training,
        config,
        rasterizer=rasterizer.create(device.rasterizer),
        background=background.to(target),
        seed=seed,
        progress=progress,
        is_verified=None if is_verified is None else torch.from_numpy(is_verified).to(target),
    ).detach()


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
