"""How large Gaussians are in the picture."""

import torch
from torch import Tensor

from splatting.camera import Camera

MIN_ALPHA = 1 / 255


@torch.no_grad()
def visible_radii(means2d: Tensor, variances2d: Tensor, opacities: Tensor, camera: Camera) -> Tensor:
    """Half the larger side of the box around what is visible of each Gaussian, opacity >= 1/255.

    Args:
        means2d: centres in the picture [N, 2], px.
        variances2d: of the blurred ellipse along x and y [N, 2], px^2.
        opacities: at the centre [N], what antialiasing takes taken off.
        camera: whose picture it is.

    Returns:
        [N] px; 0 where the box lies outside the picture or nothing is visible.
    """
    half = ((2 * torch.log(opacities / MIN_ALPHA)).clamp(min=0)[:, None] * variances2d).sqrt()
    size = torch.tensor([camera.width, camera.height]).to(means2d)
    is_inside = ((means2d + half > 0) & (means2d - half < size)).all(1) & (opacities >= MIN_ALPHA)
    return torch.where(is_inside, half.amax(1), torch.zeros_like(opacities))
