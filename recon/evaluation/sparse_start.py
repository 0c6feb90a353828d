"""Gaussians from the sparse points alone, as 3D Gaussian Splatting starts: what dense depth is compared with."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from recon.errors import ReconError
from recon.scene import PointCloud
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import sh_from_rgb

OPACITY = 0.1  # Kerbl et al. 2023, as the next two
NUM_NEIGHBOURS = 3
MIN_DISTANCE = 1e-7  # squared, against points that coincide


def sparse_start(points: PointCloud) -> Gaussians:
    """A round Gaussian at each point, as wide as its three nearest neighbours are far (root mean square).

    Returns:
        Spherical harmonics of degree 0.

    Raises:
        ReconError: there are fewer than four points.
    """
    if len(points) <= NUM_NEIGHBOURS:
        raise ReconError(f"Only {len(points)} sparse points were found.", "Take photos that overlap more.")
    distance = cKDTree(points.xyz).query(points.xyz, NUM_NEIGHBOURS + 1)[0][:, 1:]
    scale = np.sqrt(np.maximum((distance**2).mean(1), MIN_DISTANCE))
    return Gaussians(
        means=torch.from_numpy(points.xyz.astype(np.float32)),
        log_scales=torch.from_numpy(np.log(scale).astype(np.float32))[:, None].repeat(1, 3),
        quats_wxyz=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(points), 1),
        opacity_logits=torch.full((len(points),), OPACITY).logit(),
        sh=sh_from_rgb(torch.from_numpy(points.rgb.astype(np.float32) / 255))[:, None],
    )
