"""Two matchers at once: a learned one for wide baselines, SIFT for exact places on fine texture."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matching.sift import SiftMatcher
from matching.types import Features, Matches
from matching.xfeat import XFeatMatcher

if TYPE_CHECKING:
    from matching.matcher import SparseMatcher

# Two matches that are nearer than this in both photos are one. XFeat lies on whole pixels, SIFT anywhere: the same
# corner is found up to a pixel apart in each photo.
_SAME_PX = 1.5


class UnionMatcher:
    """The keypoints and matches of several matchers; of matches found twice those of the first matcher stay.

    Descriptors are [N, 1 + D]: which matcher they belong to, then what it made, filled up with zeros. Scores are
    ranks, because those of different matchers cannot be compared.
    """

    is_rotation_invariant = False

    def __init__(self, max_keypoints: int = 2048) -> None:
        """Load the parts; each keeps `max_keypoints` of a photo.

        Raises:
            matching.weights.WeightsError: the weights of a part are missing or damaged.
        """
        # The most exact first, with the depth of its descriptors.
        self._parts: tuple[tuple[SparseMatcher, int], ...] = (
            (SiftMatcher(max_keypoints), 128),
            (XFeatMatcher(max_keypoints), 64),
        )

    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints with every part; see `matching.matcher.SparseMatcher`."""
        found = [part.detect(rgb, mask) for part, _ in self._parts]
        depth = max(features.descriptors.shape[1] for features in found)
        labelled = []
        for label, features in enumerate(found):
            num, own_depth = features.descriptors.shape
            labels = np.full((num, 1), label, np.float32)
            labelled.append(np.hstack([labels, features.descriptors, np.zeros((num, depth - own_depth), np.float32)]))
        return Features(
            keypoints=np.concatenate([features.keypoints for features in found]),
            descriptors=np.concatenate(labelled),
            scores=np.concatenate([_ranks(features.scores) for features in found]),
            width=rgb.shape[1],
            height=rgb.shape[0],
        )

    def match(self, a: Features, b: Features) -> Matches:
        """Match part by part and leave out what was found before; see `matching.matcher.SparseMatcher`."""
        indices, confidence = np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
        for label, (part, _) in enumerate(self._parts):
            (rows_a, own_a), (rows_b, own_b) = (self._of_part(features, label) for features in (a, b))
            matches = part.match(own_a, own_b)
            found = np.stack([rows_a[matches.indices[:, 0]], rows_b[matches.indices[:, 1]]], axis=1)
            is_new = ~_near(_places(a, b, found), _places(a, b, indices))
            indices = np.concatenate([indices, found[is_new]])
            confidence = np.concatenate([confidence, matches.confidence[is_new]])
        return Matches(indices, confidence)

    def _of_part(self, features: Features, label: int) -> tuple[NDArray[np.int64], Features]:
        """The rows of one part's keypoints, and these as that part made them."""
        rows = np.flatnonzero(features.descriptors[:, 0] == label)
        descriptors = np.ascontiguousarray(features.descriptors[rows, 1 : 1 + self._parts[label][1]])
        return rows, replace(
            features, keypoints=features.keypoints[rows], descriptors=descriptors, scores=features.scores[rows]
        )


def _ranks(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 for the best, towards 0 for the last."""
    ranks = np.empty(len(scores), np.float32)
    ranks[np.argsort(-scores, kind="stable")] = 1 - np.arange(len(scores), dtype=np.float32) / max(1, len(scores))
    return ranks


def _places(a: Features, b: Features, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """Where matches lie in both photos, [M, 4] px."""
    return np.hstack([a.keypoints[indices[:, 0]], b.keypoints[indices[:, 1]]])


def _near(places: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the places [M, 4] lie within `_SAME_PX` of one of the others in both photos."""
    if not len(others):
        return np.zeros(len(places), bool)
    distance, _ = cKDTree(others).query(places, p=np.inf)
    return np.asarray(distance <= _SAME_PX)
