"""Points that become Gaussians."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Seeds:
    """Points that become Gaussians: xyz [N, 3], rgb [N, 3] in [0, 1], scale [N] world units, opacity [N]."""

    xyz: Floats
    rgb: Floats
    scale: Floats
    opacity: Floats

    @staticmethod
    def none() -> "Seeds":
        """No points."""
        return Seeds(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))

    @staticmethod
    def joined(parts: "Sequence[Seeds]") -> "Seeds":
        """All of them; at least one part."""
        return Seeds(*(np.concatenate([getattr(part, name) for part in parts]) for name in Seeds.__dataclass_fields__))

    def select(self, keep: Mask) -> "Seeds":
        """Some of them."""
        return Seeds(*(getattr(self, name)[keep] for name in Seeds.__dataclass_fields__))
