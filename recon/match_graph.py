"""What matching hands on: keypoints of all photos, and which of them show the same point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.types import Features


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
        pairs: every pair a < b that was tried, rejected ones included.
        features: per photo what the matcher found, the first of the keypoints before they were turned back, refined and
            brought to full size; for matching photos that come later. Empty where nothing may come.
        rolls: per photo the quarters by which it was turned for these; empty with `features`.
    """

    keypoints: tuple[NDArray[np.float32], ...]
    pairs: tuple[PairMatches, ...]
    features: tuple[Features, ...] = ()
    rolls: tuple[int, ...] = ()
