"""What a sparse matcher is, and the table of those we have."""

import importlib
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from matching.types import Features, Matches

MatcherName = Literal["xfeat", "sift"]


class SparseMatcher(Protocol):
    """Finds the same points in two photos. Holds loaded weights, no state between calls.

    Attributes:
        is_rotation_invariant: it finds as much when one of the photos is turned.
    """

    is_rotation_invariant: bool

    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints of an upright photo.

        Args:
            rgb: [H, W, 3] uint8.
            mask: [H, W]; keypoints where it is False are dropped.
        """
        ...

    def match(self, a: Features, b: Features) -> Matches:
        """Match the features of two photos; symmetric up to rounding."""
        ...


_BACKENDS = {
    "xfeat": ("matching.xfeat", "XFeatMatcher"),
    "sift": ("matching.sift", "SiftMatcher"),
}


def create(name: MatcherName, *, max_keypoints: int = 2048) -> SparseMatcher:
    """Load a matcher by name.

    Args:
        name: one of `MatcherName`.
        max_keypoints: of one photo, the best are kept.

    Raises:
        ValueError: there is no matcher of that name.
        matching.weights.WeightsError: its weights are missing or damaged; the message says how to get them.
    """
    if name not in _BACKENDS:
        raise ValueError(f"matcher must be one of {', '.join(_BACKENDS)}, got {name!r}")
    module, cls = _BACKENDS[name]
    return getattr(importlib.import_module(module), cls)(max_keypoints)
