"""What a sparse matcher is, and the table of those we have."""

import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from matching import plugins
from matching.types import Features, Matches


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
    "fast": ("matching.xfeat", "XFeatMatcher"),
    "quality": ("matching.aliked", "AlikedMatcher"),
    "disk": ("matching.disk", "DiskMatcher"),
    "sift": ("matching.sift", "SiftMatcher"),
    "union": ("matching.union", "UnionMatcher"),
}
BUILT_IN = tuple(_BACKENDS)
"""Names of the matchers that come with this program."""


def check_name(name: str) -> None:
    """Check that a matcher of that name is ours or installed as a plug-in.

    Raises:
        ValueError: it is neither; the message lists what there is and how to get others.
    """
    if name in _BACKENDS:
        return
    names = [*_BACKENDS, *plugins.installed()]
    if name not in names:
        raise ValueError(
            f"matcher must be one of {', '.join(names)}, got {name!r}; others come as packages with an entry point "
            f"in the group {plugins.GROUP}, to be installed beside this program"
        )


def create(name: str, *, max_keypoints: int = 2048) -> SparseMatcher:
    """Load a matcher by name.

    Args:
        name: one of `BUILT_IN`, or of a plug-in. Our own names cannot be taken by plug-ins.
        max_keypoints: of one photo, the best are kept.

    Raises:
        ValueError: there is no matcher of that name.
        matching.plugins.PluginError: the plug-in does not work.
        matching.weights.WeightsError: its weights are missing or damaged; the message says how to get them.
    """
    check_name(name)
    if name not in _BACKENDS:
        return plugins.load(name, max_keypoints=max_keypoints)
    module, cls = _BACKENDS[name]
    return getattr(importlib.import_module(module), cls)(max_keypoints)
