"""Photos as the user gave them: upright pixels, masks and what EXIF tells of the lens."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Photo:
    """One readable photo, upright.

    Attributes:
        name: file name, unique among the photos of a project.
        path: where it lies.
        width, height: full size in px, after EXIF orientation.
        focal_prior_px: focal length at full size from EXIF, None if unknown.
        camera_label: photos with the same label were taken with the same lens and setting and share intrinsics.
        mask_path: a file in `masks/` beside it that shows the object (non-zero = object), None if there is none.
        has_alpha: the photo's own alpha channel is its mask.
        sha256: of the file.
    """

    name: str
    path: Path
    width: int
    height: int
    focal_prior_px: float | None
    camera_label: str
    mask_path: Path | None
    has_alpha: bool
    sha256: str

    def pixels(self, max_side: int | None = None) -> NDArray[np.uint8]:
        """Upright sRGB pixels [H, W, 3], area-averaged so that the longer side is at most `max_side`."""
        raise NotImplementedError

    def mask(self, max_side: int | None = None) -> NDArray[np.bool_] | None:
        """The object mask [H, W] at the size of `pixels(max_side)`, None if the photo has none."""
        raise NotImplementedError
