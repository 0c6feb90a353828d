"""How much brighter or warmer each photo is than the others, where they show the same surfaces.

Closed form from what stereo confirms, as panorama stitching does it [1]: gains that are fitted along with the scene
instead have its brightness to choose as well, and predict photos worse.

[1] Brown & Lowe, Automatic Panoramic Image Stitching using Invariant Features, IJCV 74(1), 2007, section 6.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.scene import DepthMap, View

STEP_PX = 4  # between the pixels that are compared
DARKEST, BRIGHTEST = 0.08, 0.92  # of colours that are compared: noise below, clipping above
SAME_DEPTH = 0.01
MIN_PIXELS = 200  # of a pair that has a say
DIFFERENT = 0.03
"""Photos whose gains differ by less, as logarithms, are taken as they are: highlights and shading do as much."""


def photo_gains(views: Sequence[View], depth_maps: Sequence[DepthMap]) -> NDArray[np.float64]:
    """Gain of each photo and channel, [V, 3]: what its sRGB values are multiplied by, geometric mean 1.

    Args:
        views: the training views.
        depth_maps: of each, 0 where no other view confirms it.
    """
    blurred = [cv2.GaussianBlur(view.rgb, (0, 0), 1.0).astype(np.float64) / 255 for view in views]
    count = len(views)
    normal, right = np.zeros((count, count)), np.zeros((count, 3))
    for a in range(count):
        for b in range(count):
            ratios = _log_ratios(a, b, views, depth_maps, blurred) if a != b else np.zeros((0, 3))
            if len(ratios) < MIN_PIXELS:
                continue
            ratio, weight = np.median(ratios, axis=0), float(len(ratios))  # log colour of a - that of b
            normal[a, a] += weight
            normal[b, b] += weight
            normal[a, b] -= weight
            normal[b, a] -= weight
            right[a] += weight * ratio
            right[b] -= weight * ratio
    logs = np.linalg.lstsq(normal, right, rcond=1e-9)[0]  # the smallest solution: photos nobody compares with stay
    return np.asarray(np.exp(logs - logs.mean(0)))


def evened(views: Sequence[View], gains: NDArray[np.float64]) -> tuple[View, ...]:
    """The views with their gains taken out; the very same ones where they hardly differ."""
    if np.ptp(np.log(gains), axis=0).max() < DIFFERENT:
        return tuple(views)
    return tuple(
        replace(view, rgb=np.round(view.rgb / gain).clip(0, 255).astype(np.uint8))
        for view, gain in zip(views, gains, strict=True)
    )


def _log_ratios(
    a: int,
    b: int,
    views: Sequence[View],
    depth_maps: Sequence[DepthMap],
    rgb: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Log colour in photo a less that in photo b, of points that both depth maps hold, [N, 3]."""
    row, column = (part * STEP_PX for part in np.nonzero(depth_maps[a].depth[::STEP_PX, ::STEP_PX]))
    depth = depth_maps[a].depth[row, column].astype(float)
    camera = views[b].camera
    pixels, z = camera.project(views[a].camera.unproject(np.stack([column + 0.5, row + 0.5], 1), depth))
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)
    x, y = pixels[inside].astype(int).T
    there = depth_maps[b].depth[y, x]
    same = np.abs(there - z[inside]) < SAME_DEPTH * z[inside]
    colours = rgb[a][row[inside][same], column[inside][same]], rgb[b][y[same], x[same]]
    fair = np.all([((c > DARKEST) & (c < BRIGHTEST)).all(1) for c in colours], axis=0)
    return np.asarray(np.log(colours[0][fair]) - np.log(colours[1][fair]))
