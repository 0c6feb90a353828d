"""Going on with fitted Gaussians when photos are added: what to take along, what to add, how long to fit."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon.dense import DenseScene
from recon.scene import DepthMap, View
from splatting.camera import Camera
from splatting.fit import FitConfig
from splatting.gaussians import Gaussians, concatenate
from splatting.rasterizer import Rasterizer

STEPS_SHARE = 0.4
"""Of the steps that a fit from the start takes."""
COVERED_ALPHA = 0.5  # what the fitted Gaussians hide by less is not covered by them
COVERED_SPACINGS = 1.5  # a fitted Gaussian this near, in spacings of the start, stands for a point
FREE_SPACE_SHARE = 0.95  # of the verified depth of an added view: fitted Gaussians nearer than that are in its way


def continued_fit(config: FitConfig) -> FitConfig:
    """Settings for going on: fewer steps, all of them at full size."""
    return replace(config, num_iterations=round(STEPS_SHARE * config.num_iterations), coarse_share=0.0)


def continued_start(
    fitted: Gaussians, dense: DenseScene, views: Sequence[View], added: Collection[str], rasterizer: Rasterizer
) -> Gaussians:
    """The fitted Gaussians, and those of a new start that stand where none of them is.

    Fitted ones that float before a surface which an added view verified are left out. Of the new start, verified
    Gaussians come in where no fitted one is near, guessed ones where an added view sees through the fitted ones.

    Args:
        fitted: of the scene so far, on the CPU.
        dense: depth of all training views and the start that comes of it.
        views: the training views.
        added: names of those that the fitted Gaussians do not know.
        rasterizer: draws on the CPU.
    """
    new = [(view, depth_map) for view, depth_map in zip(views, dense.depth_maps, strict=True) if view.name in added]
    floating = np.zeros(len(fitted), bool)
    for view, depth_map in new:
        floating |= _is_before(view.camera, depth_map, fitted.means.double().numpy())
    kept = fitted.select(torch.from_numpy(~floating))
    wanted = np.where(dense.is_verified, _is_far_from(kept, dense), False)
    for view, _ in new:
        wanted |= ~dense.is_verified & _is_seen_through(kept, view.camera, dense.gaussians, rasterizer)
    start = dense.gaussians.select(torch.from_numpy(wanted))
    sh = start.sh.new_zeros(len(start), *kept.sh.shape[1:])
    sh[:, :1] = start.sh
    return concatenate([kept, replace(start, sh=sh)])


def _is_before(camera: Camera, depth_map: DepthMap, xyz: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points [N, 3] a view looks through at a verified surface behind them."""
    at, depth, inside = _pixels(camera, xyz)
    surface = depth_map.depth[at]
    return inside & (surface > 0) & (depth < FREE_SPACE_SHARE * surface)


def _is_far_from(fitted: Gaussians, dense: DenseScene) -> NDArray[np.bool_]:
    """Which Gaussians of the start have no fitted one near, [N]."""
    start = dense.gaussians
    if not len(fitted):
        return np.ones(len(start), bool)
    spacing = 2 * start.log_scales[:, 0].exp().numpy()
    distance, _ = cKDTree(fitted.means.numpy()).query(start.means.numpy())
    return np.asarray(distance > COVERED_SPACINGS * spacing)


def _is_seen_through(fitted: Gaussians, camera: Camera, start: Gaussians, rasterizer: Rasterizer) -> NDArray[np.bool_]:
    """Which Gaussians of the start a camera sees where the fitted ones hide little, [N]."""
    with torch.no_grad():
        alpha = rasterizer(fitted.activate(), camera).alpha.numpy()
    at, _, inside = _pixels(camera, start.means.double().numpy())
    return inside & (alpha[at] < COVERED_ALPHA)


def _pixels(
    camera: Camera, xyz: NDArray[np.float64]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64], NDArray[np.bool_]]:
    """Row and column of points [N, 3] in a camera's image, brought inside; their depth; and whether they are inside."""
    pixels, depth = camera.project(xyz)
    column, row = np.floor(np.nan_to_num(pixels, nan=-1.0, posinf=-1.0, neginf=-1.0)).T
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    at = row.clip(0, camera.height - 1).astype(np.int64), column.clip(0, camera.width - 1).astype(np.int64)
    return at, np.asarray(depth, np.float64), np.asarray(inside, np.bool_)
