"""What is odd about photos that can be used all the same: near-duplicates, blur, few pixels, another exposure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.photo import Photo

# Calibrated on 12 sets of photos. Distinct neighbours of a set correlate up to 0.9977 (a turntable on white); the same
# photo, re-encoded at JPEG quality 30 or moved by two pixels of 1,024, above 0.995, mostly above 0.9985.
_DUPLICATE_CORRELATION = 0.9985
_THUMBNAIL_PX = 32
# The least sharp real photo has 0.51 of its set's median; blurred by a Gaussian of 2.5 px of 1,024 all have below 0.06,
# by 1.5 px below 0.29.
_BLURRED_SHARE = 0.25
_SHARPNESS_SIDE_PX = 640
_SMALL_SIDE_PX = 480
# Of 12 sets, real photos lie within .9 stops of the median of their set, renders of a lego model within 1.46.
_ODD_EXPOSURE_STOPS = 1.5
_BLACK = 0.05  # backgrounds that were cut out say nothing about the exposure
_GAMMA = 2.2

Oddity = Literal["near-duplicate", "blurred", "small", "exposure"]


@dataclass(frozen=True)
class PhotoLook:
    """What the checks need to remember of a photo.

    Attributes:
        thumbnail: [32, 32] float32 gray, zero mean, unit norm; zero for a photo of one colour.
        sharpness: variance of the Laplacian at 640 px.
        stops: binary logarithm of the mean light of all that is not black; of a black photo, of what counts as black.
    """

    thumbnail: NDArray[np.float32]
    sharpness: float
    stops: float = 0.0


@dataclass(frozen=True)
class Finding:
    """Something odd.

    Attributes:
        kind: what.
        names: of the photos that it is about.
        sentence: for people.
    """

    kind: Oddity
    names: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class LookedAt:
    """A photo by its name, with its size in px, upright, and its look."""

    name: str
    width: int
    height: int
    look: PhotoLook


def look_at(rgb: NDArray[np.uint8]) -> PhotoLook:
    """Reduce upright pixels [H, W, 3] to what the checks need."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(gray, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    lit = thumbnail[thumbnail > 255 * _BLACK] / 255
    stops = float(np.log2((lit**_GAMMA).mean() if lit.size else _BLACK**_GAMMA))
    thumbnail -= thumbnail.mean()
    thumbnail /= max(float(np.linalg.norm(thumbnail)), 1e-6)
    scale = _SHARPNESS_SIDE_PX / max(gray.shape)
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return PhotoLook(thumbnail, float(cv2.Laplacian(gray, cv2.CV_32F).var()), stops)


def warn_about(photos: Sequence[tuple[Photo, PhotoLook]]) -> list[str]:
    """One sentence for each finding; empty if all is well. `photos` may be empty."""
    seen = [LookedAt(photo.name, photo.width, photo.height, look) for photo, look in photos]
    return [finding.sentence for finding in find_oddities(seen)]


def find_oddities(photos: Sequence[LookedAt]) -> list[Finding]:
    """What is odd about photos, compared with each other; empty if all is well. `photos` may be empty."""
    found = []
    for a, b in combinations(photos, 2):
        if float((a.look.thumbnail * b.look.thumbnail).sum()) > _DUPLICATE_CORRELATION:
            told = f"{a.name} and {b.name} are nearly identical; photos from different places help more."
            found.append(Finding("near-duplicate", (a.name, b.name), told))
    sharpness = float(np.median([photo.look.sharpness for photo in photos])) if photos else 0.0
    stops = float(np.median([photo.look.stops for photo in photos])) if photos else 0.0
    for photo in photos:
        if photo.look.sharpness < _BLURRED_SHARE * sharpness:
            told = f"{photo.name} looks blurred compared with the others."
            found.append(Finding("blurred", (photo.name,), told))
        if max(photo.width, photo.height) < _SMALL_SIDE_PX:
            told = f"{photo.name} is only {photo.width} x {photo.height} pixels; larger photos give more."
            found.append(Finding("small", (photo.name,), told))
        if abs(photo.look.stops - stops) > _ODD_EXPOSURE_STOPS:
            told = f"{photo.name} is much {'brighter' if photo.look.stops > stops else 'darker'} than the others."
            found.append(Finding("exposure", (photo.name,), told))
    return found
