"""What the user asks of the frame: `--up` and `--scale` as words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon.real_scale import parse_measure

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class FrameWish:
    """What is asked of the frame; None: nothing, so that what was asked before holds, or else the default.

    Attributes:
        up: "auto", "none", an axis such as "+z" or "-y", or three numbers "0,0.2,1".
        scale: "none", or a measured length as `recon.real_scale.parse_measure` reads it.

    Raises:
        ValueError: it cannot be understood; the message says what is expected.
    """

    up: str | None = None
    scale: str | None = None

    def __post_init__(self) -> None:
        if self.up is not None:
            parse_up(self.up)
        if self.scale is not None:
            parse_scale(self.scale)

    def over(self, before: "FrameWish") -> "FrameWish":
        """This wish, and what was wished before where it says nothing."""
        return FrameWish(before.up if self.up is None else self.up, before.scale if self.scale is None else self.scale)


def wish_from_document(document: Mapping[str, Any]) -> FrameWish:
    """The wish in the block `frame` of a project file.

    Raises:
        ValueError, KeyError: it holds none.
    """
    return FrameWish(document["up"], document["scale"])


def parse_up(text: str) -> str | NDArray[np.float64]:
    """Read `--up`: "auto" and "none" as they are, else a direction [3], not of unit length.

    Raises:
        ValueError: it is none of them; the message goes after the name of the option.
    """
    word = text.strip().lower()
    if word in ("auto", "none"):
        return word
    if word.lstrip("+-") in _AXES and len(word) <= 2:
        return np.array(_AXES[word[-1]]) * (-1 if word[0] == "-" else 1)
    try:
        direction = np.array([float(part) for part in word.split(",")])
    except ValueError:
        direction = np.zeros(0)
    if direction.shape != (3,) or not np.isfinite(direction).all() or not np.linalg.norm(direction) > 0:
        raise ValueError(f"must be auto, none, an axis such as +z or -y, or three numbers as in 0,0.2,1, not '{text}'")
    return direction


def parse_scale(text: str) -> str:
    """Check `--scale`: "none" or a measured length.

    Raises:
        ValueError: it is neither; the message goes after the name of the option.
    """
    if text.strip().lower() == "none":
        return "none"
    return parse_measure(text).text
