"""Photos as the user gave them: upright pixels, masks and what EXIF tells of the lens."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

# Diagonal of a 36 x 24 mm frame: CIPA defines the 35-mm equivalent by the diagonal, so it holds for any aspect ratio.
_FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
# Outside of these a focal length, as a share of the longer side, is a wrong tag: 146 degrees wide to 3 degrees narrow.
_PLAUSIBLE_FOCAL = (0.15, 20.0)
ALPHA_LIMIT = 127
"""Alpha above this shows the object."""
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF FocalPlaneResolutionUnit

# Tags of EXIF 2.32 and of the IFD that holds most of them.
_MAKE, _MODEL, _EXIF_IFD = 0x010F, 0x0110, 0x8769
_FOCAL_MM, _FOCAL_35MM = 0x920A, 0xA405
_PLANE_X, _PLANE_UNIT, _EXIF_WIDTH, _EXIF_HEIGHT = 0xA20E, 0xA210, 0xA002, 0xA003


@dataclass(frozen=True)
class Photo:
    """One readable photo, upright.

    Attributes:
        name: file name, unique among the photos of a project.
        path: where it lies.
        width, height: full size in px, after EXIF orientation.
        focal_prior_px: focal length at full size from EXIF, None if unknown.
        camera_label: photos with the same label were taken with the same lens and setting and share intrinsics,
            measured in longer sides: a resized copy, or the camera held upright, changes nothing.
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
        width, height = self._size(max_side)
        with open_image(self.path) as image:
            profile = image.info.get("icc_profile")
            _decode_smaller(image, max(self.width / width, self.height / height))
            ImageOps.exif_transpose(image, in_place=True)
            rgb = to_rgb(image)
        if rgb.shape[:2] != (height, width):
            rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return _to_srgb(rgb, profile)

    def mask(self, max_side: int | None = None) -> NDArray[np.bool_] | None:
        """The object mask [H, W] at the size of `pixels(max_side)`, None if the photo has none."""
        width, height = self._size(max_side)
        if self.mask_path is not None:
            with open_image(self.mask_path) as image:
                ImageOps.exif_transpose(image, in_place=True)
                shown = to_rgb(image).any(axis=2)
        elif self.has_alpha:
            with open_image(self.path) as image:
                ImageOps.exif_transpose(image, in_place=True)
                shown = np.asarray(image.convert("RGBA").getchannel("A")) > ALPHA_LIMIT
        else:
            return None
        if shown.shape == (height, width):
            return shown
        opaque = np.where(shown, np.uint8(255), np.uint8(0))
        coverage = cv2.resize(opaque, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(coverage) >= 128

    def _size(self, max_side: int | None) -> tuple[int, int]:
        scale = 1.0 if max_side is None else min(1.0, max_side / max(self.width, self.height))
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


def open_image(path: Path) -> Image.Image:
    """Open a photo or mask of any format we read; pixels are not decoded yet and not upright.

    Raises:
        OSError: the file cannot be read or is no picture.
        PIL.Image.DecompressionBombError: it claims to be absurdly large.
    """
    import pillow_heif

    pillow_heif.register_heif_opener()  # Pillow keeps one entry however often we ask
    return Image.open(path)


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of a decoded picture of any mode; alpha is dropped, not blended."""
    if image.mode.startswith("I;16"):  # 16-bit gray, which Pillow would clip at 255
        gray = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("P", "PA", "LA", "La", "RGBa"):  # a palette may hold transparent colours
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def focal_prior_px(image: Image.Image) -> float | None:
    """Focal length in px from EXIF.

    The 35-mm equivalent by the diagonal rule, else the focal length with the resolution of the focal plane.

    Args:
        image: at full size; upright or not gives the same.

    Returns:
        None where EXIF is silent or says the impossible.
    """
    exif = image.getexif().get_ifd(_EXIF_IFD)
    longer = max(image.size)
    focal = _number(exif, _FOCAL_35MM) / _FULL_FRAME_DIAGONAL_MM * math.hypot(*image.size)
    if not _is_plausible(focal, longer):
        mm_per_unit = _MM_PER_UNIT.get(int(_number(exif, _PLANE_UNIT)) or 2, 0.0)  # EXIF: inches unless said
        per_mm = _number(exif, _PLANE_X) / mm_per_unit if mm_per_unit else 0.0
        # The resolution counts the pixels that the camera wrote; the file may have been resized since.
        resized = longer / (max(_number(exif, _EXIF_WIDTH), _number(exif, _EXIF_HEIGHT)) or longer)
        focal = _number(exif, _FOCAL_MM) * per_mm * resized
    return focal if _is_plausible(focal, longer) else None


def camera_label(image: Image.Image) -> str:
    """What photos of one lens and setting have in common, as far as EXIF knows: make, model and focal length."""
    exif = image.getexif()
    make, model = (str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL))
    brand = make.lower().split(" ")[0]  # NIKON CORPORATION makes the NIKON D3200
    name = model if model.lower().startswith(brand) else f"{make} {model}"
    ifd = exif.get_ifd(_EXIF_IFD)
    focal = ", ".join(
        f"{_number(ifd, tag):.4g} mm{note}"
        for tag, note in ((_FOCAL_MM, ""), (_FOCAL_35MM, " equivalent"))
        if _number(ifd, tag) > 0
    )
    return ", ".join(part for part in (name.strip() or "unknown camera", focal) if part)


def _is_plausible(focal: float, longer_side: int) -> bool:
    low, high = _PLAUSIBLE_FOCAL
    return low * longer_side <= focal <= high * longer_side


def _number(ifd: dict[int, object], tag: int) -> float:
    """A tag as a finite number, 0 if it is missing or damaged: rationals such as 0/0 occur in the wild."""
    try:
        value = float(ifd.get(tag, 0))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return value if math.isfinite(value) else 0.0


def _decode_smaller(image: Image.Image, shrink: float) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 when that is still half as large again as needed.

    Only where it divides the size, so that the smaller picture covers the same rectangle.
    """
    for factor in (8, 4, 2):
        if shrink >= 1.5 * factor and image.width % factor == 0 and image.height % factor == 0:
            image.draft(None, (image.width // factor, image.height // factor))
            return


def _to_srgb(rgb: NDArray[np.uint8], profile: bytes | None) -> NDArray[np.uint8]:
    """Convert from the colour space of an embedded ICC profile: phones write Display P3."""
    if not profile:
        return rgb
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # A profile of CMYK or gray no longer applies after the conversion to RGB.
        if source.profile.xcolor_space.strip() != "RGB" or "sRGB" in ImageCms.getProfileDescription(source):
            return rgb
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(Image.fromarray(rgb), source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a damaged profile: viewers, too, then take the pixels as sRGB
        return rgb
    return np.asarray(converted)
