"""Cameras of all photos at once from their pairs: one more model for mapping to start from or to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recon.focal import FocalEvidence
from recon.match_graph import PairMatches
from recon.regression.camera_graph import (
    CameraGraph,
    average_rotations,
    baseline_lengths,
    centres_from_baselines,
    spanning_tree,
)
from recon.regression.correspondences import Correspondences, RelativePose
from recon.regression.epipolar_adjustment import JointCameras, adjust_to_matches
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.sparse_model import MAPPING_SIDE_PX, Lens, MappingProblem, SparseModel
from recon.undistort import straighten

if TYPE_CHECKING:  # torch is loaded only by those who have a network
    from recon.regression.regressor import PairRegressor

_KNOWN_SIGMA = 0.05  # the lenses are a hypothesis that pairs are solved with
_LEAST_INLIERS = 12
_LEAST_SHARED = 6  # keypoints that tell the ratio of two baselines
_LEAST_ANGLE_DEG = 1.0
_MATCHES_PER_PAIR = 100  # that the joint adjustment looks at


@dataclass(frozen=True)
class _Pair:
    a: int
    b: int
    indices: NDArray[np.int64]
    matches: Correspondences
    pose: RelativePose


def place_jointly(
    problem: MappingProblem,
    lenses: Sequence[Lens],
    *,
    focal_belief: FocalEvidence | None = None,
    regressor: "PairRegressor | None" = None,
    seed: int = 0,
) -> SparseModel | None:
    """Cameras without points, to be triangulated and bundle-adjusted.

    Relative poses of all pairs are averaged; points that a photo shares with two others tell how long their baselines
    are; then all cameras move until all matches agree.

    Args:
        problem: matches in the mapping frame.
        lenses: one for each lens of the problem.
        focal_belief: of the first lens; all focal lengths then move by the same factor. None holds them.
        regressor: lets the pair network propose poses too.
        seed: of every random choice.

    Returns:
        A model of the photos tied to the photo with most matches, with no points; None if no pair has a pose.
    """
    found = [own for pair in problem.pairs if (own := _solved_pair(problem, lenses, pair, regressor, seed)) is not None]
    if not found:
        return None
    photos = _tied_photos(found, len(problem.keypoints))
    position = {photo: i for i, photo in enumerate(photos)}
    found = [pair for pair in found if pair.a in position]
    graph = CameraGraph(
        len(photos),
        np.array([position[pair.a] for pair in found]),
        np.array([position[pair.b] for pair in found]),
        np.array([pair.pose.R for pair in found]),
        np.array([pair.pose.t for pair in found]),
        np.array([pair.pose.support for pair in found]),
    )
    assert len(spanning_tree(graph)) == len(photos) - 1
    world = average_rotations(graph, seed=seed)
    lengths = baseline_lengths(len(found), _length_ratios(found, lenses[0].focal))
    cameras = JointCameras(world, centres_from_baselines(graph, world, lengths), lenses[0].focal)
    places, is_match = _padded([pair.matches for pair in found])
    cameras, _ = adjust_to_matches(cameras, graph.a, graph.b, places, is_match, focal_belief)
    zoom = cameras.focal / lenses[0].focal
    nothing = np.zeros(0, np.int64)
    return SparseModel(
        tuple(replace(lens, focal=lens.focal * zoom) for lens in lenses),
        {photo: _cam_from_world(cameras, i) for photo, i in position.items()},
        np.zeros((0, 3)),
        nothing,
        nothing,
        nothing,
    )


def pair_correspondences(problem: MappingProblem, lenses: Sequence[Lens], pair: PairMatches) -> Correspondences:
    """The matches of a pair without lens distortion, as a lens with the focal length of the first one shows them."""
    places = []
    for photo, rows in zip((pair.a, pair.b), pair.indices.T, strict=True):
        lens = lenses[problem.lens_of[photo]]
        bent = (problem.keypoints[photo][rows] - MAPPING_SIDE_PX / 2) / (lens.focal * MAPPING_SIDE_PX)
        places.append((straighten(bent, lens.distortion) if lens.radial else bent) * lenses[0].focal)
    return Correspondences(*places)


def _solved_pair(
    problem: MappingProblem, lenses: Sequence[Lens], pair: PairMatches, regressor: "PairRegressor | None", seed: int
) -> _Pair | None:
    matches = pair_correspondences(problem, lenses, pair)
    if not len(matches):
        return None
    belief = FocalEvidence(lenses[0].focal, _KNOWN_SIGMA, "habit")
    guess = None if regressor is None else regressor.guess(matches, belief)
    pose = relative_pose(matches, belief, guess, HypothesesConfig(max_iterations=1000, seed=seed))
    if pose is None or pose.is_inlier.sum() < _LEAST_INLIERS:
        return None
    return _Pair(pair.a, pair.b, pair.indices, matches, pose)


def _length_ratios(pairs: Sequence[_Pair], focal: float) -> list[tuple[int, int, float, float]]:
    """Ratios between the baselines of pairs with a photo in common, from the depths of the keypoints they share."""
    depths = [_depths(pair, focal) for pair in pairs]
    ratios = []
    for k, m in combinations(range(len(pairs)), 2):
        for photo in {pairs[k].a, pairs[k].b} & {pairs[m].a, pairs[m].b}:
            sides = [0 if pairs[i].a == photo else 1 for i in (k, m)]
            rows, others = (pairs[i].indices[:, side] for i, side in zip((k, m), sides, strict=True))
            _, in_k, in_m = np.intersect1d(rows, others, return_indices=True)
            # The same depth in units of either baseline: its length is inverse to the number.
            logs = np.log(depths[m][in_m, sides[1]] / depths[k][in_k, sides[0]])
            logs = logs[np.isfinite(logs)]
            if len(logs) >= _LEAST_SHARED:
                ratios.append((k, m, float(np.median(logs)), float(min(len(logs), _MATCHES_PER_PAIR))))
    return ratios


def _depths(pair: _Pair, focal: float) -> NDArray[np.float64]:
    """Depths in both photos in units of the baseline, [M, 2]; NaN for wrong matches and those with little parallax."""
    one = np.ones((len(pair.matches), 1))
    rays_a = np.concatenate([pair.matches.in_a / focal, one], axis=1) @ pair.pose.R.T
    rays_b = np.concatenate([pair.matches.in_b / focal, one], axis=1)
    plane = np.cross(rays_b, rays_a)
    squared = np.sum(plane**2, axis=1)
    sine = np.sqrt(squared) / np.linalg.norm(rays_a, axis=1) / np.linalg.norm(rays_b, axis=1)
    moments = [-np.sum(plane * np.cross(rays, pair.pose.t), axis=1) for rays in (rays_b, rays_a)]
    both = np.stack(moments, axis=1) / np.maximum(squared, 1e-300)[:, None]
    is_good = pair.pose.is_inlier & (sine > np.sin(np.radians(_LEAST_ANGLE_DEG))) & (both > 0).all(axis=1)
    return np.where(is_good[:, None], both, np.nan)


def _tied_photos(pairs: Sequence[_Pair], num_photos: int) -> list[int]:
    """Photos that a chain of pairs ties to the one with most matches, which is the first."""
    support = np.zeros(num_photos)
    for pair in pairs:
        support[[pair.a, pair.b]] += pair.pose.support
    reached = [int(support.argmax())]
    for photo in reached:  # grows while it is walked
        for pair in pairs:
            if photo in (pair.a, pair.b):
                other = pair.b if photo == pair.a else pair.a
                if other not in reached:
                    reached.append(other)
    return reached


def _padded(matches: Sequence[Correspondences]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Some matches of every pair, spread over them: [P, S, 4], and which rows are matches, [P, S]."""
    places = np.zeros((len(matches), _MATCHES_PER_PAIR, 4))
    is_match = np.zeros(places.shape[:2], bool)
    for k, pair in enumerate(matches):
        rows = np.unique(np.linspace(0, len(pair) - 1, min(len(pair), _MATCHES_PER_PAIR)).astype(int))
        places[k, : len(rows)] = np.concatenate([pair.in_a[rows], pair.in_b[rows]], axis=1)
        is_match[k, : len(rows)] = True
    return places, is_match


def _cam_from_world(cameras: JointCameras, position: int) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = cameras.R[position]
    matrix[:3, 3] = -cameras.R[position] @ cameras.centres[position]
    return matrix
