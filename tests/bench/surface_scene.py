"""A scene like those that photos give: a wavy sheet before another, covered with thin Gaussians a few pixels wide."""

import numpy as np
import torch

from splatting.camera import Camera
from splatting.gaussians import Splats


def surface_scene(count: int, sh_degree: int, width: int, height: int, *, seed: int = 0) -> tuple[Splats, Camera]:
    """Gaussians that collect gradients, and a camera that sees five in six of them.

    Their size in px does not depend on the picture's: about 5 px from the middle to where they end (opacity 1/255).
    At 640 x 480, 100k Gaussians make 3.9 million pairs with pixels that are not saturated, 13 for every pixel.
    """
    random = torch.Generator().manual_seed(seed)
    focal = 0.9 * width
    u, v = 1.1 * torch.rand(2, count, generator=random) - 0.05
    front = 3 + 0.6 * torch.sin(9 * u) * torch.cos(7 * v) + 0.08 * torch.randn(count, generator=random)
    back = 6 + 0.3 * torch.randn(count, generator=random)
    is_front = torch.rand(count, generator=random) < 0.7
    z = torch.where(is_front, front, back).clamp(min=1)
    means = torch.stack([(u - 0.5) * width / focal * z, (v - 0.5) * height / focal * z, z], 1)

    size = 1.36 * z / focal * torch.exp(0.45 * torch.randn(count, generator=random))
    middle_axis = torch.exp(-0.5 * torch.randn(count, generator=random).abs())
    scales = size[:, None] * torch.stack([torch.ones(count), middle_axis, torch.full([count], 0.25)], 1)
    quats = torch.randn(count, 4, generator=random)
    opacities = 0.1 + 0.8 * torch.rand(count, generator=random)
    sh = 0.15 * torch.randn(count, (sh_degree + 1) ** 2, 3, generator=random)
    sh[:, 0] = torch.randn(count, 3, generator=random)

    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    splats = Splats(*(tensor.requires_grad_() for tensor in (means, quats, scales, opacities, sh)))
    return splats, Camera(K, np.eye(4), width, height)
