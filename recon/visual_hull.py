"""The visual hull: what lies inside the object's outline in every photo that has a mask.

Laurentini, The Visual Hull Concept for Silhouette-Based Image Understanding, 1994.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.fusion import FusionView
from recon.scene import View
from splatting.camera import Camera

Silhouettes = Sequence[tuple[Camera, NDArray[np.bool_]]]
"""Cameras and masks [H, W] of the object, of the views that have one."""

_OUTLINE_ERROR_PX = 2  # of masks and of cameras: outlines are taken to lie so far outside when depth is cut
_MAX_OUTLINES = 12  # evenly chosen of all, to cut depth: more cost time and take away little


def silhouettes_of(views: Sequence[View]) -> Silhouettes:
    """Those of the views that have a mask."""
    return [(view.camera, view.mask) for view in views if view.mask is not None]


def outside_hull(xyz: NDArray[np.floating], silhouettes: Silhouettes) -> NDArray[np.bool_]:
    """Points [N] of the world [N, 3] that some photo shows beside the object; none if there are no silhouettes."""
    outside = np.zeros(len(xyz), bool)
    for camera, mask in silhouettes:
        pixels, depth = camera.project(xyz)
        column, row = np.floor(np.nan_to_num(pixels)).astype(np.int64).T
        inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        outside[inside] |= ~mask[row[inside], column[inside]]
    return outside


def cut_to_hull(views: Sequence[FusionView], silhouettes: Silhouettes) -> list[FusionView]:
    """The depth maps without what some photo shows beside the object, by more than a mask's usual error."""
    if not silhouettes:
        return list(views)
    chosen = np.unique(np.linspace(0, len(silhouettes) - 1, _MAX_OUTLINES).round().astype(int))
    size = 2 * _OUTLINE_ERROR_PX + 1
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    wider = [
        (camera, cv2.dilate(mask.astype(np.uint8), window) > 0) for camera, mask in (silhouettes[idx] for idx in chosen)
    ]
    cut = []
    for view in views:
        row, column = np.nonzero(view.depth)
        xyz = view.camera.unproject(np.stack([column + 0.5, row + 0.5], axis=1), view.depth[row, column].astype(float))
        outside = outside_hull(xyz, wider)
        depth = view.depth.copy()
        depth[row[outside], column[outside]] = 0
        cut.append(replace(view, depth=depth))
    return cut
