"""How much each camera sees of each Gaussian."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.rasterize_torch import MIN_ALPHA, project_gaussians
from splatting.rasterizer import CameraTensors, Rasterizer, RenderOptions
from splatting.rasterizer_inputs import drawable

Progress = Callable[[int, int, str], None]

SEEN_SHARE = 0.2  # a camera that this share of a Gaussian's light reaches sees it
SIDE_PX = 640  # pictures are drawn no larger: what is asked is how much is hidden, not by how many pixels


def visibilities(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    rasterizer: Rasterizer,
    *,
    progress: Progress = lambda done, total, message: None,
) -> Tensor:
    """Transmittance in front of each Gaussian, averaged over what each camera shows of it.

    What is seen of a Gaussian (`Render.weights`) over what would be seen if nothing stood before it and the picture had
    no border: the integral of its ellipse above 1/255. For Gaussians much smaller than a pixel that is a rough figure.

    Args:
        gaussians: N of them; none gives [V, 0].
        cameras: V of them.
        rasterizer: draws; must know `RenderOptions.with_weights`.
        progress: told how far it is.

    Returns:
        Shares in [0, 1], float32 [V, N]; 0 for what lies outside the picture, behind the camera or cannot be drawn.
    """
    splats = gaussians.detach().activate()
    shares = torch.zeros((len(cameras), len(gaussians)))
    for idx, camera in enumerate(cameras):
        progress(idx, len(cameras), "seeing what the photos see")
        small = reduced(camera)
        with torch.no_grad():
            weights = rasterizer(splats, small, options=RenderOptions(sh_degree=0, with_weights=True)).weights
            assert weights is not None
            alone = _weights_alone(splats, small)
        shares[idx] = torch.where(alone > 0, weights / alone.clamp_min(1e-12), 0.0).clamp(0, 1)
    return shares


def num_seeing(shares: Tensor) -> Tensor:
    """How many of the cameras see each Gaussian, int64 [N], from `visibilities` [V, N]."""
    return (shares > SEEN_SHARE).sum(0)


def _weights_alone(splats: Splats, camera: Camera) -> Tensor:
    """Sum over an endless picture of each Gaussian's weight if it were alone [N], px; 0 if it is not drawn."""
    tensors = CameraTensors.of(camera, splats.means)
    in_camera = splats.means @ tensors.cam_from_world[:3, :3].T + tensors.cam_from_world[:3, 3]
    rows = torch.nonzero(drawable(splats, 0) & (in_camera[:, 2] > 0)).squeeze(1)
    _, covariances, _ = project_gaussians(
        splats.quats_wxyz[rows], splats.scales[rows], in_camera[rows], tensors, camera
    )
    area = 2 * np.pi * torch.linalg.det(covariances).clamp_min(0).sqrt()
    alone = torch.zeros(len(splats.means))
    alone[rows] = area * (splats.opacities[rows] - MIN_ALPHA).clamp_min(0)
    return alone


def reduced(camera: Camera) -> Camera:
    """The camera with a picture of at most 640 px."""
    shrink = min(1.0, SIDE_PX / max(camera.width, camera.height))
    return camera.resized(max(1, round(shrink * camera.width)), max(1, round(shrink * camera.height)))
