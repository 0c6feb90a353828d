"""Matches to a fraction of a pixel: slide a patch of photo a over photo b until grey values agree best.

Learned detectors put keypoints on whole pixels or on maxima of a smooth score; what they find in two photos is the same
point to about half a pixel. The photos themselves say it to a tenth.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_RADIUS = 7  # patches of 15 x 15 samples
_SIGMA = 4.0  # of their Gaussian weight, in samples
_STEPS = 8  # Gauss-Newton converges in about five
_CONVERGED_PX = 0.05  # length of a last step that changes nothing any more
_MAX_STEP_PX = 1.0  # where the patch is flat in one direction, steps would be huge
_NEIGHBOURS = 10  # whose matches tell how the surface is seen from b
_AFFINE_PRIOR_PX2 = 20.0  # pulls the affine map towards the identity: as strong as two neighbours 3 px away
_LEAST_CONTRAST = 1.0  # grey levels; flatter patches are noise


@dataclass(frozen=True)
class RefinedMatches:
    """What sliding patches found, one row per match.

    Attributes:
        offsets: [M, 2] px, from where the match lies in b to where the patch around its point in a fits best.
        affines: [M, 2, 2], b from a: how small offsets in a look in b.
        scores: [M] normalised cross-correlation there, in [-1, 1].
        accepted: [M]; False where sliding did not converge, went too far, or ended in no good agreement. Offsets of
            these mean nothing.
    """

    offsets: NDArray[np.float64]
    affines: NDArray[np.float64]
    scores: NDArray[np.float64]
    accepted: NDArray[np.bool_]


def refine_matches(
    gray_a: NDArray[np.float32],
    gray_b: NDArray[np.float32],
    points_a: NDArray[np.floating],
    points_b: NDArray[np.floating],
    *,
    max_offset_px: float = 2.0,
    min_score: float = 0.7,
) -> RefinedMatches:
    """Refine matches whose points in a stay where they are.

    The patch is bent by the affine map that the nearest matches suggest, its grey values may differ by gain and bias.
    Inverse compositional Gauss-Newton [1]. Wrong matches are not found out, they only tend not to be accepted.

    Args:
        gray_a, gray_b: [H, W] grey levels, 0 to 255.
        points_a, points_b: [M, 2] px in them; the first pixel's centre is (0.5, 0.5). M may be 0.
        max_offset_px: matches that would move further are not accepted.
        min_score: nor those that agree less.

    [1] Baker & Matthews, Lucas-Kanade 20 years on: a unifying framework, IJCV 2004.
    """
    points_a, points_b = np.asarray(points_a, np.float64), np.asarray(points_b, np.float64)
    affines = local_affines(points_a, points_b)
    grid, weights = _patch()
    template, spread = _normalised(_sampled(gray_a, points_a[:, None] + grid), weights)
    slopes = _slopes(gray_a, points_a[:, None] + grid, template, spread, weights)  # [M, S, 2]
    hessians = np.einsum("msi,msj,s->mij", slopes, slopes, weights) + 1e-4 * np.eye(2)
    bent = np.einsum("mij,sj->msi", affines, grid)  # [M, S, 2] px in b
    offsets, step = np.zeros_like(points_b), np.zeros_like(points_b)
    patch, spread_b = _normalised(_sampled(gray_b, points_b[:, None] + bent), weights)
    score_before = (template * patch) @ weights
    for _ in range(_STEPS):
        gradient = np.einsum("msi,ms->mi", slopes, (patch - template) * weights)
        step = np.linalg.solve(hessians, gradient[..., None])[..., 0]  # in a: moving the patch there by it fits b
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1, _MAX_STEP_PX / np.maximum(length, 1e-12))
        offsets -= np.einsum("mij,mj->mi", affines, step)
        patch, spread_b = _normalised(_sampled(gray_b, (points_b + offsets)[:, None] + bent), weights)
    scores = (template * patch) @ weights
    accepted = (
        (np.linalg.norm(step, axis=1) < _CONVERGED_PX)
        & (np.linalg.norm(offsets, axis=1) <= max_offset_px)
        & (scores >= min_score)
        & (scores >= score_before)
        & (np.minimum(spread, spread_b) > _LEAST_CONTRAST)
    )
    return RefinedMatches(offsets, affines, scores, accepted)


def local_affines(points_a: NDArray[np.floating], points_b: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each match [M, 2], [M, 2] the affine map b from a that its nearest matches in a suggest, [M, 2, 2]."""
    if len(points_a) == 0:
        return np.zeros((0, 2, 2))
    _, near = cKDTree(points_a).query(points_a, k=min(_NEIGHBOURS, len(points_a)))
    near = near.reshape(len(points_a), -1)
    in_a, in_b = points_a[near] - points_a[:, None], points_b[near] - points_b[:, None]  # [M, N, 2]
    prior = _AFFINE_PRIOR_PX2 * np.eye(2)
    moments = np.einsum("mni,mnj->mij", in_a, in_a) + prior
    mixed = np.einsum("mni,mnj->mij", in_a, in_b) + prior
    return np.linalg.solve(moments, mixed).transpose(0, 2, 1)


def _patch() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sample positions around a point, [S, 2] px, and their weights, [S], which sum to one."""
    side = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    weights = np.exp(-np.sum(grid**2, axis=1) / (2 * _SIGMA**2))
    return grid, weights / weights.sum()


def _sampled(gray: NDArray[np.float32], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey levels at positions [M, S, 2] px, [M, S]; beyond the border those of the border."""
    if len(positions) == 0:
        return np.zeros(positions.shape[:2])
    x, y = np.ascontiguousarray((positions - 0.5).transpose(2, 0, 1), np.float32)  # OpenCV counts from the pixel centre
    return cv2.remap(gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)


def _normalised(
    patches: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Patches [M, S] with weighted mean 0 and norm 1, and what they were divided by, [M]."""
    centred = patches - (patches @ weights)[:, None]
    spread = np.sqrt(centred**2 @ weights)
    return centred / np.maximum(spread, 1e-3)[:, None], spread


def _slopes(
    gray: NDArray[np.float32],
    positions: NDArray[np.float64],
    template: NDArray[np.float64],
    spread: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Derivative of the normalised template by its place, [M, S, 2]: what gain and bias absorb is projected out."""
    steps = np.array([[0.5, 0.0], [0.0, 0.5]])
    raw = np.stack([_sampled(gray, positions + s) - _sampled(gray, positions - s) for s in steps], axis=-1)
    raw -= np.einsum("msi,s->mi", raw, weights)[:, None]
    raw -= template[..., None] * np.einsum("msi,ms,s->mi", raw, template, weights)[:, None]
    return raw / np.maximum(spread, 1e-3)[:, None, None]
