"""Cameras of all photos at once from their pairs: one more model for mapping to start from or to compare with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recon.focal import FocalEvidence
from recon.match_photos import PairMatches
from recon.regression.camera_graph import CameraGraph, average_rotations, centres_from_directions, spanning_tree
from recon.regression.correspondences import Correspondences, RelativePose
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.sparse_model import MAPPING_SIDE_PX, Lens, MappingProblem, SparseModel
from recon.undistort import straighten

if TYPE_CHECKING:  # torch is loaded only by those who have a network
    from recon.regression.regressor import PairRegressor

_KNOWN_SIGMA = 0.05  # the lenses are a hypothesis that is held
_LEAST_INLIERS = 12


def place_jointly(
    problem: MappingProblem, lenses: Sequence[Lens], *, regressor: "PairRegressor | None" = None, seed: int = 0
) -> SparseModel | None:
    """Cameras without points: relative poses of all pairs, averaged; to be triangulated and bundle-adjusted.

    Directions alone do not tell how long a baseline is where cameras stand in a row or hang on one pair: such
    baselines come out alike.

    Args:
        problem: matches in the mapping frame.
        lenses: one for each lens of the problem, held.
        regressor: lets the pair network propose poses too.
        seed: of every random choice.

    Returns:
        A model of the photos tied to the photo with most matches, with no points; None if those are fewer than two.
    """
    found = [
        (pair.a, pair.b, pose.R, pose.t, pose.support)
        for pair in problem.pairs
        for pose in [_pose_of(problem, lenses, pair, regressor, seed)]
        if pose is not None and pose.is_inlier.sum() >= _LEAST_INLIERS
    ]
    if not found:
        return None
    support = np.zeros(len(problem.keypoints))
    for a, b, _, _, own in found:
        support[[a, b]] += own
    photos = _tied_to(int(support.argmax()), [(a, b) for a, b, *_ in found])
    position = {photo: i for i, photo in enumerate(photos)}
    own_pairs = [pair for pair in found if pair[0] in position]
    graph = CameraGraph(
        len(photos),
        np.array([position[pair[0]] for pair in own_pairs]),
        np.array([position[pair[1]] for pair in own_pairs]),
        np.array([pair[2] for pair in own_pairs]),
        np.array([pair[3] for pair in own_pairs]),
        np.array([pair[4] for pair in own_pairs]),
    )
    assert len(spanning_tree(graph)) == len(photos) - 1
    world = average_rotations(graph, seed=seed)
    centres = centres_from_directions(graph, world)
    poses = {}
    for photo, i in position.items():
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3], cam_from_world[:3, 3] = world[i], -world[i] @ centres[i]
        poses[photo] = cam_from_world
    nothing = np.zeros(0, np.int64)
    return SparseModel(tuple(lenses), poses, np.zeros((0, 3)), nothing, nothing, nothing)


def pair_correspondences(
    problem: MappingProblem, lenses: Sequence[Lens], pair: PairMatches
) -> tuple[Correspondences, float]:
    """The matches of a pair without lens distortion, and the focal length of both photos after scaling those of b."""
    lens_a, lens_b = (lenses[problem.lens_of[photo]] for photo in (pair.a, pair.b))
    in_a = _flat(problem.keypoints[pair.a][pair.indices[:, 0]], lens_a)
    in_b = _flat(problem.keypoints[pair.b][pair.indices[:, 1]], lens_b)
    return Correspondences(in_a * lens_a.focal, in_b * lens_a.focal), lens_a.focal


def _flat(keypoints: NDArray[np.float64], lens: Lens) -> NDArray[np.float64]:
    bent = (keypoints - MAPPING_SIDE_PX / 2) / (lens.focal * MAPPING_SIDE_PX)
    return straighten(bent, lens.distortion) if lens.radial else bent


def _pose_of(
    problem: MappingProblem, lenses: Sequence[Lens], pair: PairMatches, regressor: "PairRegressor | None", seed: int
) -> RelativePose | None:
    matches, focal = pair_correspondences(problem, lenses, pair)
    if not len(matches):
        return None
    belief = FocalEvidence(focal, _KNOWN_SIGMA, "habit")
    guess = None if regressor is None else regressor.guess(matches, belief)
    return relative_pose(matches, belief, guess, HypothesesConfig(max_iterations=1000, seed=seed))


def _tied_to(first: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Photos that a chain of pairs ties to the first, the first of them in front."""
    reached = [first]
    for photo in reached:  # grows while it is walked
        for a, b in pairs:
            if photo in (a, b):
                other = b if photo == a else a
                if other not in reached:
                    reached.append(other)
    return reached
