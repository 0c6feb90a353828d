"""All the Gaussians at once: one for every well-chosen verified pixel, a few large ones where nothing is verified."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon.errors import ReconError
from recon.guesses import guessed_seeds
from recon.scene import DepthMap, PointCloud, View
from recon.seeds import Seeds
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import sh_from_rgb

VERIFIED_OPACITY = 0.5
MAX_SCALE_PX = 4.0  # a verified Gaussian never starts wider than this in its own photo
ISOLATION = 8.0  # times the usual neighbour distance that makes a point an outlier


@dataclass(frozen=True)
class InitialiseConfig:
    """How many Gaussians there are and where they come from."""

    num_gaussians: int = field(
        default=120_000, metadata={"help": "verified Gaussians at most", "unit": "", "low": 100, "high": 10_000_000}
    )
    complete_unverified: bool = field(
        default=True, metadata={"help": "guess depth where no two photos agree", "unit": ""}
    )


def initialise(
    views: Sequence[View], depth_maps: Sequence[DepthMap], points: PointCloud, config: InitialiseConfig, *, seed: int
) -> tuple[Gaussians, NDArray[np.bool_]]:
    """Place the Gaussians.

    Verified pixels are sampled uniformly over the surface (a pixel that k views agree on counts 1 / (1 + k)), isolated
    ones dropped; a Gaussian starts as wide as its pixel or half the distance to its neighbours.

    Args:
        views: the training views.
        depth_maps: verified depth of each.
        points: sparse points with `view_indices` into `views`.

    Returns:
        The Gaussians, spherical harmonics of degree 0, and [N] bool: False where the position is a guess that no second
        photo confirms.

    Raises:
        ReconError: hardly any pixel is verified.
    """
    verified = _verified_seeds(views, depth_maps, config.num_gaussians, np.random.default_rng(seed))
    parts = [verified]
    if config.complete_unverified:
        parts += guessed_seeds(views, depth_maps, points)
    seeds = Seeds.joined(parts)
    is_verified = np.arange(len(seeds.xyz)) < len(verified.xyz)
    gaussians = Gaussians(
        means=torch.from_numpy(seeds.xyz.astype(np.float32)),
        log_scales=torch.from_numpy(np.log(seeds.scale).astype(np.float32))[:, None].repeat(1, 3),
        quats_wxyz=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(seeds.xyz), 1),
        opacity_logits=torch.from_numpy(seeds.opacity.astype(np.float32)).logit(),
        sh=sh_from_rgb(torch.from_numpy(seeds.rgb.astype(np.float32)))[:, None],
    )
    return gaussians, is_verified


def _verified_seeds(
    views: Sequence[View], depth_maps: Sequence[DepthMap], max_count: int, random: np.random.Generator
) -> Seeds:
    xyz, rgb, footprint, weight = [], [], [], []
    for view, depth_map in zip(views, depth_maps, strict=True):
        row, column = np.nonzero(depth_map.depth)
        depth = depth_map.depth[row, column].astype(float)
        xyz.append(view.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), depth))
        rgb.append(view.rgb[row, column] / 255)
        footprint.append(depth / view.camera.K[0, 0])
        weight.append(1 / (1 + depth_map.num_agreeing[row, column].astype(float)))
    all_xyz, all_rgb = np.concatenate(xyz), np.concatenate(rgb)
    all_footprint, all_weight = np.concatenate(footprint), np.concatenate(weight)
    if len(all_xyz) < 100:
        raise ReconError(
            "Hardly any surface could be confirmed by two photos.",
            "Take photos that overlap more, with smaller steps between them, and avoid plain or shiny subjects.",
        )
    if len(all_xyz) > max_count:
        chosen = random.choice(len(all_xyz), max_count, replace=False, p=all_weight / all_weight.sum())
        all_xyz, all_rgb, all_footprint = all_xyz[chosen], all_rgb[chosen], all_footprint[chosen]
    distance = cKDTree(all_xyz).query(all_xyz, 5)[0][:, 1:]
    in_pixels = distance[:, 3] / all_footprint
    dense = in_pixels < ISOLATION * np.median(in_pixels)
    spacing = distance[dense, :3].mean(1)
    pixel = all_footprint[dense]
    scale = np.clip(spacing / 2, pixel, MAX_SCALE_PX * pixel)
    return Seeds(all_xyz[dense], all_rgb[dense], scale, np.full(len(scale), VERIFIED_OPACITY))
