"""Which Gaussians lie in a box, a sphere, or an outline drawn over a view: boolean masks [N]."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splatting.camera import Camera, Floats

Mask = NDArray[np.bool_]


def in_box(xyz: Floats, low: Sequence[float] | Floats, high: Sequence[float] | Floats) -> Mask:
    """Which points [N, 3] lie in a box along the axes, its faces included.

    Raises:
        ValueError: the corners are not [3] each, or a lower one lies above its upper one.
    """
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if lower.shape != (3,) or upper.shape != (3,) or not (lower <= upper).all():
        raise ValueError(f"a box has a lower and an upper corner [3], got {lower.tolist()} and {upper.tolist()}")
    return np.asarray(((xyz >= lower) & (xyz <= upper)).all(axis=1))


def in_sphere(xyz: Floats, center: Floats, radius: float) -> Mask:
    """Which points [N, 3] lie within a radius of a centre [3]."""
    return np.asarray(((xyz - np.asarray(center)) ** 2).sum(axis=1) <= radius**2)


def in_outline(xyz: Floats, camera: Camera, outline: Floats) -> Mask:
    """Which points [N, 3] a camera shows inside an outline, however deep they lie.

    Args:
        xyz: in the world frame.
        camera: of the view that the outline was drawn over.
        outline: corners [C, 2] of a closed polygon, px; may cross itself: what it goes around an odd number of times is
            inside. Fewer than three corners hold nothing.
    """
    corners = np.asarray(outline, np.float64).reshape(-1, 2)
    inside = np.zeros(len(xyz), bool)
    if len(corners) < 3:
        return inside
    pixels, depth = camera.project(np.asarray(xyz, np.float64))
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    x, y = pixels.T
    rows = np.flatnonzero((depth > 0) & (x >= left) & (x <= right) & (y >= top) & (y <= bottom))
    inside[rows] = _is_inside(x[rows], y[rows], corners)
    return inside


def rectangle(a: Sequence[float], b: Sequence[float]) -> NDArray[np.float64]:
    """The outline [4, 2] of a rectangle with two opposite corners."""
    (left, right), (top, bottom) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def front_part(xyz: Floats, mask: Mask, camera: Camera, depth: NDArray[np.floating], margin: float = 0.05) -> Mask:
    """The part of a selection that a view really shows: not what lies behind the surface.

    Args:
        xyz: in the world frame [N, 3].
        mask: selected ones [N].
        camera: of the view.
        depth: of its surface [H, W], any size of the same proportions; 0 where there is none: all of it is shown then.
        margin: how far behind the surface something may lie, relative to its depth.
    """
    pixels, z = camera.project(np.asarray(xyz, np.float64))
    height, width = depth.shape
    column = np.clip(pixels[:, 0] * width / camera.width, 0, width - 1).astype(int)
    row = np.clip(pixels[:, 1] * height / camera.height, 0, height - 1).astype(int)
    surface = depth[row, column]
    return np.asarray(mask & ((surface <= 0) | (z <= (1 + margin) * surface)))


def _is_inside(x: Floats, y: Floats, corners: NDArray[np.float64]) -> Mask:
    """Even-odd rule for points: how many edges does a ray to the right cross?"""
    inside = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        inside ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
