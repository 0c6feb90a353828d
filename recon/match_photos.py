"""Photos to verified matches: which keypoints of which pairs show the same point."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import get_args

import numpy as np
import poselib
from numpy.typing import NDArray

from matching.matcher import MatcherName, create
from matching.types import Features, Matches
from matching.weights import WeightsError
from recon.errors import ReconError
from recon.photo import Photo
from recon.progress import Progress, no_progress

# Measured at 1,024 px: 42 pairs of photos with nothing in common reach at most 16 matches of which 12 agree; the true
# pairs of seven sets keep at least 44 % of their matches.
_LEAST_INLIERS = 15
_LEAST_SHARE = 0.25
_LEAST_FOR_FUNDAMENTAL = 8  # seven points always have a fundamental matrix; the eighth can disagree


@dataclass(frozen=True)
class MatchingConfig:
    """How photos are matched."""

    matcher: MatcherName = field(
        default="xfeat", metadata={"help": "xfeat: learned, for wide baselines; sift: classical, needs no weights"}
    )
    max_side_px: int = field(
        default=1024,
        metadata={"help": "longer side of the photos that are matched", "unit": "px", "low": 256, "high": 4096},
    )
    max_keypoints: int = field(
        default=2048, metadata={"help": "keypoints kept of each photo", "unit": "", "low": 64, "high": 16384}
    )
    min_inliers: int = field(
        default=_LEAST_INLIERS,
        metadata={"help": "fewest verified matches of a pair that is used", "unit": "", "low": 8, "high": 1000},
    )
    min_inlier_share: float = field(
        default=_LEAST_SHARE,
        metadata={
            "help": "least share of a pair's matches that must be verified",
            "unit": "",
            "low": 0.0,
            "high": 1.0,
        },
    )
    max_error_px: float = field(
        default=2.0,
        metadata={
            "help": "largest epipolar error, at the size that is matched",
            "unit": "px",
            "low": 0.1,
            "high": 20.0,
        },
    )

    def __post_init__(self) -> None:
        if self.matcher not in get_args(MatcherName):
            raise ValueError(f"matcher must be one of {', '.join(get_args(MatcherName))}, got {self.matcher!r}")
        for item in fields(self)[1:]:
            value, low, high = getattr(self, item.name), item.metadata["low"], item.metadata["high"]
            if not low <= value <= high:
                raise ValueError(f"{item.name} must be in [{low}, {high}], got {value}")


@dataclass(frozen=True)
class PairMatches:
    """Verified matches of a pair of photos.

    Attributes:
        a, b: positions of the photos, a < b.
        indices: [M, 2] int64, rows into the keypoints of a and of b; those that agree with one epipolar geometry.
        num_matches: before verification.
        rejected: one sentence why the pair must not be used, None for a good pair.
    """

    a: int
    b: int
    indices: NDArray[np.int64]
    num_matches: int
    rejected: str | None


@dataclass(frozen=True)
class MatchGraph:
    """Keypoints of all photos and the matches of all pairs.

    Attributes:
        keypoints: per photo [N, 2] float32, px of the photo at full size; the first pixel's centre is (0.5, 0.5).
        pairs: every pair a < b, rejected ones included.
    """

    keypoints: tuple[NDArray[np.float32], ...]
    pairs: tuple[PairMatches, ...]


def match_photos(
    photos: Sequence[Photo], config: MatchingConfig = MatchingConfig(), progress: Progress = no_progress
) -> MatchGraph:
    """Match all pairs of photos and keep the matches that one epipolar geometry explains.

    Keypoints outside a photo's mask are not used. The result does not depend on chance.

    Raises:
        ReconError: no pair has enough verified matches, or the matcher's weights are missing.
    """
    try:
        matcher = create(config.matcher, max_keypoints=config.max_keypoints)
    except WeightsError as error:
        raise ReconError(error.message, "Or choose another matcher: sift needs no weights.") from error
    pairs = list(combinations(range(len(photos)), 2))
    total = len(photos) + len(pairs)
    features = []
    for done, photo in enumerate(photos):
        progress(done, total, f"Finding keypoints in {photo.name}")
        features.append(matcher.detect(photo.pixels(config.max_side_px), photo.mask(config.max_side_px)))
    verified = []
    for done, (a, b) in enumerate(pairs, len(photos)):
        progress(done, total, f"Matching {photos[a].name} with {photos[b].name}")
        matches = matcher.match(features[a], features[b])
        verified.append(_verified_pair(a, b, features, matches, config))
    progress(total, total, f"Matched {len(pairs)} pairs")
    _require_a_good_pair(verified)
    return MatchGraph(tuple(map(_at_full_size, photos, features)), tuple(verified))


def _verified_pair(
    a: int, b: int, features: Sequence[Features], matches: Matches, config: MatchingConfig
) -> PairMatches:
    points_a = features[a].keypoints[matches.indices[:, 0]]
    points_b = features[b].keypoints[matches.indices[:, 1]]
    is_inlier = epipolar_inliers(points_a, points_b, config.max_error_px)
    return PairMatches(
        a=a,
        b=b,
        indices=matches.indices[is_inlier],
        num_matches=len(matches),
        rejected=_why_rejected(int(is_inlier.sum()), len(matches), config),
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


def _why_rejected(num_inliers: int, num_matches: int, config: MatchingConfig) -> str | None:
    if num_matches < config.min_inliers:
        return f"Only {num_matches} matches were found, {config.min_inliers} are needed."
    if num_inliers < config.min_inliers:
        return f"Only {num_inliers} of {num_matches} matches agree on one geometry, {config.min_inliers} are needed."
    if num_inliers < config.min_inlier_share * num_matches:
        return f"Only {num_inliers} of {num_matches} matches agree on one geometry, too small a share to be trusted."
    return None


def _require_a_good_pair(pairs: Sequence[PairMatches]) -> None:
    if all(pair.rejected is not None for pair in pairs):
        best = max((len(pair.indices) for pair in pairs), default=0)
        raise ReconError(
            f"The photos seem to have nothing in common: no two of them agree on more than {best} points.",
            "Photograph one thing that stands still, each photo 10 to 20 degrees further around it than the last.",
        )


def _at_full_size(photo: Photo, features: Features) -> NDArray[np.float32]:
    scale = np.array([photo.width / features.width, photo.height / features.height])
    return (features.keypoints * scale).astype(np.float32)
