"""From depth maps to pairwise warps, certain where the way there and back ends where it began."""

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.consistency import CameraMatrices
from matching.types import DenseWarp


def warp_between(
    depth_a: NDArray[np.float32],
    camera_a: CameraMatrices,
    depth_b: NDArray[np.float32],
    camera_b: CameraMatrices,
    *,
    sigma_px: float = 1.0,
) -> DenseWarp:
    """Where photo b shows the pixels of photo a.

    Certainty is exp(-e^2 / (2 sigma^2)) of the distance e between a pixel and where the depth of b leads it back to,
    and 0 where a has no depth, b none at the place, or the place is outside of b. What b cannot see leads back
    elsewhere.

    Args:
        depth_a, depth_b: [H, W] z in their cameras, 0 = none; sizes may differ.
        camera_a, camera_b: K [3, 3] and cam_from_world [4, 4].
        sigma_px: forward-backward error at which certainty has fallen to .61.

    Raises:
        ValueError: shapes do not fit, or sigma is not positive.
    """
    if depth_a.ndim != 2 or depth_b.ndim != 2:
        raise ValueError(f"depth maps must be [H, W], got {depth_a.shape} and {depth_b.shape}")
    if not sigma_px > 0:
        raise ValueError(f"sigma_px must be positive, got {sigma_px}")
    rows, columns = np.indices(depth_a.shape)
    start = np.stack([columns + 0.5, rows + 0.5], axis=-1)  # [H, W, 2]
    there, in_front = _moved(start, depth_a, camera_a, camera_b)
    found = _sampled(depth_b, np.where(in_front[..., None], there, -1))
    back, back_in_front = _moved(there, found, camera_b, camera_a)
    error = np.linalg.norm(back - start, axis=-1)
    is_known = in_front & back_in_front
    certainty = np.where(is_known, np.exp(-0.5 * (np.where(is_known, error, 0) / sigma_px) ** 2), 0)
    return DenseWarp(np.where(in_front[..., None], there, 0).astype(np.float32), certainty.astype(np.float32))


def _moved(
    pixels: NDArray[np.float64], depth: NDArray[np.floating], camera: CameraMatrices, onto: CameraMatrices
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels [H, W, 2] of one camera at a depth [H, W] in another, and where they have depth and are in front of it."""
    K, cam_from_world = camera
    onto_K, onto_from_world = onto
    onto_from_cam = onto_from_world @ np.linalg.inv(cam_from_world)
    rays = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], axis=-1) @ np.linalg.inv(K).T
    xyz = rays * depth[..., None] @ onto_from_cam[:3, :3].T + onto_from_cam[:3, 3]
    in_front = (depth > 0) & (xyz[..., 2] > 0)
    homogeneous = xyz @ onto_K.T
    return homogeneous[..., :2] / np.where(in_front, homogeneous[..., 2], 1)[..., None], in_front


def _sampled(depth: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth at pixels [H, W, 2]: bilinear in inverse depth where the neighbours are one surface, else the nearest."""
    height, width = depth.shape
    grid = (pixels - 0.5).astype(np.float32)
    inside = (pixels >= 0).all(-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height)
    inverse = np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)

    def remapped(values: NDArray[np.float32], how: int) -> NDArray[np.float64]:
        across, down = grid[..., 0], grid[..., 1]
        return np.asarray(cv2.remap(values, across, down, how, borderMode=cv2.BORDER_REPLICATE), np.float64)

    smooth, nearest = remapped(inverse, cv2.INTER_LINEAR), remapped(inverse, cv2.INTER_NEAREST)
    # Of one surface: the blend of four neighbours is within a hundredth of the nearest.
    chosen = np.where(np.abs(smooth - nearest) < 0.01 * nearest, smooth, nearest)
    return np.where(inside & (chosen > 0), 1 / np.where(chosen > 0, chosen, 1), 0)
