"""Depth that other photos contradict: what was verified is left out, guesses go elsewhere.

Windows of a facade look alike, so two views may agree on a depth that a third looks through to a surface behind. A
guess of one view may float in what another view looks through. That is certain where the other verified a surface
behind it, whatever the colours; where the other can only guess its surface, the guess must at least have the colour
that the other shows there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.scene import DepthMap, PointCloud, View
from recon.seeds import Floats, Mask, Seeds

LOOK_THROUGH_MARGIN = 0.97  # verified depth nearer than this share of another view's is contradicted
LOOK_THROUGH_STEP = 2  # px: every second row and column is asked
LOOK_THROUGH_WINDOW = 9  # of those: where most of the verified ones are contradicted, all are
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


def without_looked_through(
    views: Sequence[View], depth_maps: Sequence[DepthMap], points: PointCloud
) -> tuple[list[DepthMap], PointCloud]:
    """Verified depth and sparse points without what at least as many views look through as agree with it.

    A view looks through a point if it verified what lies behind it, there and at all pixels around [1]. Pixels between
    others that are looked through go with them.

    Args:
        views: the training views.
        depth_maps: verified depth of each; `num_agreeing` says how many others confirm a pixel.
        points: sparse points with `view_indices` into `views`; without these they all stay.

    Returns:
        The maps, `depth` 0 where it is contradicted, and the points that are not.

    [1] Merrell et al., Real-Time Visibility-Based Fusion of Depth Maps, ICCV 2007.
    """
    window = np.ones((3, 3), np.uint8)
    behind: list[Floats] = [
        cv2.erode(depth_map.depth, window, borderType=cv2.BORDER_REPLICATE).astype(np.float32)
        for depth_map in depth_maps
    ]
    kept = [_not_looked_through(index, views, depth_maps[index], behind) for index in range(len(views))]
    if not points.view_indices:
        return kept, points
    agreeing = np.array([len(seen_by) - 1 for seen_by in points.view_indices])
    rows = np.flatnonzero(_num_looking_through(points.xyz, views, behind) < np.maximum(agreeing, 1))
    arrays = {name: getattr(points, name)[rows] for name in ("xyz", "rgb", "num_views", "error_px")}
    return kept, replace(points, **arrays, view_indices=tuple(points.view_indices[row] for row in rows))


def _not_looked_through(index: int, views: Sequence[View], depth_map: DepthMap, behind: Sequence[Floats]) -> DepthMap:
    step = slice(None, None, LOOK_THROUGH_STEP)
    depth, agreeing = depth_map.depth[step, step], depth_map.num_agreeing[step, step]
    row, column = np.nonzero(depth)
    pixels = np.stack([column, row], 1) * LOOK_THROUGH_STEP + 0.5
    xyz = views[index].camera.unproject(pixels, depth[row, column].astype(float))
    refuted = np.zeros(depth.shape, np.float32)
    refuted[row, column] = _num_looking_through(xyz, views, behind) >= np.maximum(agreeing[row, column], 1)
    around = (LOOK_THROUGH_WINDOW, LOOK_THROUGH_WINDOW)
    mostly = cv2.blur(refuted, around) > 0.5 * cv2.blur((depth > 0).astype(np.float32), around)
    width, height = depth_map.depth.shape[::-1]
    gone = np.repeat(np.repeat((refuted > 0) | mostly, LOOK_THROUGH_STEP, 0), LOOK_THROUGH_STEP, 1)[:height, :width]
    return replace(depth_map, depth=np.where(gone, 0, depth_map.depth).astype(np.float32))


def _num_looking_through(xyz: Floats, views: Sequence[View], behind: Sequence[Floats]) -> NDArray[np.int_]:
    """How many views look through points [N, 3]; `behind` holds the nearest verified depth around each pixel."""
    against = np.zeros(len(xyz), int)
    for view, its_behind in zip(views, behind, strict=True):
        inside, row, column, depth = pixels_of(xyz, view)
        against += inside & (depth < LOOK_THROUGH_MARGIN * its_behind[row, column])
    return against


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
