"""Keypoints to a fraction of a pixel: where the photos agree best, over all pairs at once.

Sliding one photo's patch over another says where a match should lie in b if its point in a is right. A keypoint takes
part in matches with several photos, and none of its places is more right than the others: all keypoints move a little,
so that every pair is content [1].

[1] Dusmanu et al., Multi-View Optimization of Local Feature Geometry, ECCV 2020.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from matching.refinement import refine_matches
from recon.match_graph import MatchGraph
from recon.photo import Photo

_MAX_OFFSET_PX = 3.5  # between a match and its best agreement, at the size that is matched; XFeat is off by up to 3
_MIN_SCORE = 0.6  # of the correlation there
_STAYING = 0.05  # weight of staying in place, against one pair's wish to move: decides what the pairs leave open
_HELD = 1e6  # the same for keypoints that must not move
_ROBUST_PX = 0.5  # wishes that the solution misses by more lose weight (Cauchy)
_ROUNDS = 4  # of reweighting


@dataclass(frozen=True)
class _Wishes:
    """What sliding patches asked for: offset[to] = affine @ offset[of] + move, one row per accepted match."""

    of: NDArray[np.int64]  # [R], keypoints counted over all photos
    to: NDArray[np.int64]  # [R]
    affine: NDArray[np.float64]  # [R, 2, 2]
    move: NDArray[np.float64]  # [R, 2] px


def adjust_keypoints(
    photos: Sequence[Photo],
    graph: MatchGraph,
    *,
    max_side_px: int,
    num_settled: int = 0,
    step: Callable[[str], None] = lambda message: None,
) -> MatchGraph:
    """Move the keypoints of verified matches to where the photos agree best.

    Args:
        photos: those of the graph, in its order.
        graph: keypoints of rejected pairs' matches and of no match stay where they are.
        max_side_px: the size of photos that patches are taken from.
        num_settled: pairs within as many of the first photos were adjusted before; the keypoints of those pairs stay.
        step: called before each good pair that is looked at; what it raises stops the work.

    Returns:
        The same matches, with keypoints moved by at most a few pixels of that size.
    """
    scales = [min(1.0, max_side_px / max(photo.width, photo.height)) for photo in photos]
    keypoints = [own.astype(np.float64) * scale for own, scale in zip(graph.keypoints, scales, strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in keypoints])])
    grays = [_gray(photo, max_side_px) for photo in photos]
    wishes = []
    is_settled = np.zeros(starts[-1], bool)
    for pair in graph.pairs:
        if pair.rejected is not None:
            continue
        if pair.b < num_settled:
            for photo, rows in ((pair.a, pair.indices[:, 0]), (pair.b, pair.indices[:, 1])):
                is_settled[starts[photo] + rows] = True
            continue
        step(f"Refining the matches of {photos[pair.a].name} with {photos[pair.b].name}")
        for a, b, rows in ((pair.a, pair.b, pair.indices), (pair.b, pair.a, pair.indices[:, ::-1])):
            found = refine_matches(
                grays[a],
                grays[b],
                keypoints[a][rows[:, 0]],
                keypoints[b][rows[:, 1]],
                max_offset_px=_MAX_OFFSET_PX,
                min_score=_MIN_SCORE,
            )
            of, to = starts[a] + rows[found.accepted, 0], starts[b] + rows[found.accepted, 1]
            wishes.append(_Wishes(of, to, found.affines[found.accepted], found.offsets[found.accepted]))
    offsets = _solve(wishes, is_settled)
    moved = [
        (own + np.clip(part, -_MAX_OFFSET_PX, _MAX_OFFSET_PX)) / scale
        for own, part, scale in zip(keypoints, np.split(offsets, starts[1:-1]), scales, strict=True)
    ]
    return replace(graph, keypoints=tuple(own.astype(np.float32) for own in moved))


def _gray(photo: Photo, max_side_px: int) -> NDArray[np.float32]:
    return cv2.cvtColor(photo.pixels(max_side_px), cv2.COLOR_RGB2GRAY).astype(np.float32)


def _solve(wishes: Sequence[_Wishes], is_settled: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Offsets of all keypoints, [K, 2] px, that leave least of the wishes unfulfilled (iterated least squares).

    Settled ones [K] do not move.
    """
    everywhere = np.zeros((len(is_settled), 2))
    if not any(len(wish.of) for wish in wishes):
        return everywhere
    of, to = (np.concatenate([getattr(wish, name) for wish in wishes]) for name in ("of", "to"))
    affine, move = np.concatenate([wish.affine for wish in wishes]), np.concatenate([wish.move for wish in wishes])
    used, position = np.unique(np.concatenate([of, to]), return_inverse=True)
    of, to = np.split(position, 2)
    rows = 2 * np.arange(len(of))[:, None] + np.arange(2)  # [R, 2]
    system = scipy.sparse.csr_matrix(
        (
            np.concatenate([np.ones(rows.size), -affine.ravel()]),
            (
                np.concatenate([rows.ravel(), np.repeat(rows, 2, axis=1).ravel()]),
                np.concatenate([(2 * to[:, None] + np.arange(2)).ravel(), _both_columns(of)]),
            ),
        ),
        shape=(2 * len(of), 2 * len(used)),
    )
    weights, offsets = np.ones(len(of)), np.zeros((len(used), 2))
    staying = scipy.sparse.diags(np.repeat(np.where(is_settled[used], _HELD, _STAYING), 2), format="csr")
    for _ in range(_ROUNDS):
        weighted = system.multiply(np.repeat(weights, 2)[:, None]).tocsr()
        solved = scipy.sparse.linalg.spsolve((system.T @ weighted + staying).tocsc(), weighted.T @ move.ravel())
        offsets = solved.reshape(-1, 2)
        missed = np.linalg.norm((system @ solved - move.ravel()).reshape(-1, 2), axis=1)
        weights = 1 / (1 + (missed / _ROBUST_PX) ** 2)
    everywhere[used] = np.where(is_settled[used, None], 0, offsets)
    return everywhere


def _both_columns(keypoints: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns of x and y of keypoints [R], once for each of two rows, [4 R]."""
    return np.tile(2 * keypoints[:, None] + np.arange(2), (1, 2)).ravel()
