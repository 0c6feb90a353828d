"""Where no two photos agree: Gaussians at completed depth, beyond the frames, and behind what stands in front.

Guesses are few and large. They are there for the fit to move and colour, and for what no photo shows at all: past the
frame surfaces go on as they are at its border, and what a nearer thing hides goes on as what is beside it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.carrying_on import carried_nearest, carried_smoothly
from recon.completion import complete_depth
from recon.contradictions import moved_back, pixels_of, witnesses
from recon.scene import DepthMap, PointCloud, View
from recon.seeds import Floats, Mask, Seeds

# Guesses are as coarse whatever the working size, one every 6 px at 640: finer ones learn one photo by heart.
GUESSES_PER_SIDE = 110
VERIFIED_REACH_PX = 2.5  # verified Gaussians reach this far themselves
BEYOND_SHARE = 0.15  # of the longer side: how far past the frame guesses go, ever fainter
BEYOND_STEP = 3  # times the usual step
HIDDEN_SHARE = 0.04  # of the longer side: how far behind an edge guesses go
HIDDEN_RATIO = 1.15  # of depths on the two sides of an edge
HIDDEN_STEP = 1.5  # times the usual step
SCALE_PER_STEP = 0.8
OPACITY, HIDDEN_OPACITY, BEYOND_OPACITY = 0.2, 0.5, 0.9
NEAREST_SHARE = 0.6  # of a view's usual depth: past the frame, nothing may stand as near to a camera


def guessed_seeds(views: Sequence[View], depth_maps: Sequence[DepthMap], points: PointCloud) -> list[Seeds]:
    """What each view leads to guess, in their order; a view that nothing is verified of leads to nothing.

    Args:
        views: the training views.
        depth_maps: verified depth of each.
        points: sparse points with `view_indices` into `views`.
    """
    depths = [_depth_everywhere(index, views[index], depth_maps[index], points) for index in range(len(views))]
    seen_by = witnesses(views, depth_maps, depths)
    parts = []
    for index, view in enumerate(views):
        others = [witness for other, witness in enumerate(seen_by) if other != index]
        guesses = _guesses_of(index, views, depth_maps, depths[index]) if depths[index].any() else Seeds.none()
        parts.append(moved_back(guesses, view.camera.center, others))
    return parts


def _depth_everywhere(index: int, view: View, depth_map: DepthMap, points: PointCloud) -> Floats:
    """Verified depth, and its completion elsewhere; all 0 if nothing is verified."""
    known = depth_map.depth > 0
    if not known.any():
        return depth_map.depth
    return np.where(known, depth_map.depth, complete_depth(view, depth_map, points, index))


def _guesses_of(index: int, views: Sequence[View], depth_maps: Sequence[DepthMap], depth: Floats) -> Seeds:
    view, known = views[index], depth_maps[index].depth > 0
    wanted = view.valid if view.mask is None else view.valid & view.mask
    parts = [_unverified(view, known, wanted, depth), _hidden(view, wanted, depth)]
    if view.mask is None:
        beyond = _beyond(view, depth)
        parts.append(beyond.select(~_in_frames(beyond.xyz, views) & ~_near_cameras(beyond.xyz, views, depth_maps)))
    return Seeds.joined(parts)


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
        return Seeds.none()
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
    row, column = row[use], column[use]
    past = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)[row, column] / margin
    near = past < 1
    opacity = BEYOND_OPACITY * (1 - past[near]) ** 2  # squared, for the sheets of several views add up
    return _at_pixels(view, row[near] - margin, column[near] - margin, rgb, carried, step, opacity, margin)


def _at_pixels(
    view: View,
    row: NDArray,
    column: NDArray,
    rgb: Floats,
    depth: Floats,
    step: int,
    opacity: float | Floats,
    margin: int = 0,
) -> Seeds:
    """Seeds at pixels of the view; `rgb` and `depth` have a margin around the frame."""
    own_depth = depth[row + margin, column + margin].astype(float)
    return Seeds(
        view.camera.unproject(np.stack([column + 0.5, row + 0.5], 1), own_depth),
        rgb[row + margin, column + margin],
        SCALE_PER_STEP * step * own_depth / view.camera.K[0, 0],
        np.broadcast_to(opacity, len(row)),
    )


def _carried_on(rgb: NDArray[np.uint8], depth: Floats, known: Mask) -> tuple[Floats, Floats]:
    """Colours in [0, 1] and depth everywhere: those of the known pixels, at least one, carried on to the others."""
    return carried_smoothly(rgb / np.float32(255), known), carried_nearest(depth, known)


def _step(view: View) -> int:
    return max(2, round(max(view.rgb.shape) / GUESSES_PER_SIDE))


def _grid(shape: tuple[int, ...], step: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    row, column = np.mgrid[step // 2 : shape[0] : step, step // 2 : shape[1] : step]
    return row.ravel(), column.ravel()


def _in_frames(xyz: Floats, views: Sequence[View]) -> Mask:
    """Points that some view would show."""
    return np.any([pixels_of(xyz, view)[0] for view in views], axis=0)


def _near_cameras(xyz: Floats, views: Sequence[View], depth_maps: Sequence[DepthMap]) -> Mask:
    """Points that stand nearer to a camera than what it shows: past the frames they would hide the scene."""
    near = np.zeros(len(xyz), bool)
    for view, depth_map in zip(views, depth_maps, strict=True):
        known = depth_map.depth[depth_map.depth > 0]
        if len(known):
            near |= np.linalg.norm(xyz - view.camera.center, axis=1) < NEAREST_SHARE * np.median(known)
    return near
