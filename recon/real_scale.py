"""Real lengths: what the user measured between two points or cameras, and how long that is in the scene."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from recon.errors import ReconError
from recon.scene import Reconstruction, View
from recon.undistort import straighten

METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254, "ft": 0.3048}
SYNTAX = 'A,B=LENGTH, as in "IMG_1.jpg:412,300,IMG_1.jpg:980,310=32cm" or "IMG_1.jpg,IMG_2.jpg=0.5m"'

_REACH_PX = 3  # around a picked pixel: people do not hit better, and stereo leaves holes
_LEAST_KNOWN = 3  # depths around a picked pixel

_SPOT = r"(?P<name{0}>[^=]+?)(?::\s*(?P<x{0}>[\d.]+)(?P<px{0}>%?)\s*,\s*(?P<y{0}>[\d.]+)(?P<py{0}>%?))?"
_MEASURE = re.compile(
    rf"\s*{_SPOT.format(1)}\s*,\s*{_SPOT.format(2)}\s*=\s*(?P<length>[\d.]+(?:e-?\d+)?)\s*(?P<unit>[a-z]+)\s*"
)


@dataclass(frozen=True)
class Spot:
    """An end of a measured length.

    Attributes:
        photo: its name.
        pixel: (x, y) of a point that the photo shows, of the upright photo as it was given; None: the camera itself.
        is_share: `pixel` is in shares of width and height instead.
    """

    photo: str
    pixel: tuple[float, float] | None
    is_share: bool = False


@dataclass(frozen=True)
class Measure:
    """A length that the user knows: from `a` to `b` it is so many metres; `text` is how it was said."""

    a: Spot
    b: Spot
    metres: float
    text: str


DepthAt = Callable[[int, NDArray[np.float64]], float | None]
"""Depth (z) that view number `i` has around the pixel [2], None where it is not known."""


def parse_measure(text: str) -> Measure:
    """Read `A,B=LENGTH`: A and B are `PHOTO:x,y` (px, or % of width and height) or `PHOTO` for its camera.

    Raises:
        ValueError: it says something else; the message says what is expected.
    """
    match = _MEASURE.fullmatch(text)
    if match is None:
        raise ValueError(f"must be {SYNTAX}, not '{text}'")
    unit = match["unit"]
    if unit not in METRES:
        raise ValueError(f"must have a length in {', '.join(METRES)}, not '{unit}'")
    try:
        metres = float(match["length"]) * METRES[unit]
        a, b = (_spot(match, end) for end in "12")
    except ValueError:
        raise ValueError(f"must be {SYNTAX}, not '{text}'") from None
    if not 0 < metres < math.inf:
        raise ValueError(f"must have a length above 0, not '{match['length']}'")
    if a == b:
        raise ValueError("must have two different ends")
    return Measure(a, b, metres, text.strip())


def _spot(match: re.Match[str], end: str) -> Spot:
    name = match[f"name{end}"].strip()
    if match[f"x{end}"] is None:
        return Spot(name, None)
    if match[f"px{end}"] != match[f"py{end}"]:
        raise ValueError("one share and one pixel")
    is_share = match[f"px{end}"] == "%"
    unit = 0.01 if is_share else 1.0
    return Spot(name, (float(match[f"x{end}"]) * unit, float(match[f"y{end}"]) * unit), is_share)


def length_in_scene(
    measure: Measure, scene: Reconstruction, sizes: Mapping[str, tuple[int, int]], depth_at: DepthAt
) -> float:
    """How long the measured length is in the scene's own unit.

    Args:
        sizes: width and height of the photos as they were given, by name; for pixels that are no shares.
        depth_at: where the depth of a picked point comes from.

    Raises:
        ReconError: a photo or a depth is not there, or both ends are one place.
    """
    a, b = (_position(spot, scene.views, sizes, depth_at) for spot in (measure.a, measure.b))
    length = float(np.linalg.norm(a - b))
    if not length > 1e-9 * max(1.0, float(np.abs([a, b]).max())):
        raise ReconError(f"Both ends of --scale {measure.text} are at one place.", "Pick two places that lie apart.")
    return length


def _position(
    spot: Spot, views: Sequence[View], sizes: Mapping[str, tuple[int, int]], depth_at: DepthAt
) -> NDArray[np.float64]:
    """Where an end lies in the world, [3]."""
    idx = _index(spot.photo, [view.name for view in views])
    camera = views[idx].camera
    if spot.pixel is None:
        return camera.center
    pixel = _pixel_in_view(spot, views[idx], sizes)
    if not (0 <= pixel[0] <= camera.width and 0 <= pixel[1] <= camera.height):
        raise ReconError(f"{_said(spot)} lies outside the photo.", "Count pixels from its upper left corner.")
    depth = depth_at(idx, pixel)
    if depth is None:
        raise ReconError(
            f"No depth is known at {_said(spot)}.",
            "Pick a point on a textured surface that several photos show; after the run, handful align knows more.",
        )
    return np.asarray(camera.unproject(pixel[None], np.array([depth]))[0], np.float64)


def require_photos(measure: Measure, names: Sequence[str]) -> None:
    """Find both photos that a measure speaks of among these, with or without suffix.

    Raises:
        ReconError: one is not there.
    """
    for spot in (measure.a, measure.b):
        _index(spot.photo, names)


def _index(name: str, names: Sequence[str]) -> int:
    """The position of a photo, by its name with or without suffix."""
    if name in names:
        return names.index(name)
    same_stem = [idx for idx, known in enumerate(names) if known.rsplit(".", 1)[0] == name]
    if len(same_stem) == 1:
        return same_stem[0]
    near = get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names[:8])}."
    raise ReconError(f"The scene has no camera of a photo {name}, which --scale names.", hint)


def _pixel_in_view(spot: Spot, view: View, sizes: Mapping[str, tuple[int, int]]) -> NDArray[np.float64]:
    """Where a pixel of the photo lies in its undistorted view, [2] px."""
    assert spot.pixel is not None
    K, size = view.camera.K, np.array([view.camera.width, view.camera.height])
    share = np.array(spot.pixel)
    if not spot.is_share:
        if view.name not in sizes:
            raise ReconError(
                f"The size of {view.name} is not known.", "Give shares instead of pixels, as in IMG_1.jpg:41.5%,30%."
            )
        share = share / sizes[view.name]
    focal, center = np.array([K[0, 0], K[1, 1]]), K[:2, 2]
    flat = straighten((share * size - center) / focal, np.array(view.removed_distortion))
    return np.asarray(flat * focal + center, np.float64)


def depth_around(depth: NDArray[np.float32], pixel: NDArray[np.float64]) -> float | None:
    """The median of the known depths around a pixel of a depth map [H, W]; None if they are too few."""
    column, row = np.floor(pixel).astype(int)
    rows = slice(max(0, row - _REACH_PX), row + _REACH_PX + 1)
    window = depth[rows, max(0, column - _REACH_PX) : column + _REACH_PX + 1]
    known = window[window > 0]
    return float(np.median(known)) if len(known) >= _LEAST_KNOWN else None


def _said(spot: Spot) -> str:
    assert spot.pixel is not None
    if spot.is_share:
        return f"{spot.photo}:{100 * spot.pixel[0]:g}%,{100 * spot.pixel[1]:g}%"
    return f"{spot.photo}:{spot.pixel[0]:g},{spot.pixel[1]:g}"
