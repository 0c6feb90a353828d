"""Random Gaussians and cameras for the tests of the rasterizers."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats

PARAMETERS = ["means", "quats_wxyz", "scales", "opacities", "colours"]
WITH_FEATURES = [*PARAMETERS, "features"]


def turned_camera(width: int, height: int, *, angle: float = 0.3, focal: float = 0.9) -> Camera:
    """A camera some way from the world's origin that looks at (0, 0, 4), its principal point off the middle."""
    c, s = math.cos(angle), math.sin(angle)
    pose = np.eye(4)
    pose[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    pose[:3, 3] = [-4 * s + 0.1, 0.05, 4 - 4 * c]
    K = np.array([[focal * width, 0, 0.52 * width], [0, focal * width, 0.47 * height], [0, 0, 1.0]])
    return Camera(K, pose, width, height)


def random_splats(
    n: int, *, seed: int = 0, radius: float = 0.08, degree: int | None = 3, channels: int | None = None
) -> Splats:
    """`n` Gaussians around (0, 0, 4), some outside the view and behind the camera.

    Without a degree their colours are plain, some below 0; with `channels` they have features.
    """
    g = torch.Generator().manual_seed(seed)
    means = torch.rand(n, 3, generator=g) * torch.tensor([5.0, 4.0, 4.0]) + torch.tensor([-2.5, -2.0, 2.0])
    means[: n // 20, 2] -= 6.0
    scales = radius * torch.exp(0.7 * torch.randn(n, 3, generator=g))
    quats = torch.randn(n, 4, generator=g) * torch.rand(n, 1, generator=g) * 3
    opacities = 0.02 + 0.97 * torch.rand(n, generator=g)
    colours = 0.2 * torch.randn(n, ((degree or 0) + 1) ** 2, 3, generator=g)
    colours[:, 0] = torch.randn(n, 3, generator=g)
    features = None if channels is None else torch.randn(n, channels, generator=g)
    return Splats(means, quats, scales, opacities, colours[:, 0] if degree is None else colours, features)


def leaves(splats: Splats, dtype: torch.dtype = torch.float32) -> Splats:
    """A copy whose tensors collect gradients."""
    return Splats(**{name: t.detach().to(dtype).requires_grad_() for name, t in tensors_of(splats).items()})


def tensors_of(splats: Splats) -> dict[str, Tensor]:
    """The tensors that there are, by name."""
    return {name: tensor for name, tensor in vars(splats).items() if tensor is not None}


def edited(splats: Splats, **changes: tuple[int, float]) -> Splats:
    """A copy in which row `i` of the named parameters is filled with a value: `edited(s, scales=(3, nan))`."""
    new = {}
    for name, (row, value) in changes.items():
        new[name] = getattr(splats, name).clone()
        new[name][row] = value
    return replace(splats, **new)


def relative_l2(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected| over all entries; the plain norm of `actual` where `expected` is zero."""
    actual, expected = actual.detach().double(), expected.detach().double()
    scale = float(expected.norm())
    return float((actual - expected).norm()) / (scale if scale > 0 else 1.0)
