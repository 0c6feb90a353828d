"""Bring photos to one exposure and white balance, from what several of them show of one surface.

Closed form, as panorama stitching does it [1]: gains that are fitted along with a scene instead have its brightness to
choose as well, and predict photos worse.

[1] Brown & Lowe, Automatic Panoramic Image Stitching using Invariant Features, IJCV 74(1), 2007, section 6.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.scene import DepthMap, View

STEP_PX = 4  # between the pixels of a view that are compared
SAME_DEPTH = 0.01
DIFFERENT = 0.03
"""Photos whose gains differ by less, as logarithms, are taken as they are: highlights and shading do as much."""

_RANGE = (10.0, 245.0)  # darker is noise, brighter is clipped
_ROBUST = 0.1  # logarithmic difference beyond which surfaces shine or hide rather than differ in exposure
_ROUNDS = 10
_PRIOR = 5.0  # points with which a photo is believed to need no correction: few shared points move it little
_LARGEST = np.log(2.0)


def evened(views: Sequence[View], depth_maps: Sequence[DepthMap]) -> tuple[View, ...]:
    """The views at one exposure; the very same ones where their gains hardly differ.

    Args:
        views: the training views.
        depth_maps: of each, 0 where no other view confirms it.
    """
    gains = photo_gains(*_shared_points(views, depth_maps))
    if np.ptp(np.log(gains), axis=0).max() < DIFFERENT:
        return tuple(views)
    return tuple(
        replace(view, rgb=np.round(view.rgb * gain).clip(0, 255).astype(np.uint8))
        for view, gain in zip(views, gains, strict=True)
    )


def photo_gains(rgb: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factors for the sRGB-coded colours of each photo, by channel, that make photos of one surface agree.

    Least squares of the logarithms, reweighted by Cauchy's function against shine and occlusion. A factor on coded
    values is one of light to the power of 1/2.2: sRGB is nearly a power law. The factors' mean logarithm is near zero.

    Args:
        rgb: [P, N, 3] in [0, 255], colours of N points in P photos.
        weight: [P, N], 0 where a photo does not show a point.

    Returns:
        [P, 3] float32 within [1/2, 2].
    """
    gains = np.ones((len(rgb), 3), np.float32)
    shown = (weight > 0) & ((rgb > _RANGE[0]) & (rgb < _RANGE[1])).all(axis=-1)
    shared = shown.sum(axis=0) >= 2
    if not shared.any():
        return gains
    for channel in range(3):
        values = np.log(np.maximum(rgb[:, shared, channel], 1)).astype(np.float64)
        gains[:, channel] = np.exp(-_log_exposures(values, (weight * shown)[:, shared].astype(np.float64)))
    return gains


def _log_exposures(values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part [P] of `values` [P, N] that belongs to the photo rather than the point."""
    exposures = np.zeros(len(values))
    weight = trust
    for _ in range(_ROUNDS):
        per_point = np.maximum(weight.sum(axis=0), 1e-12)
        # Normal equations of w (value - exposure - point)^2 with the points eliminated.
        matrix = np.diag(weight.sum(axis=1)) - (weight / per_point) @ weight.T
        right = (weight * (values - (weight * values).sum(axis=0) / per_point)).sum(axis=1)
        exposures = np.linalg.solve(matrix + _PRIOR * np.eye(len(values)), right).clip(-_LARGEST, _LARGEST)
        rest = values - exposures[:, None]
        rest = rest - (weight * rest).sum(axis=0) / per_point
        weight = trust / (1 + (rest / _ROBUST) ** 2)
    return exposures


def _shared_points(
    views: Sequence[View], depth_maps: Sequence[DepthMap]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours [V, N, 3] of points of a grid over all views, and whether a view shows them, [V, N] 0 or 1."""
    blurred = [cv2.GaussianBlur(view.rgb, (0, 0), 1.0).astype(np.float32) for view in views]
    colours, shown = [], []
    for view, depth_map in zip(views, depth_maps, strict=True):
        row, column = (part * STEP_PX for part in np.nonzero(depth_map.depth[::STEP_PX, ::STEP_PX]))
        depth = depth_map.depth[row, column].astype(float)
        xyz = view.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), depth)
        seen = [_seen(xyz, *other) for other in zip(views, depth_maps, blurred, strict=True)]
        colours.append([rgb for rgb, _ in seen])
        shown.append([is_there for _, is_there in seen])
    return np.concatenate(colours, axis=1), np.concatenate(shown, axis=1).astype(np.float32)


def _seen(
    xyz: NDArray[np.floating], view: View, depth_map: DepthMap, rgb: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What a view shows at points [N, 3]: colours [N, 3], and whether its own depth says that it shows them."""
    pixels, depth = view.camera.project(xyz)
    inside = (depth > 0) & (pixels >= 0).all(1) & (pixels < [view.camera.width, view.camera.height]).all(1)
    x, y = np.where(inside[:, None], pixels, 0).astype(int).T
    return rgb[y, x], inside & (np.abs(depth_map.depth[y, x] - depth) < SAME_DEPTH * depth)
