"""Photos as the window lists them: found in folders, looked at in a thread, and what is odd about them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.errors import ReconError
from recon.photo import Photo, camera_label, open_image, to_rgb
from recon.photo_checks import LookedAt, Oddity, PhotoLook, find_oddities, look_at
from recon.photo_kinds import has_photo_suffix, warn_about_passed_over, why_not_a_photo
from recon.photo_loading import UnusablePhotoError, check_mask, find_mask, has_transparency

THUMBNAIL_SIDE_PX = 384
UNKNOWN_CAMERA = "unknown camera"  # what recon.photo.camera_label says without EXIF
BadgeKind = Oddity | Literal["camera", "unusable", "mask"]


@dataclass(frozen=True)
class Badge:
    """A word on a thumbnail and the sentence behind it.

    Attributes:
        kind: what it is about.
        is_problem: the user should look; otherwise it is only said.
    """

    kind: BadgeKind
    label: str
    sentence: str
    is_problem: bool = True


@dataclass(frozen=True)
class InspectedPhoto:
    """What was seen in one file.

    Attributes:
        path: of the file.
        thumbnail: [H, W, 3] uint8, upright, the longer side at most 384 px; None if it cannot be read.
        width, height: full size, px; 0 if it cannot be read.
        look: what the checks need; None if it cannot be read.
        camera: make, model and focal length, as far as EXIF knows.
        mask: what of the thumbnail is built [H, W]; None: all of it.
        mask_problem: why its mask would stop the run, a sentence; None if it would not.
        problem: why it cannot be used, a sentence; None if it can.
    """

    path: Path
    thumbnail: NDArray[np.uint8] | None = None
    width: int = 0
    height: int = 0
    look: PhotoLook | None = None
    camera: str = ""
    mask: NDArray[np.bool_] | None = None
    mask_problem: str | None = None
    problem: str | None = None


LABELS: dict[Oddity, str] = {
    "near-duplicate": "duplicate",
    "blurred": "blurred",
    "small": "small",
    "exposure": "exposure",
}


def photos_in(paths: Iterable[Path]) -> list[Path]:
    """Photo files among the paths and directly inside the folders among them, each once, absolute.

    Folders are sorted; what is no photo by its name is left out.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if has_photo_suffix(file) and file.is_file():
                found[file.absolute()] = None
    return list(found)


def passed_over(paths: Sequence[Path]) -> list[str]:
    """A sentence for each film or camera's raw file among the paths, and one for those in each folder among them.

    What lies beside a photo of the same name is its twin, as phones and cameras write them, and is not spoken of.

    Raises:
        OSError: a folder cannot be read.
    """
    stems = {path.stem for path in paths if has_photo_suffix(path)}
    told = [(path, why_not_a_photo(path)) for path in paths if path.stem not in stems and not path.is_dir()]
    sentences = [f"{path.name} {why}." for path, why in told if why is not None]
    return [*sentences, *warn_about_passed_over(path for path in paths if path.is_dir())]


def inspect_photo(path: Path) -> InspectedPhoto:
    """Decode a photo and describe it; what cannot be read is told in `problem`."""
    from PIL import ImageOps

    try:
        with open_image(path) as image:
            camera = camera_label(image)
            ImageOps.exif_transpose(image, in_place=True)
            rgb, has_alpha = to_rgb(image), has_transparency(image)
            image.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
            thumbnail = to_rgb(image)
    except Exception as error:  # noqa: BLE001  # decoders of damaged files raise nearly anything
        return InspectedPhoto(path, problem=f"{path.name} cannot be read as a photo: {error}.")
    height, width = rgb.shape[:2]
    seen = InspectedPhoto(path, thumbnail, width, height, look_at(rgb), camera)
    photo = Photo(path.name, path, width, height, None, camera, find_mask(path), has_alpha, "")
    try:
        check_mask(photo)
        return replace(seen, mask=_small_mask(photo, thumbnail))
    except ReconError as error:
        return replace(seen, mask_problem=f"{error.message} {error.hint}")
    except UnusablePhotoError as error:
        return InspectedPhoto(path, problem=f"{path.name} {error}.")


def _small_mask(photo: Photo, thumbnail: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    mask = photo.mask(THUMBNAIL_SIDE_PX)
    if mask is None:
        return None
    size = (thumbnail.shape[1], thumbnail.shape[0])  # sides may be rounded otherwise
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)


def find_badges(photos: Sequence[InspectedPhoto]) -> dict[Path, tuple[Badge, ...]]:
    """Badges of each photo, compared with the others; photos without any are absent."""
    badges: dict[Path, list[Badge]] = {}
    by_name: dict[str, Path] = {}
    seen = []
    for photo in photos:
        if photo.problem is not None:
            badges.setdefault(photo.path, []).append(Badge("unusable", "unusable", photo.problem))
        elif photo.look is not None:
            key = photo.path.name if photo.path.name not in by_name else str(photo.path)
            by_name[key] = photo.path
            seen.append(LookedAt(key, photo.width, photo.height, photo.look))
        if photo.mask_problem is not None:
            badges.setdefault(photo.path, []).append(Badge("mask", "mask", photo.mask_problem))
        elif photo.mask is not None:
            told = f"It has a mask: {photo.mask.mean():.0%} of it is built."
            badges.setdefault(photo.path, []).append(Badge("mask", "mask", told, is_problem=False))
    for finding in find_oddities(seen):
        # of two near-duplicates the second one can go
        badge = Badge(finding.kind, LABELS[finding.kind], finding.sentence)
        badges.setdefault(by_name[finding.names[-1]], []).append(badge)
    for path, badge in _other_cameras(photos):
        badges.setdefault(path, []).append(badge)
    return {path: tuple(found) for path, found in badges.items()}


def _other_cameras(photos: Sequence[InspectedPhoto]) -> list[tuple[Path, Badge]]:
    """Photos that were not taken with the camera and zoom of most."""
    cameras = Counter(photo.camera for photo in photos if photo.look is not None)
    if len(cameras) < 2:
        return []
    usual = cameras.most_common(1)[0][0]
    return [
        (photo.path, Badge("camera", "other camera", _tell_camera(photo, usual), is_problem=False))
        for photo in photos
        if photo.look is not None and photo.camera != usual
    ]


def _tell_camera(photo: InspectedPhoto, usual: str) -> str:
    if photo.camera.startswith(UNKNOWN_CAMERA):
        return f"{photo.path.name} does not tell its camera; most others were taken with {usual}."
    return f"{photo.path.name} was taken with {photo.camera}, most others with {usual}; one camera and zoom is safer."
