"""Depth rendered halfway between the photos, kept where points that photos agree on confirm it.

A surface that two photos see aslant is often seen more squarely from between them, and the fit has averaged what both
say of it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from recon.fusion import FusionView
from recon.mesh_depth import incidence_cosine, near_verified, surface_depth
from recon.progress import Progress, no_progress
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

MAX_BETWEEN = 12  # more cost time; photos as many as that show all from near by themselves
_MAX_TURN_DEG = 60  # between two photos: halfway between others may lie inside the thing that they show
_SAME_DEPTH = 0.01  # relative difference to a verified point that confirms rendered depth
_REACH = 0.003  # of the longer side: so near to a confirmed pixel depth is believed


def between_views(
    gaussians: Gaussians,
    views: Sequence[FusionView],
    rasterizer: Rasterizer,
    *,
    weight: float,
    min_alpha: float = 0.5,
    progress: Progress = no_progress,
) -> list[FusionView]:
    """Views halfway between neighbours, with the depth of the Gaussians where it is confirmed.

    Args:
        views: with verified depth only, 0 elsewhere.
        weight: what a surface seen squarely counts.
        min_alpha: opacity at which there is a surface.

    Returns:
        At most `MAX_BETWEEN`; none if all is empty or there is but one view.
    """
    verified = [_points(view) for view in views]
    xyz = np.concatenate(verified) if verified else np.zeros((0, 3))
    made = []
    cameras = halfway_cameras([view.camera for view in views])[:MAX_BETWEEN] if len(xyz) and len(gaussians) else []
    with torch.no_grad():
        splats = gaussians.activate() if cameras else None
        for idx, camera in enumerate(cameras):
            progress(idx, len(cameras), "Rendering depth between the photos")
            assert splats is not None
            render = rasterizer(splats, camera)
            depth = confirmed(surface_depth(render, min_alpha), camera, xyz)
            rgb = np.round(255 * render.rgb.detach().cpu().numpy().clip(0, 1)).astype(np.uint8)
            made.append(FusionView(camera, depth, rgb, weight * incidence_cosine(depth, camera)))
    return made


def halfway_cameras(cameras: Sequence[Camera]) -> list[Camera]:
    """A camera halfway between each and the two nearest to it, once for each pair; the nearest pairs first.

    None between two that look in directions more than `_MAX_TURN_DEG` apart.
    """
    centers = np.array([camera.center for camera in cameras]).reshape(-1, 3)
    distance = np.linalg.norm(centers[:, None] - centers, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, : min(2, len(cameras) - 1)]
    axes = np.array([camera.R[2] for camera in cameras]).reshape(-1, 3)
    may = axes @ axes.T >= np.cos(np.deg2rad(_MAX_TURN_DEG))
    pairs = {(min(i, j), max(i, j)) for i in range(len(cameras)) for j in nearest[i].tolist() if may[i, j]}
    return [_halfway(cameras[i], cameras[j]) for i, j in sorted(pairs, key=lambda pair: (distance[pair], pair))]


def _halfway(a: Camera, b: Camera) -> Camera:
    """The lens of a, between a and b."""
    R = Slerp([0, 1], Rotation.from_matrix([a.R, b.R]))(0.5).as_matrix()
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = R
    cam_from_world[:3, 3] = -R @ (a.center + b.center) / 2
    return replace(a, cam_from_world=cam_from_world)


def confirmed(depth: NDArray[np.float32], camera: Camera, xyz: NDArray[np.floating]) -> NDArray[np.float32]:
    """Depth [H, W] near the pixels at which points [N, 3] of the world lie as deep, else 0."""
    pixels, z = camera.project(xyz)
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < [camera.width, camera.height]).all(axis=1)
    column, row = pixels[inside].astype(int).T
    agrees = np.abs(depth[row, column] - z[inside]) < _SAME_DEPTH * z[inside]
    seen = np.zeros_like(depth)
    seen[row[agrees], column[agrees]] = 1
    return near_verified(depth, seen, _REACH * max(depth.shape))


def _points(view: FusionView) -> NDArray[np.floating]:
    """The points [N, 3] of the world that a view shows."""
    row, column = np.nonzero(view.depth)
    return view.camera.unproject(np.stack([column + 0.5, row + 0.5], axis=1), view.depth[row, column].astype(float))
