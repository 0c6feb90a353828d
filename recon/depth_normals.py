"""Normals of a depth map, for pictures: the shortest axes of Gaussians that are nearly round point anywhere."""

import numpy as np
from numpy.typing import NDArray

from splatting.camera import Camera

_REACH = 3  # samples to each side of a pixel
_SPACING = 1 / 320  # of samples, in longer sides of the picture
_NEIGHBOURS = 0.08  # largest relative difference in depth to the pixel of what may be on its surface
_ON_PLANE = 0.02  # and to the plane that those make


def depth_normals(depth: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Unit normals towards the camera, in its frame (x right, y down, z forward), [H, W, 3]; 0 without depth.

    A plane is fitted around every pixel, twice: inverse depth is linear in the pixel on it, `1/z = g . (u, v, 1)`, and
    its normal is `K^T g`.

    Args:
        depth: z [H, W], 0 where unknown.
        camera: of this size.

    Raises:
        ValueError: the sizes differ.
    """
    if depth.shape != (camera.height, camera.width):
        raise ValueError(f"depth must be [{camera.height}, {camera.width}], got {list(depth.shape)}")
    is_known = depth > 0
    inverse = np.where(is_known, 1 / np.where(is_known, depth, 1), np.nan)
    level = np.stack([np.zeros_like(inverse), np.zeros_like(inverse), inverse], axis=-1)
    plane = _fitted(inverse, _fitted(inverse, level, _NEIGHBOURS), _ON_PLANE)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
    constant = plane[..., 2] - plane[..., 0] * u - plane[..., 1] * v
    away = np.stack([plane[..., 0], plane[..., 1], constant], axis=-1) @ camera.K  # rows: (K^T g)^T
    lengths = np.linalg.norm(away, axis=-1, keepdims=True)
    is_good = np.isfinite(lengths) & (lengths > 0)
    return np.where(is_good, -away / np.where(is_good, lengths, 1), 0).astype(np.float32)


def _fitted(inverse: NDArray[np.float64], plane: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Around each pixel the least-squares plane through the samples near another one.

    Args:
        inverse: 1/z [H, W], NaN where unknown.
        plane: change of 1/z per pixel in u and v, and its value at the pixel, [H, W, 3].
        tolerance: largest relative difference of samples to it.

    Returns:
        The same of the new planes; the old one where fewer than three samples lie near it, or all in a line.
    """
    height, width = inverse.shape
    step = max(1, round(max(height, width) * _SPACING))
    reach = _REACH * step
    padded = np.pad(inverse, reach, constant_values=np.nan)
    normal = np.zeros((height, width, 3, 3))
    right = np.zeros((height, width, 3))
    for dv in range(-reach, reach + 1, step):
        for du in range(-reach, reach + 1, step):
            sample = padded[reach + dv : reach + dv + height, reach + du : reach + du + width]
            expected = plane[..., 0] * du + plane[..., 1] * dv + plane[..., 2]
            weight = (np.abs(sample - expected) < tolerance * expected).astype(np.float64)  # False for NaN
            row = np.array([du, dv, 1.0])
            normal += weight[..., None, None] * np.outer(row, row)
            right += (weight * np.nan_to_num(sample))[..., None] * row
    is_determined = np.linalg.det(normal) > 0.5  # of whole numbers
    solved = np.linalg.solve(np.where(is_determined[..., None, None], normal, np.eye(3)), right[..., None])[..., 0]
    return np.where(is_determined[..., None], solved, plane)
