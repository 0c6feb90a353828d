"""What is odd about photos that can be used all the same: near-duplicates, blur, few pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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


@dataclass(frozen=True)
class PhotoLook:
    """What the checks need to remember of a photo.

    Attributes:
        thumbnail: [32, 32] float32 gray, zero mean, unit norm; zero for a photo of one colour.
        sharpness: variance of the Laplacian at 640 px.
    """

    thumbnail: NDArray[np.float32]
    sharpness: float


def look_at(rgb: NDArray[np.uint8]) -> PhotoLook:
    """Reduce upright pixels [H, W, 3] to what the checks need."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(gray, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumbnail -= thumbnail.mean()
    thumbnail /= max(float(np.linalg.norm(thumbnail)), 1e-6)
    scale = _SHARPNESS_SIDE_PX / max(gray.shape)
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return PhotoLook(thumbnail, float(cv2.Laplacian(gray, cv2.CV_32F).var()))


def warn_about(photos: Sequence[tuple[Photo, PhotoLook]]) -> list[str]:
    """One sentence for each finding; empty if all is well. `photos` may be empty."""
    warnings = []
    for (photo_a, look_a), (photo_b, look_b) in combinations(photos, 2):
        if float((look_a.thumbnail * look_b.thumbnail).sum()) > _DUPLICATE_CORRELATION:
            warnings.append(
                f"{photo_a.name} and {photo_b.name} are nearly identical; photos from different places help more."
            )
    median = float(np.median([look.sharpness for _, look in photos])) if photos else 0.0
    for photo, look in photos:
        if look.sharpness < _BLURRED_SHARE * median:
            warnings.append(f"{photo.name} looks blurred compared with the others.")
        if max(photo.width, photo.height) < _SMALL_SIDE_PX:
            warnings.append(f"{photo.name} is only {photo.width} x {photo.height} pixels; larger photos give more.")
    return warnings
