"""Which matches of a pair agree on one geometry, and whether the pair can be used at all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import poselib
from numpy.typing import NDArray

from matching.types import Features, Matches
from recon.match_graph import PairMatches

if TYPE_CHECKING:
    from recon.match_photos import MatchingConfig  # which calls this
    from recon.regression.proposals import EpipolarProposals  # loads torch

_LEAST_FOR_FUNDAMENTAL = 8  # seven points always have a fundamental matrix; the eighth can disagree


def verified_pair(
    a: int,
    b: int,
    features_a: Features,
    features_b: Features,
    matches: Matches,
    config: "MatchingConfig",
    network: "EpipolarProposals | None" = None,
) -> PairMatches:
    """The matches of photos a < b that one epipolar geometry explains, or why the pair must not be used.

    Args:
        a, b: positions of the photos.
        features_a, features_b: of the two photos.
        matches: between these, right and wrong ones.
        config: what a pair needs to be believed.
        network: proposes epipolar geometries that compete with RANSAC's.
    """
    points_a = features_a.keypoints[matches.indices[:, 0]]
    points_b = features_b.keypoints[matches.indices[:, 1]]
    is_inlier = epipolar_inliers(points_a, points_b, config.max_error_px)
    if network is not None and len(matches) >= config.min_inliers:
        proposed = network.propose(features_a, features_b, matches, config.max_error_px)
        is_inlier = most_inliers(points_a, points_b, is_inlier, proposed, config.max_error_px)
    return PairMatches(
        a=a,
        b=b,
        indices=matches.indices[is_inlier],
        num_matches=len(matches),
        rejected=_why_rejected(matches.confidence, is_inlier, config),
    )


def epipolar_inliers(
    points_a: NDArray[np.float32], points_b: NDArray[np.float32], max_error_px: float
) -> NDArray[np.bool_]:
    """Which matches [M, 2], [M, 2] agree with the fundamental matrix that explains most of them: [M].

    Points on one plane agree with many such matrices, all of which keep them. Fewer than 8 matches prove nothing:
    all False. A pose with the focal length of EXIF would ask more, but it drops up to a third of the true matches of
    lenses with distortion (measured on a phone), and unrelated photos are told apart without it.
    """
    if len(points_a) < _LEAST_FOR_FUNDAMENTAL:
        return np.zeros(len(points_a), bool)
    _, info = poselib.estimate_fundamental(
        points_a.astype(np.float64),
        points_b.astype(np.float64),
        {"max_epipolar_error": max_error_px, "min_iterations": 300, "max_iterations": 5000, "seed": 0},
        {},
    )
    return np.asarray(info["inliers"], bool)


def most_inliers(
    points_a: NDArray[np.float32],
    points_b: NDArray[np.float32],
    is_inlier: NDArray[np.bool_],
    proposed: Sequence[NDArray[np.float64]],
    max_error_px: float,
) -> NDArray[np.bool_]:
    """Of the inliers found so far and those of some fundamental matrices, refined on them, the most: [M].

    Args:
        points_a, points_b: the matches, [M, 2] px each.
        is_inlier: [M], what wins when no proposal has more.
        proposed: matrices [3, 3] with `b @ F @ a = 0`.
        max_error_px: largest Sampson distance of an inlier.
    """
    in_a, in_b = points_a.astype(np.float64), points_b.astype(np.float64)
    for F in proposed:
        own = sampson_px(F, in_a, in_b) < max_error_px
        if own.sum() >= _LEAST_FOR_FUNDAMENTAL:
            refined, _ = poselib.refine_fundamental(in_a[own], in_b[own], F, {"loss_scale": max_error_px / 2})
            own = max(own, sampson_px(np.asarray(refined), in_a, in_b) < max_error_px, key=np.sum)
        if own.sum() > is_inlier.sum():
            is_inlier = own
    return is_inlier


def sampson_px(
    F: NDArray[np.float64], points_a: NDArray[np.float64], points_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sampson distances [M] of matches [M, 2], [M, 2] px from a fundamental matrix `b @ F @ a = 0`."""
    one = np.ones((len(points_a), 1))
    in_a, in_b = np.concatenate([points_a, one], axis=1), np.concatenate([points_b, one], axis=1)
    lines_b, lines_a = in_a @ F.T, in_b @ F
    slope = np.sum(lines_b[:, :2] ** 2, axis=1) + np.sum(lines_a[:, :2] ** 2, axis=1)
    return np.asarray(np.abs(np.sum(in_b * lines_b, axis=1)) / np.sqrt(np.maximum(slope, 1e-300)))


def _why_rejected(
    confidence: NDArray[np.float32], is_inlier: NDArray[np.bool_], config: "MatchingConfig"
) -> str | None:
    num_matches, num_inliers = len(is_inlier), int(is_inlier.sum())
    if num_matches < config.min_inliers:
        return f"Only {num_matches} matches were found, {config.min_inliers} are needed."
    if num_inliers < config.min_inliers:
        return f"Only {num_inliers} of {num_matches} matches agree on one geometry, {config.min_inliers} are needed."
    if num_inliers < config.min_inlier_share * num_matches:
        return f"Only {num_inliers} of {num_matches} matches agree on one geometry, too small a share to be trusted."
    mean = float(confidence[is_inlier].mean())
    if mean < config.min_confidence:
        return (
            f"The {num_inliers} matches that agree on one geometry are doubtful one by one "
            f"(mean confidence {mean:.2f}, {config.min_confidence:.2f} is needed): different sides may look alike."
        )
    return None
