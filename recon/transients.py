"""What one photo alone shows in front of a surface that others agree on: people and cars that were there for a moment.

Before the fit, from stereo alone: a pixel is suspect where its own depth is unconfirmed, yet a surface that two other
photos confirm projects there, in another colour. It may still be a thing that stands there all the time and that stereo
missed; so each patch of suspects is looked for in the other photos, at all depths in front of the surface. What is
found nowhere was there for one photo only. Robust weights per pixel from the fit's own residuals [1] cannot tell this
with a handful of photos: the start already holds Gaussians in the passer-by's colours, and no residual is left.

[1] Sabour et al., RobustNeRF: Ignoring Distractors with Robust Losses, CVPR 2023.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.scene import DepthMap, View
from splatting.camera import Camera

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE_PX = 320  # longer side at which patches are looked for
MIN_DIFFERENCE = 0.1  # of colours in [0, 1], mean over the channels, where surfaces differ from what is seen
USUAL_QUANTILE = 0.98  # of the differences on surfaces that both confirm: larger ones are suspect
# Of the picture. The largest patch wrongly found where nobody passes (fountain, Herz-Jesu, fox, flower) has .011
# and takes .2 dB from the fox; a person of half the picture's height has .026.
MIN_AREA = 0.015
MARGIN_PX = 4  # around each patch, at that size: hair, shadows, blur
NUM_DEPTHS, NEAREST = 32, 0.15  # hypotheses in front of the surface, down to this share of its depth


def find_transients(views: Sequence[View], depth_maps: Sequence[DepthMap]) -> list[Mask]:
    """Find passers-by.

    Args:
        views: the training views. Fewer than three give nothing: nobody could say which of two photos is right.
        depth_maps: of each, confirmed by at least one other view where not 0.

    Returns:
        For each view [H, W] bool, True where it shows what no other photo does.
    """
    if len(views) < 3:
        return [np.zeros(view.valid.shape, bool) for view in views]
    small = [_Small(view, depth_map) for view, depth_map in zip(views, depth_maps, strict=True)]
    found = []
    for index, (view, own) in enumerate(zip(views, small, strict=True)):
        others = small[:index] + small[index + 1 :]
        mask = _transients_of(own, others)
        size = (view.camera.width, view.camera.height)
        found.append(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
    return found


def lasting_views(views: Sequence[View], passing: Sequence[Mask]) -> tuple[View, ...]:
    """The views without what passed through single ones: those pixels [H, W] are not valid any more."""
    return tuple(
        replace(view, valid=view.valid & ~mask) if mask.any() else view
        for view, mask in zip(views, passing, strict=True)
    )


class _Small:
    """A view reduced to what patches are looked for at: smoothed colours and confirmed depth."""

    def __init__(self, view: View, depth_map: DepthMap) -> None:
        scale = min(1.0, SIDE_PX / max(view.camera.width, view.camera.height))
        width, height = round(view.camera.width * scale), round(view.camera.height * scale)
        self.camera: Camera = view.camera.resized(width, height)
        rgb = cv2.resize(view.rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        self.rgb: Floats = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.5), np.float32)
        depth = cv2.resize(depth_map.depth, (width, height), interpolation=cv2.INTER_NEAREST)
        self.depth: Floats = np.asarray(depth, np.float32)
        usable = view.valid if view.mask is None else view.valid & view.mask
        self.usable: Mask = cv2.resize(usable.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _transients_of(own: _Small, others: Sequence[_Small]) -> Mask:
    suspect, surface, limit = _suspects(own, others)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(suspect.astype(np.uint8))
    result = np.zeros(labels.shape, np.uint8)
    for label in range(1, count):
        patch = labels == label
        if stats[label, cv2.CC_STAT_AREA] < MIN_AREA * patch.size:
            continue
        if all(_is_nowhere(own, patch, float(np.median(surface[patch])), other, limit) for other in others):
            result |= patch.astype(np.uint8)
    outlines, _ = cv2.findContours(result, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(result, outlines, -1, 1, cv2.FILLED)
    return cv2.dilate(result, _disc(MARGIN_PX)) > 0


def _suspects(own: _Small, others: Sequence[_Small]) -> tuple[Mask, Floats, float]:
    """Pixels that others see in another colour, the depth of what those see [H, W], and the least such difference."""
    difference, surface = np.full(own.depth.shape, np.inf, np.float32), np.zeros(own.depth.shape, np.float32)
    for other in others:
        depth, rgb = _seen_from(own.camera, other)
        apart = np.where(depth > 0, _least_difference(own.rgb, rgb), np.inf)
        nearer = apart < difference
        difference, surface = np.where(nearer, apart, difference), np.where(nearer, depth, surface)
    known = surface > 0
    usual = difference[known & (own.depth > 0)]
    limit = max(MIN_DIFFERENCE, float(np.quantile(usual, USUAL_QUANTILE))) if len(usual) else np.inf
    suspect = known & own.usable & (own.depth == 0) & (difference > limit)
    closed = cv2.morphologyEx(suspect.astype(np.uint8), cv2.MORPH_CLOSE, _disc(2))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, _disc(2))
    return (opened > 0) & known, np.asarray(surface, np.float32), limit


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _seen_from(camera: Camera, other: _Small) -> tuple[Floats, Floats]:
    """Confirmed depth [H, W], 0 where there is none, and colours [H, W, 3] of another view, moved into a camera."""
    row, column = np.nonzero(other.depth)
    xyz = other.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), other.depth[row, column].astype(float))
    pixels, z = camera.project(xyz)
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels < [camera.width, camera.height]).all(1)
    order = np.flatnonzero(inside)[np.argsort(-z[inside])]  # the nearest comes last and stays
    x, y = pixels[order].astype(int).T
    depth = np.zeros((camera.height, camera.width), np.float32)
    rgb = np.zeros((camera.height, camera.width, 3), np.float32)
    depth[y, x], rgb[y, x] = z[order], other.rgb[row[order], column[order]]
    return depth, rgb


def _least_difference(a: Floats, b: Floats) -> Floats:
    """Mean difference of the channels [H, W] at the best of the shifts by a pixel: edges move, areas do not."""
    best = np.full(a.shape[:2], np.inf, np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = np.roll(a, (down, right), (0, 1))
            best = np.minimum(best, np.abs(moved - b).mean(2))
    return best


def _is_nowhere(own: _Small, patch: Mask, depth: float, other: _Small, limit: float) -> bool:
    """Whether another photo shows the patch at none of the depths in front of the surface."""
    row, column = np.nonzero(patch)
    pixels = np.stack([column + 0.5, row + 0.5], 1)
    for share in 1 / np.linspace(1, 1 / NEAREST, NUM_DEPTHS):
        there, z = other.camera.project(own.camera.unproject(pixels, np.full(len(row), depth * share)))
        inside = (z > 0) & (there >= 0).all(1) & (there < [other.camera.width, other.camera.height]).all(1)
        if inside.mean() < 0.5:
            continue
        x, y = there[inside].astype(int).T
        apart = np.abs(other.rgb[y, x] - own.rgb[row[inside], column[inside]]).mean(1)
        if np.median(apart) < limit / 2:
            return False
    return True
