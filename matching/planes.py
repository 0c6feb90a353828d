"""Planes through depth maps: surfaces continued over gaps, and normals."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Share of a window that must be known for a plane through it.
_MIN_KNOWN = 0.05
# Slopes are held back as if the known pixels spread more by this share of the variance of a whole window: three pixels
# in a row say nothing of the slope across them.
_SLOPE_DAMPING = 0.01
_NORMAL_RADIUS = 3
# A window beside the pixel must fit this much better than the one around it: on curved surfaces it is 4 degrees off.
_MOVED_PENALTY = 4.0


@dataclass(frozen=True)
class _Fit:
    """A plane at each pixel, all [H, W]: inverse depth there, slopes per px, mean squared residual (inf: no plane)."""

    value: Floats
    slope_x: Floats
    slope_y: Floats
    residual: Floats


def continue_planes(depth: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Continue surfaces over what is unknown: a plane through the known depths of each unknown pixel's window.

    Least squares in inverse depth, in which planes are linear in the pixel.

    Args:
        depth: [H, W] z in the camera, 0 = unknown.
        radius: the window is 2 radius + 1 px wide.

    Returns:
        Depth [H, W] where `depth` is unknown and a twentieth of the window is known, else 0.
    """
    known = depth > 0
    fit = _fit_planes(_inverse(depth), known, radius)
    usable = ~known & np.isfinite(fit.residual) & (fit.value > 0)
    return np.where(usable, 1 / np.where(usable, fit.value, 1), 0).astype(np.float32)


def estimate_normals(depth: NDArray[np.float32], K: Floats) -> NDArray[np.float32]:
    """Normals of a depth map: of the plane through the 7 px window around each pixel.

    Where a window moved to a side or corner, with the pixel on its rim, fits much better, its plane is taken: edges
    stay sharp.

    Args:
        depth: [H, W] z in the camera, 0 = unknown.
        K: intrinsics [3, 3] in px.

    Returns:
        Unit normals [H, W, 3] in the camera frame, towards the camera; 0 where depth is unknown.

    Raises:
        ValueError: shapes do not fit.
    """
    if depth.ndim != 2 or np.shape(K) != (3, 3):
        raise ValueError(f"depth must be [H, W] and K [3, 3], got {depth.shape} and {np.shape(K)}")
    known = depth > 0
    height, width = depth.shape
    fit = _fit_planes(_inverse(depth), known, _NORMAL_RADIUS)
    best = np.full(depth.shape, np.inf)
    slope_x, slope_y = np.zeros(depth.shape), np.zeros(depth.shape)
    for down in (0, -_NORMAL_RADIUS, _NORMAL_RADIUS):
        for across in (0, -_NORMAL_RADIUS, _NORMAL_RADIUS):
            rows = np.clip(np.arange(height) + down, 0, height - 1)
            columns = np.clip(np.arange(width) + across, 0, width - 1)
            moved = np.ix_(rows, columns)
            residual = fit.residual[moved] * (_MOVED_PENALTY if down or across else 1.0)
            better = residual < best
            best = np.where(better, residual, best)
            slope_x = np.where(better, fit.slope_x[moved], slope_x)
            slope_y = np.where(better, fit.slope_y[moved], slope_y)
    # A plane n . X = 1 has inverse depth n . inverse(K) (x, y, 1): its slopes and value give K^T (a, b, c) = n.
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    offset = _inverse(depth) - slope_x * x - slope_y * y
    normals = -np.stack([slope_x, slope_y, offset], axis=-1) @ np.asarray(K, np.float64)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-300)
    return np.where((known & np.isfinite(best))[..., None], normals, 0).astype(np.float32)


def _inverse(depth: NDArray[np.float32]) -> Floats:
    return np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float64)


def _fit_planes(values: Floats, known: NDArray[np.bool_], radius: int) -> _Fit:
    """Least-squares plane through the known values of each window."""
    height, width = values.shape
    # Centred coordinates in units of the radius keep the digits.
    x = np.broadcast_to((np.arange(width) - width / 2) / radius, values.shape)
    y = np.broadcast_to(((np.arange(height) - height / 2) / radius)[:, None], values.shape)
    weight = known.astype(np.float64)

    def mean(quantity: Floats) -> Floats:
        size = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.blur(weight * quantity, size, borderType=cv2.BORDER_CONSTANT), np.float64)

    share = mean(np.ones_like(values))
    usable = share > _MIN_KNOWN
    inverse_share = 1 / np.where(usable, share, 1)
    mean_x, mean_y, mean_q = mean(x) * inverse_share, mean(y) * inverse_share, mean(values) * inverse_share
    damping = _SLOPE_DAMPING / 3  # the variance of a whole window is a third of the squared radius
    xx = mean(x * x) * inverse_share - mean_x**2 + damping
    yy = mean(y * y) * inverse_share - mean_y**2 + damping
    xy = mean(x * y) * inverse_share - mean_x * mean_y
    xq = mean(x * values) * inverse_share - mean_x * mean_q
    yq = mean(y * values) * inverse_share - mean_y * mean_q
    qq = mean(values * values) * inverse_share - mean_q**2
    determinant = xx * yy - xy * xy
    slope_x, slope_y = (xq * yy - yq * xy) / determinant, (yq * xx - xq * xy) / determinant
    residual = np.where(usable, np.maximum(qq - slope_x * xq - slope_y * yq, 0), np.inf)
    value = mean_q + slope_x * (x - mean_x) + slope_y * (y - mean_y)
    return _Fit(value, slope_x / radius, slope_y / radius, residual)
