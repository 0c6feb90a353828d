"""Which matches of a pair agree on one geometry, and whether the pair can be used at all."""

from typing import TYPE_CHECKING

import numpy as np
import poselib
from numpy.typing import NDArray

from matching.types import Features, Matches
from recon.match_graph import PairMatches

if TYPE_CHECKING:  # it is beside what it configures, which calls this
    from recon.match_photos import MatchingConfig

_LEAST_FOR_FUNDAMENTAL = 8  # seven points always have a fundamental matrix; the eighth can disagree


def verified_pair(
    a: int, b: int, features_a: Features, features_b: Features, matches: Matches, config: "MatchingConfig"
) -> PairMatches:
    """The matches of photos a < b that one epipolar geometry explains, or why the pair must not be used.

    Args:
        a, b: positions of the photos.
        features_a, features_b: of the two photos.
        matches: between these, right and wrong ones.
        config: what a pair needs to be believed.
    """
    points_a = features_a.keypoints[matches.indices[:, 0]]
    points_b = features_b.keypoints[matches.indices[:, 1]]
    is_inlier = epipolar_inliers(points_a, points_b, config.max_error_px)
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
