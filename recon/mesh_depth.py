"""Depth maps worth fusing: from rendered Gaussians and verified stereo, weighted by how far they can be believed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from recon.fusion import FusionView, count_agreement
from recon.progress import Progress, no_progress
from recon.scene import DepthMap, View
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer, Render

# Where expected and median depth differ by less, one surface makes the pixel and the expected depth, which does not
# step from Gaussian to Gaussian, is the better estimate of it; where they differ by more, it mixes surfaces.
_ONE_SURFACE = 0.02
_GRADIENT_STEP_PX = 2
_REFUTED_WEIGHT = 0.05  # of depth that others look through and none confirms: it only fills what else stays empty


def surface_depth(render: Render, min_alpha: float = 0.5) -> NDArray[np.float32]:
    """Depth of the visible surface of a render [H, W]: expected where it is unmixed, else median; 0 where too clear."""
    alpha, median, expected = (
        image.detach().cpu().numpy() for image in (render.alpha, render.median_depth, render.expected_depth)
    )
    depth = np.where(np.abs(expected - median) < _ONE_SURFACE * median, expected, median)
    return np.where((alpha >= min_alpha) & (median > 0), depth, 0).astype(np.float32)


def rendered_depths(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    rasterizer: Rasterizer,
    *,
    min_alpha: float = 0.5,
    progress: Progress = no_progress,
) -> list[NDArray[np.float32]]:
    """Depth maps [H, W] of the Gaussians in each camera; 0 where fewer than `min_alpha` of the light is stopped."""
    depths = []
    with torch.no_grad():
        splats = gaussians.activate()
        for idx, camera in enumerate(cameras):
            progress(idx, len(cameras), "Rendering depth")
            depths.append(surface_depth(rasterizer(splats, camera), min_alpha))
    return depths


def incidence_cosine(depth: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Cosine of the angle between viewing ray and surface normal, per pixel [H, W]; 0 without depth.

    Inverse depth is linear in the pixel on a plane, `1/z = g . (u, v, 1)`, whose normal is then `K^T g`; the gradient
    is taken of median-filtered inverse depth.
    """
    has_depth = depth > 0
    inverse = cv2.medianBlur(np.where(has_depth, 1 / np.where(has_depth, depth, 1), 0).astype(np.float32), 5)
    inverse = np.where(has_depth & (inverse > 0), inverse, np.nan)
    gradient_u, gradient_v = _smaller_gradient(inverse, axis=1), _smaller_gradient(inverse, axis=0)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
    constant = inverse - gradient_u * u - gradient_v * v
    normal = np.stack([gradient_u, gradient_v, constant], axis=-1) @ camera.K  # rows: (K^T g)^T
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T
    lengths = np.linalg.norm(normal, axis=-1) * np.linalg.norm(rays, axis=-1)
    return np.nan_to_num(inverse / np.maximum(lengths, 1e-12)).clip(0, 1).astype(np.float32)


def _smaller_gradient(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """The smaller of the differences to both sides, per pixel; one-sided beside NaN and at the border, NaN if alone.

    Unlike the central difference it does not reach across a depth step: pixels beside a silhouette keep their normal.
    """
    step = _GRADIENT_STEP_PX
    padding = [(step, step) if k == axis else (0, 0) for k in range(2)]
    padded = np.pad(values, padding, constant_values=np.nan)
    n = values.shape[axis]
    before, after = (np.take(padded, np.arange(n) + shift, axis=axis) for shift in (0, 2 * step))
    backward, forward = values - before, after - values
    use_forward = np.isnan(backward) | (np.abs(forward) < np.abs(backward))
    return np.where(use_forward, forward, backward) / step


def usable_depth(view: View, depth: NDArray[np.float32], *, far: float) -> NDArray[np.float32]:
    """Depth [H, W] with the pixels that show nothing, lie outside the object mask or beyond `far` set to 0."""
    keep = view.valid & np.isfinite(depth) & (depth > 0) & (depth < far)
    if view.mask is not None:
        keep &= view.mask
    return np.where(keep, depth, 0).astype(np.float32)


def verified_depth(stereo: DepthMap, min_agreeing: int) -> NDArray[np.float32]:
    """Stereo depth [H, W] where at least `min_agreeing` other views confirmed it, else 0."""
    return np.where(stereo.num_agreeing >= min_agreeing, stereo.depth, 0).astype(np.float32)


def near_verified(rendered: NDArray[np.float32], verified: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """Rendered depth [H, W], 0 where the nearest verified pixel lies farther than `reach`, in px.

    Far from what two photos agree on, the Gaussians started from guesses; one photo alone hardly moves them.
    """
    to_verified = cv2.distanceTransform((verified == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where((verified > 0).any() & (to_verified <= reach), rendered, 0).astype(np.float32)


def merge_depths(
    stereo: NDArray[np.float32], rendered: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """One depth map of two, 0 where neither knows [H, W], and where it is certain [H, W].

    Verified stereo where there is any: it lies nearer to true surfaces than rendered depth, and than the mean of both,
    above all on glossy ones, which the fit pushes back (measured, tests/bench/MESH.md). Rendered depth elsewhere.

    Args:
        stereo: verified depth, 0 where nothing was verified.
        rendered: depth of the Gaussians; where no second photo confirmed them it is a guess.
    """
    is_certain = stereo > 0
    return np.where(is_certain, stereo, rendered).astype(np.float32), is_certain


def weigh(
    views: Sequence[FusionView],
    *,
    tolerance: float,
    max_grazing_deg: float,
    lone_weight: float,
    progress: Progress = no_progress,
) -> list[FusionView]:
    """Multiply the weights by how far each pixel can be believed.

    The factor is the cosine of incidence; 0 for surfaces that graze the ray; times `lone_weight` where no other view
    shows the same surface; next to nothing where others look through it and none confirms it.

    Args:
        tolerance: largest relative depth difference of two views of one surface.
        max_grazing_deg: largest angle between ray and surface normal.
    """
    counts = count_agreement(views, tolerance, progress) if len(views) > 1 else []
    weighted = []
    for idx, view in enumerate(views):
        cosine = incidence_cosine(view.depth, view.camera)
        factor = np.where(cosine >= np.cos(np.deg2rad(max_grazing_deg)), cosine, 0)
        if counts:
            agreeing, conflicting = counts[idx]
            factor = factor * np.where(
                agreeing > 0, 1.0, np.where(conflicting > 0, _REFUTED_WEIGHT * lone_weight, lone_weight)
            )
        weighted.append(replace(view, weight=(view.weight * factor).astype(np.float32)))
    return weighted
