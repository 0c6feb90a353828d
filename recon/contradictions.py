"""Guesses that another photo contradicts, and where they go instead.

A guess of one view may float in what another view looks through. That is certain where the other verified a surface
behind it, whatever the colours; where the other can only guess its surface, the guess must at least have the colour
that the other shows there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.scene import DepthMap, View
from recon.seeds import Floats, Mask, Seeds

VERIFIED_MARGIN = 0.985  # nearer than this share of another view's verified depth is free space
GUESSED_MARGIN = 0.97  # the same of its guessed depth, where the colours disagree
MAX_COLOUR_DIFFERENCE = 0.12  # mean over the channels, of 1
COLOUR_BLUR_PX = 2.0
BACKWARDS = (1.2, 1.5, 2.0, 3.0, 5.0)  # times its depth, tried for a guess that floats


@dataclass(frozen=True)
class Witness:
    """What one view says about points: its verified depth, its guesses of the rest, its colours.

    Attributes:
        view: the view.
        verified: [H, W] depth that other views confirm, 0 elsewhere.
        depth: [H, W] verified or guessed depth; 0 where there is no guess, or where a mask says that nothing is.
        rgb: [H, W, 3] float32 in [0, 1], blurred.
    """

    view: View
    verified: Floats
    depth: Floats
    rgb: Floats

    def contradicts(self, xyz: Floats, rgb: Floats) -> Mask:
        """Points [N, 3] of these colours [N, 3] that cannot be where they are, because this view looks through them."""
        inside, row, column, depth = pixels_of(xyz, self.view)
        differs = np.abs(self.rgb[row, column] - rgb).mean(1) > MAX_COLOUR_DIFFERENCE
        before_verified = depth < VERIFIED_MARGIN * self.verified[row, column]
        before_guessed = self.view.valid[row, column] & differs & (depth < GUESSED_MARGIN * self.depth[row, column])
        return np.asarray(inside & (before_verified | before_guessed))


def witnesses(views: Sequence[View], depth_maps: Sequence[DepthMap], depths: Sequence[Floats]) -> list[Witness]:
    """One for each view; `depths` are verified or guessed, 0 where unknown."""
    found = []
    for view, depth_map, depth in zip(views, depth_maps, depths, strict=True):
        rgb = cv2.GaussianBlur(view.rgb, (0, 0), COLOUR_BLUR_PX).astype(np.float32) / 255
        found.append(Witness(view, depth_map.depth, depth if view.mask is None else depth * view.mask, rgb))
    return found


def moved_back(seeds: Seeds, center: Floats, others: Sequence[Witness]) -> Seeds:
    """The seeds with those that are contradicted moved back along their rays, a step at a time.

    Args:
        seeds: guesses of one view.
        center: of its camera, [3]; a seed that goes twice as far grows twice as large.
        others: the other views. What they contradict everywhere is left out.
    """
    xyz, scale = seeds.xyz.copy(), seeds.scale.copy()
    floating = _contradicted(xyz, seeds.rgb, others)
    for factor in BACKWARDS:
        rows = np.flatnonzero(floating)
        xyz[rows], scale[rows] = center + factor * (seeds.xyz[rows] - center), factor * seeds.scale[rows]
        floating[rows] = _contradicted(xyz[rows], seeds.rgb[rows], others)
    return replace(seeds, xyz=xyz, scale=scale).select(~floating)


def pixels_of(xyz: Floats, view: View) -> tuple[Mask, NDArray[np.int_], NDArray[np.int_], Floats]:
    """Which points [N, 3] a view would show, at which row and column (clipped to the frame), and their depth."""
    pixels, depth = view.camera.project(xyz)
    height, width = view.rgb.shape[:2]
    column, row = (np.floor(np.clip(pixels[:, k], -1, size)).astype(int) for k, size in ((0, width), (1, height)))
    inside = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return inside, row.clip(0, height - 1), column.clip(0, width - 1), depth


def _contradicted(xyz: Floats, rgb: Floats, others: Sequence[Witness]) -> Mask:
    contradicted = np.zeros(len(xyz), bool)
    for other in others:
        contradicted |= other.contradicts(xyz, rgb)
    return contradicted
