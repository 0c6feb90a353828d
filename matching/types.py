"""What matchers produce."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Features:
    """Keypoints of one photo.

    Attributes:
        keypoints: [N, 2] px, float32, in the photo given to `detect`; the first pixel's centre is (0.5, 0.5).
        descriptors: [N, D] float32, meaningful to the matcher that made them.
        scores: [N] float32, larger is better.
        width, height: size of that photo in px.
        rgb: the photo itself, [H, W, 3] uint8, where `match` needs it again; None for matchers of descriptors.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    scores: NDArray[np.float32]
    width: int
    height: int
    rgb: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Matches:
    """Matches between the keypoints of photos a and b.

    Attributes:
        indices: [M, 2] int64, rows into the keypoints of a and of b; each keypoint at most once. M may be 0.
        confidence: [M] float32 in [0, 1], how likely each is right as far as the matcher can tell; pairs of photos are
            rejected whose mean is low.
    """

    indices: NDArray[np.int64]
    confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class DenseWarp:
    """Where every pixel of photo a lies in photo b.

    Attributes:
        pixels: [H, W, 2] float32, px in photo b for each pixel centre of photo a; the first pixel's centre is
            (0.5, 0.5). May lie outside of b; means nothing where `certainty` is 0.
        certainty: [H, W] float32 in [0, 1].
    """

    pixels: NDArray[np.float32]
    certainty: NDArray[np.float32]
