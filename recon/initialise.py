"""All the Gaussians at once: one for every well-chosen verified pixel, a few large ones where nothing is verified."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon.completion import complete_depth
from recon.errors import ReconError
from recon.scene import DepthMap, PointCloud, View
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import sh_from_rgb

Floats = NDArray[np.floating]

VERIFIED_OPACITY = 0.5
GUESSED_OPACITY = 0.3
MAX_SCALE_PX = 4.0  # a verified Gaussian never starts wider than this in its own photo
ISOLATION = 8.0  # times the usual neighbour distance that makes a point an outlier
GUESSES_PER_SIDE = 160  # guesses are as coarse whatever the working size: one every 4 px at 640
GUESS_MARGIN_PX = 2.5  # verified Gaussians reach this far themselves
FREE_SPACE_MARGIN = 0.985  # a guess this much nearer than another view's verified surface floats in its free space


@dataclass(frozen=True)
class InitialiseConfig:
    """How many Gaussians there are and where they come from."""

    num_gaussians: int = field(
        default=120_000, metadata={"help": "verified Gaussians at most", "unit": "", "low": 100, "high": 10_000_000}
    )
    complete_unverified: bool = field(
        default=True, metadata={"help": "guess depth where no two photos agree", "unit": ""}
    )


@dataclass(frozen=True)
class _Seeds:
    """Points that become Gaussians: xyz [N, 3], rgb [N, 3] in [0, 1], scale [N] world units."""

    xyz: Floats
    rgb: Floats
    scale: Floats


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
        for index, view in enumerate(views):
            parts.append(_guessed_seeds(index, view, views, depth_maps, points))
    xyz, rgb, scale = (np.concatenate([getattr(part, name) for part in parts]) for name in ("xyz", "rgb", "scale"))
    is_verified = np.arange(len(xyz)) < len(verified.xyz)
    opacity = np.where(is_verified, VERIFIED_OPACITY, GUESSED_OPACITY)
    gaussians = Gaussians(
        means=torch.from_numpy(xyz.astype(np.float32)),
        log_scales=torch.from_numpy(np.log(scale).astype(np.float32))[:, None].repeat(1, 3),
        quats_wxyz=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(xyz), 1),
        opacity_logits=torch.from_numpy(opacity.astype(np.float32)).logit(),
        sh=sh_from_rgb(torch.from_numpy(rgb.astype(np.float32)))[:, None],
    )
    return gaussians, is_verified


def _verified_seeds(
    views: Sequence[View], depth_maps: Sequence[DepthMap], max_count: int, random: np.random.Generator
) -> _Seeds:
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
    return _Seeds(all_xyz[dense], all_rgb[dense], np.clip(spacing / 2, pixel, MAX_SCALE_PX * pixel))


def _guessed_seeds(
    index: int, view: View, views: Sequence[View], depth_maps: Sequence[DepthMap], points: PointCloud
) -> _Seeds:
    """A coarse grid of Gaussians over what this view alone sees, at completed depth."""
    known = depth_maps[index].depth > 0
    wanted = view.valid if view.mask is None else view.valid & view.mask
    if not known.any() or known[wanted].all():
        return _Seeds(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    completed = complete_depth(view, depth_maps[index], points, index)
    step = max(2, round(max(known.shape) / GUESSES_PER_SIDE))
    to_known = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.mgrid[step // 2 : known.shape[0] : step, step // 2 : known.shape[1] : step]
    row, column = row.ravel(), column.ravel()
    use = (to_known[row, column] > GUESS_MARGIN_PX) & wanted[row, column]
    row, column = row[use], column[use]
    depth = completed[row, column].astype(float)
    xyz = view.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), depth)
    keep = ~_in_free_space(index, xyz, views, depth_maps)
    blurred = cv2.GaussianBlur(view.rgb, (0, 0), 1.0)
    scale = 0.6 * step * depth / view.camera.K[0, 0]
    return _Seeds(xyz[keep], blurred[row, column][keep] / 255, scale[keep])


def _in_free_space(index: int, xyz: Floats, views: Sequence[View], depth_maps: Sequence[DepthMap]) -> NDArray[np.bool_]:
    """Points that another view looks through, because it verified a surface behind them."""
    floating = np.zeros(len(xyz), bool)
    for other, (view, depth_map) in enumerate(zip(views, depth_maps, strict=True)):
        if other == index:
            continue
        pixels, depth = view.camera.project(xyz)
        height, width = depth_map.depth.shape
        column = np.floor(np.clip(pixels[:, 0], -1, width)).astype(int)
        row = np.floor(np.clip(pixels[:, 1], -1, height)).astype(int)
        inside = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        surface = depth_map.depth[row.clip(0, height - 1), column.clip(0, width - 1)]
        floating |= inside & (surface > 0) & (depth < FREE_SPACE_MARGIN * surface)
    return floating
