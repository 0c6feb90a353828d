"""Where no two photos agree: Gaussians at completed depth, beyond the frames, and behind what stands in front.

Guesses are few and large. They are there for the fit to move and colour, and for what no photo shows at all: past the
frame surfaces go on as they are at its border, and what a nearer thing hides goes on as what is beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.completion import complete_depth
from recon.scene import DepthMap, PointCloud, View

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

GUESSES_PER_SIDE = 160  # guesses are as coarse whatever the working size: one every 4 px at 640
VERIFIED_REACH_PX = 2.5  # verified Gaussians reach this far themselves
BEYOND_SHARE = 0.25  # of the longer side: how far past the frame guesses go
BEYOND_STEP = 3  # times the usual step
HIDDEN_SHARE = 0.04  # of the longer side: how far behind an edge guesses go
HIDDEN_RATIO = 1.15  # of depths on the two sides of an edge
HIDDEN_STEP = 1.5  # times the usual step
SCALE_PER_STEP = 0.6
OPACITY, HIDDEN_OPACITY, BEYOND_OPACITY = 0.3, 0.5, 0.9
FREE_SPACE_MARGIN = 0.985  # a guess this much nearer than another view's verified surface floats in its free space
BACKWARDS = (1.2, 1.5, 2.0, 3.0, 5.0)  # times its depth, tried for a guess that floats
NEAREST_SHARE = 0.6  # of a view's usual depth: past the frame, nothing may stand as near to a camera


@dataclass(frozen=True)
class Seeds:
    """Points that become Gaussians: xyz [N, 3], rgb [N, 3] in [0, 1], scale [N] world units, opacity [N]."""

    xyz: Floats
    rgb: Floats
    scale: Floats
    opacity: Floats

    @staticmethod
    def joined(parts: "Sequence[Seeds]") -> "Seeds":
        """All of them; at least one part."""
        return Seeds(*(np.concatenate([getattr(part, name) for part in parts]) for name in Seeds.__dataclass_fields__))

    def select(self, keep: Mask) -> "Seeds":
        """Some of them."""
        return Seeds(*(getattr(self, name)[keep] for name in Seeds.__dataclass_fields__))


def guessed_seeds(index: int, views: Sequence[View], depth_maps: Sequence[DepthMap], points: PointCloud) -> Seeds:
    """What one view leads to guess.

    Args:
        index: which view.
        views: the training views.
        depth_maps: verified depth of each.
        points: sparse points with `view_indices` into `views`.
    """
    view, known = views[index], depth_maps[index].depth > 0
    wanted = view.valid if view.mask is None else view.valid & view.mask
    if not known.any():
        return _nothing()
    depth = np.where(known, depth_maps[index].depth, complete_depth(view, depth_maps[index], points, index))
    parts = [_unverified(view, known, wanted, depth), _hidden(view, wanted, depth)]
    if view.mask is None:
        beyond = _beyond(view, depth)
        parts.append(beyond.select(~_in_frames(beyond.xyz, views) & ~_near_cameras(beyond.xyz, views, depth_maps)))
    return _out_of_free_space(index, Seeds.joined(parts), views, depth_maps)


def _unverified(view: View, known: Mask, wanted: Mask, depth: Floats) -> Seeds:
    """A grid over the pixels that nothing verified is near to."""
    step = _step(view)
    row, column = _grid(known.shape, step)
    to_known = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    use = (to_known[row, column] > VERIFIED_REACH_PX) & wanted[row, column]
    blurred = cv2.GaussianBlur(view.rgb, (0, 0), 1.0) / 255
    return _at_pixels(view, row[use], column[use], blurred, depth, step, OPACITY)


def _hidden(view: View, wanted: Mask, depth: Floats) -> Seeds:
    """Behind the near side of depth edges: what the far side shows, carried on."""
    radius = max(2, round(HIDDEN_SHARE * max(depth.shape)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    seen = np.where(wanted, depth, 0).astype(np.float32)
    near_side = wanted & (cv2.dilate(seen, window) > HIDDEN_RATIO * depth)
    nearest = cv2.erode(np.where(wanted, depth, depth.max()).astype(np.float32), window)
    far_side = wanted & ~near_side & (depth > HIDDEN_RATIO * nearest)
    if not far_side.any():
        return _nothing()
    rgb, behind = _carried_on(view.rgb, depth, far_side)
    step = max(2, round(HIDDEN_STEP * _step(view)))
    row, column = _grid(depth.shape, step)
    use = near_side[row, column] & (behind[row, column] > HIDDEN_RATIO * depth[row, column])
    return _at_pixels(view, row[use], column[use], rgb, behind, step, HIDDEN_OPACITY)


def _beyond(view: View, depth: Floats) -> Seeds:
    """Past the frame: what its border shows, carried on."""
    margin = round(BEYOND_SHARE * max(depth.shape))
    step = BEYOND_STEP * _step(view)
    around = ((margin, margin), (margin, margin))
    inside = np.pad(view.valid, around)
    rgb, carried = _carried_on(np.pad(view.rgb, (*around, (0, 0))), np.pad(depth, around), inside)
    row, column = _grid(inside.shape, step)
    use = ~inside[row, column]
    row, column = row[use] - margin, column[use] - margin
    return _at_pixels(view, row, column, rgb, carried, step, BEYOND_OPACITY, margin)


def _at_pixels(
    view: View, row: NDArray, column: NDArray, rgb: Floats, depth: Floats, step: int, opacity: float, margin: int = 0
) -> Seeds:
    """Seeds at pixels of the view; `rgb` and `depth` have a margin around the frame."""
    own_depth = depth[row + margin, column + margin].astype(float)
    return Seeds(
        view.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), own_depth),
        rgb[row + margin, column + margin],
        SCALE_PER_STEP * step * own_depth / view.camera.K[0, 0],
        np.full(len(row), opacity),
    )


def _nothing() -> Seeds:
    return Seeds(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))


def _carried_on(rgb: NDArray[np.uint8], depth: Floats, known: Mask) -> tuple[Floats, Floats]:
    """Colours in [0, 1] and depth everywhere: those of the known pixels, at least one, carried on to the others."""
    return _smoothly_filled(rgb / np.float32(255), known), _nearest(depth, known)


def _nearest(values: Floats, known: Mask) -> Floats:
    """The value of the nearest known pixel, [H, W]."""
    unknown = (~known).astype(np.uint8)
    labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    table = np.zeros(labels.max() + 1, values.dtype)
    table[labels[known]] = values[known]
    return np.asarray(table[labels])


def _smoothly_filled(values: Floats, known: Mask) -> Floats:
    """The known pixels' values [H, W, C] everywhere, the further away from these the smoother.

    Push and pull [1]: averages of the known pixels at ever coarser scales, then back, unknown pixels from the coarser
    scale.

    [1] Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4.
    """
    weight = known.astype(np.float32)
    sums: list[tuple[Floats, Floats]] = [(values * weight[..., None], weight)]
    while max(sums[-1][1].shape) > 1:
        total, weight = sums[-1]
        half = (max(1, (weight.shape[1] + 1) // 2), max(1, (weight.shape[0] + 1) // 2))
        smaller = cv2.resize(total, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], -1)
        sums.append((np.asarray(smaller), cv2.resize(weight, half, interpolation=cv2.INTER_AREA).reshape(half[::-1])))
    filled = sums[-1][0] / sums[-1][1][..., None]
    for total, weight in reversed(sums[:-1]):
        coarse = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(total.shape)
        share = weight[..., None].clip(0, 1)
        filled = total / np.maximum(weight, 1e-6)[..., None] * share + coarse * (1 - share)
    return np.asarray(filled)


def _step(view: View) -> int:
    return max(2, round(max(view.rgb.shape) / GUESSES_PER_SIDE))


def _grid(shape: tuple[int, ...], step: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    row, column = np.mgrid[step // 2 : shape[0] : step, step // 2 : shape[1] : step]
    return row.ravel(), column.ravel()


def _in_frames(xyz: Floats, views: Sequence[View]) -> Mask:
    """Points that some view would show."""
    return np.any([_pixels(xyz, view)[0] for view in views], axis=0)


def _near_cameras(xyz: Floats, views: Sequence[View], depth_maps: Sequence[DepthMap]) -> Mask:
    """Points that stand nearer to a camera than what it shows: past the frames they would hide the scene."""
    near = np.zeros(len(xyz), bool)
    for view, depth_map in zip(views, depth_maps, strict=True):
        known = depth_map.depth[depth_map.depth > 0]
        if len(known):
            near |= np.linalg.norm(xyz - view.camera.center, axis=1) < NEAREST_SHARE * np.median(known)
    return near


def _out_of_free_space(index: int, seeds: Seeds, views: Sequence[View], depth_maps: Sequence[DepthMap]) -> Seeds:
    """The seeds with those that float moved back along their ray, a step at a time; what floats everywhere is gone."""
    center = views[index].camera.center
    xyz, scale = seeds.xyz.copy(), seeds.scale.copy()
    floating = _in_free_space(index, xyz, views, depth_maps)
    for factor in BACKWARDS:
        rows = np.flatnonzero(floating)
        xyz[rows], scale[rows] = center + factor * (seeds.xyz[rows] - center), factor * seeds.scale[rows]
        floating[rows] = _in_free_space(index, xyz[rows], views, depth_maps)
    return replace(seeds, xyz=xyz, scale=scale).select(~floating)


def _in_free_space(index: int, xyz: Floats, views: Sequence[View], depth_maps: Sequence[DepthMap]) -> Mask:
    """Points that another view looks through, because it verified a surface behind them."""
    floating = np.zeros(len(xyz), bool)
    for other, (view, depth_map) in enumerate(zip(views, depth_maps, strict=True)):
        if other != index:
            inside, row, column, depth = _pixels(xyz, view)
            surface = depth_map.depth[row, column]
            floating |= inside & (surface > 0) & (depth < FREE_SPACE_MARGIN * surface)
    return floating


def _pixels(xyz: Floats, view: View) -> tuple[Mask, NDArray[np.int_], NDArray[np.int_], Floats]:
    """Which points [N, 3] a view would show, at which row and column (clipped to the frame), and their depth."""
    pixels, depth = view.camera.project(xyz)
    height, width = view.rgb.shape[:2]
    column, row = (np.floor(np.clip(pixels[:, k], -1, size)).astype(int) for k, size in ((0, width), (1, height)))
    inside = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return inside, row.clip(0, height - 1), column.clip(0, width - 1), depth
