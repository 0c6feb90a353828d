"""Matches of a pair and what is guessed and found from them, in plain arrays.

Image coordinates are in *units*: centred in the photo and divided by its longer side. A focal length in units is a
multiple of the longer side.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recon.sparse_model import MAPPING_SIDE_PX

UNIT_PX = MAPPING_SIDE_PX
"""Pixels of a unit: errors in px are those of a photo whose longer side is 1024 px."""


@dataclass(frozen=True)
class Correspondences:
    """Matches between photos a and b, right and wrong ones, of one focal length.

    With two lenses, multiply the coordinates in b by the ratio of the focal lengths a to b.

    Attributes:
        in_a, in_b: [M, 2] float64 units.
        confidence: [M] in [0, 1], what the matcher thinks; None if it does not say.

    Raises:
        ValueError: the shapes do not fit each other.
    """

    in_a: NDArray[np.float64]
    in_b: NDArray[np.float64]
    confidence: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        if self.in_a.shape != self.in_b.shape or self.in_a.ndim != 2 or self.in_a.shape[1] != 2:
            raise ValueError(f"in_a and in_b must both be [M, 2], got {self.in_a.shape} and {self.in_b.shape}")
        if self.confidence is not None and self.confidence.shape != self.in_a.shape[:1]:
            raise ValueError(f"confidence must be [{len(self)}], got {self.confidence.shape}")

    def __len__(self) -> int:
        return len(self.in_a)

    @property
    def swapped(self) -> "Correspondences":
        """The same matches, seen from photo b."""
        return Correspondences(self.in_b, self.in_a, self.confidence)

    def subset(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Correspondences":
        """Some of the matches, or all in another order."""
        confidence = None if self.confidence is None else self.confidence[rows]
        return Correspondences(self.in_a[rows], self.in_b[rows], confidence)


@dataclass(frozen=True)
class PairGuess:
    """What the network makes of M matches; K hypotheses, the most likely first.

    Attributes:
        inlier_probability: [M].
        R: [K, 3, 3] b_from_a.
        t: [K, 3] direction of b_from_a.
        focals: [K] units.
        probability: [K] of being the closest to the truth; sums to 1.
        rotation_sigma_rad, direction_sigma_rad, log_focal_sigma: [K] standard deviations, per axis.
        parallax_probability: that the median ray angle is above one degree; else `t` means nothing.
    """

    inlier_probability: NDArray[np.float64]
    R: NDArray[np.float64]
    t: NDArray[np.float64]
    focals: NDArray[np.float64]
    probability: NDArray[np.float64]
    rotation_sigma_rad: NDArray[np.float64]
    direction_sigma_rad: NDArray[np.float64]
    log_focal_sigma: NDArray[np.float64]
    parallax_probability: float


PoseSource = Literal["ransac", "filtered ransac", "network"]


@dataclass(frozen=True)
class RelativePose:
    """A relative pose and how well the matches support it.

    Attributes:
        R, t: b_from_a, [3, 3] and [3], t of unit length.
        focal: units.
        support: robust number of matches that agree, less what an unusual focal length costs.
        believed_support: the same, each match weighed by its inlier probability; equal to it without a guess.
        is_inlier: [M].
        source: who proposed it.
    """

    R: NDArray[np.float64]
    t: NDArray[np.float64]
    focal: float
    support: float
    believed_support: float
    is_inlier: NDArray[np.bool_]
    source: PoseSource
