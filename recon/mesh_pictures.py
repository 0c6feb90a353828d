"""Pictures inside mesh files of any origin, decoded within bounds."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# PostScript and the like would run other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF", "GIF")
_LARGEST_PX = 1 << 27  # two pictures of 8192 x 8192
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, KeyError, OverflowError, Image.DecompressionBombError)


def picture_of(data: bytes, name: str) -> NDArray[np.uint8]:
    """sRGB bytes [H, W, 3] of a picture file in memory.

    Raises:
        ValueError: it is damaged, too large or of another format than `FORMATS`.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except _DAMAGED as error:
        raise ValueError(f"{name}: its texture cannot be decoded") from error
    return rgb_of(picture, name)


def rgb_of(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    """sRGB bytes [H, W, 3] of a picture that was opened but not decoded.

    Raises:
        ValueError: it is damaged, too large or of another format than `FORMATS`.
    """
    if picture.format is not None and picture.format not in FORMATS:
        raise ValueError(f"{name}: its texture is a {picture.format} file, which is not read")
    if picture.width * picture.height > _LARGEST_PX:
        raise ValueError(f"{name}: its texture of {picture.width} x {picture.height} px is too large")
    try:
        return np.asarray(picture.convert("RGB"))
    except _DAMAGED as error:
        raise ValueError(f"{name}: its texture cannot be decoded") from error
