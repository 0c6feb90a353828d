"""Files and folders to photos, with a sentence for each file that is no use."""

import hashlib
import re
import warnings as python_warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from recon.errors import ReconError
from recon.photo import ALPHA_LIMIT, Photo, camera_label, focal_prior_px, open_image, to_rgb
from recon.photo_checks import PhotoLook, look_at, warn_about
from recon.photo_kinds import PHOTO_SUFFIXES, has_photo_suffix, warn_about_passed_over, why_not_a_photo
from recon.progress import Progress, no_progress
from recon.scene import UnplacedPhoto

MASK_FOLDER = "masks"

_MORE_PHOTOS = "Take 3 to 20 photos of the same thing, each from a place 10 to 20 degrees further around it."
# 330 MB when decoded: the largest that phones write by default. What claims more is broken or evil.
_MAX_PIXELS = 110_000_000
# Networks and SIFT find nothing in less.
_MIN_SIDE_PX = 64
_MASK_CHECK_SIDE_PX = 512
_MAX_REASONS = 3


@dataclass(frozen=True)
class PhotoSet:
    """What the user gave us.

    Attributes:
        photos: at least two distinct, readable photos, names unique, in the order given.
        rejected: files that are left out, and why.
        warnings: what is odd about the photos that are used, one sentence each.
    """

    photos: tuple[Photo, ...]
    rejected: tuple[UnplacedPhoto, ...]
    warnings: tuple[str, ...]


class UnusablePhotoError(Exception):
    """Why one file is left out, a sentence without its subject: "is empty"."""


def load_photos(inputs: Sequence[Path], progress: Progress = no_progress) -> PhotoSet:
    """Find, check and describe photos. Each is decoded in full once, so that later stages cannot fail on it.

    Args:
        inputs: files, in the order wanted, and folders, of which every photo directly inside is taken, in natural
            order. A file given twice is taken once. A mask lies in `masks/` beside its photo under the same name, with
            any suffix of a picture.
        progress: called once a photo.

    Raises:
        ReconError: a path does not exist or cannot be read, or fewer than two distinct photos are readable.
    """
    files = _find_files(inputs)
    names = _unique_names(files)
    photos: dict[str, tuple[Photo, PhotoLook]] = {}  # by sha256
    rejected = []
    for done, (path, name) in enumerate(zip(files, names, strict=True)):
        progress(done, len(files), f"Reading {name}")
        try:
            photo, look = _read(path, name)
        except UnusablePhotoError as error:
            rejected.append(UnplacedPhoto(name, f"{name} {error}."))
            continue
        if photo.sha256 in photos:
            twin = photos[photo.sha256][0].name
            rejected.append(UnplacedPhoto(name, f"{name} is an identical copy of {twin}."))
            continue
        photos[photo.sha256] = (photo, look)
    progress(len(files), len(files), f"Read {len(photos)} photos")
    _require_two(len(photos), rejected)
    kept = list(photos.values())
    warnings = [*warn_about_passed_over(path for path in inputs if path.is_dir()), *warn_about(kept)]
    return PhotoSet(tuple(photo for photo, _ in kept), tuple(rejected), tuple(warnings))


@dataclass(frozen=True)
class KnownPhoto:
    """A photo as a project remembers it: what it is called there, where it lies, and its SHA-256."""

    name: str
    path: Path
    sha256: str


def load_more_photos(known: Sequence[KnownPhoto], inputs: Sequence[Path], progress: Progress = no_progress) -> PhotoSet:
    """The photos of a project, then further ones in the order given.

    Args:
        known: keep their names and come first.
        inputs: files, and folders of which every photo is taken that is not known yet.
        progress: called once a photo.

    Raises:
        ReconError: a known photo is gone or has changed; a further one cannot be used or is no further one.
    """
    files = [path for path in _find_files(inputs) if path in inputs or path.resolve() not in {k.path for k in known}]
    if not files:
        raise ReconError("All of these photos are in the scene already.", "Add photos from other places.")
    names = [photo.name for photo in known] + _unique_names(files, taken=[photo.name for photo in known])
    photos: list[tuple[Photo, PhotoLook]] = []
    for path, name in zip([*(photo.path for photo in known), *files], names, strict=True):
        progress(len(photos), len(names), f"Reading {name}")
        is_known = len(photos) < len(known)
        try:
            photo, look = _read(path, name)
        except UnusablePhotoError as error:
            hint = "It belongs to the scene: put it back." if is_known else "Leave it out; the scene is as it was."
            raise ReconError(f"{path if is_known else path.name} {error}.", hint) from error
        if is_known and photo.sha256 != known[len(photos)].sha256:
            raise ReconError(f"{path} is no longer the photo that the scene was made from.", "Put the old one back.")
        twin = next((other for other, _ in photos if other.sha256 == photo.sha256), None)
        if twin is not None:
            raise ReconError(f"{path.name} is in the scene already, as {twin.name}.", "Add photos from other places.")
        photos.append((photo, look))
    progress(len(names), len(names), f"Read {len(names)} photos")
    warnings = [*warn_about_passed_over(path for path in inputs if path.is_dir()), *warn_about(photos)]
    return PhotoSet(tuple(photo for photo, _ in photos), (), tuple(warnings))


def _find_files(inputs: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}  # resolved -> as given, in order
    for path in inputs:
        try:
            if not path.exists():
                raise ReconError(f"{path} does not exist.", "Give photos, or folders with photos inside.")
            files = _photos_inside(path) if path.is_dir() else [path]
        except OSError as error:
            raise ReconError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        raise ReconError("No photos were given.", _MORE_PHOTOS)
    return list(found.values())


def _photos_inside(folder: Path) -> list[Path]:
    entries = list(folder.iterdir())
    photos = [entry for entry in entries if has_photo_suffix(entry) and not entry.is_dir()]
    if not photos:
        folders = [entry for entry in entries if entry.is_dir() and entry.name != MASK_FOLDER]
        nested = sorted(inner for inner in folders if any(map(has_photo_suffix, inner.iterdir())))
        formats = ", ".join(sorted(suffix[1:] for suffix in PHOTO_SUFFIXES))
        hint = f"Did you mean {nested[0]}?" if nested else f"Photos are files of these kinds: {formats}."
        hint = " ".join([*warn_about_passed_over([folder]), hint])
        raise ReconError(f"The folder {folder} holds no photos.", hint)
    return sorted(photos, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts IMG_2 before IMG_10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(1, int(part)) if part.isdecimal() else (0, part) for part in parts]


def _unique_names(files: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """File names that differ before their suffix, so that pictures of every kind can be named after their photo.

    Where two would not, the folder's name goes in front, then a number if need be. None of those that are `taken` is
    given again.
    """
    written = [_written_name(path.name) for path in files]
    counts = Counter(map(_stem, [*written, *taken]))
    used = {stem for stem, count in counts.items() if count == 1} | set(map(_stem, taken))
    names: list[str] = []
    for path, name in zip(files, written, strict=True):
        if counts[_stem(name)] > 1:
            first, last = f"{_written_name(path.absolute().parent.name)}_{Path(name).stem}", Path(name).suffix
            name, number = f"{first}{last}", 2
            while _stem(name) in used:
                name, number = f"{first}_{number}{last}", number + 1
            used.add(_stem(name))
        names.append(name)
    return names


def _written_name(name: str) -> str:
    """A file name that can stand in a line of UTF-8: reports and camera files are made of these."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "_", name)  # surrogates stand for bytes that are no UTF-8


def _stem(name: str) -> str:
    """A file name without its suffix, as file systems compare it that do not tell A from a."""
    return Path(name).stem.casefold()


def _read(path: Path, name: str) -> tuple[Photo, PhotoLook]:
    """Decode a photo in full and describe it."""
    if not path.is_file():  # reading a named pipe would wait for ever
        raise UnusablePhotoError("is not a file")
    if reason := why_not_a_photo(path):
        raise UnusablePhotoError(reason)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnusablePhotoError(f"cannot be read: {error.strerror}") from error
    if not data:
        raise UnusablePhotoError("is an empty file")
    with _decode(path) as image:
        focal = focal_prior_px(image)
        label = camera_label(image)
        ImageOps.exif_transpose(image, in_place=True)
        width, height = image.size
        if min(width, height) < _MIN_SIDE_PX:
            raise UnusablePhotoError(f"is only {width} x {height} pixels")
        look = look_at(to_rgb(image))
        has_alpha = has_transparency(image)
    photo = Photo(
        name=name,
        path=path,
        width=width,
        height=height,
        focal_prior_px=focal,
        camera_label=f"{label}, {max(width, height) / min(width, height):.2f}:1",
        mask_path=find_mask(path),
        has_alpha=has_alpha,
        sha256=hashlib.sha256(data).hexdigest(),
    )
    check_mask(photo)
    return photo, look


def _decode(path: Path) -> Image.Image:
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            image = open_image(path)
        if image.width * image.height > _MAX_PIXELS:
            raise UnusablePhotoError(f"is absurdly large, {image.width} x {image.height} pixels")
        image.load()
    except UnusablePhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusablePhotoError("is absurdly large") from error
    except UnidentifiedImageError as error:
        raise UnusablePhotoError("is not a photo, or of a kind that cannot be read") from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise UnusablePhotoError("is damaged or incomplete") from error
    if image.mode in ("F", "I"):
        raise UnusablePhotoError("has 32-bit pixels, which have no fixed white; save it with 8 or 16 bits")
    return image


def has_transparency(image: Image.Image) -> bool:
    """Its alpha channel leaves something out, so that it is a mask."""
    if not image.has_transparency_data:
        return False
    return bool((np.asarray(image.convert("RGBA").getchannel("A")) <= ALPHA_LIMIT).any())


def find_mask(path: Path) -> Path | None:
    """`masks/a.png` or `masks/a.jpg.png` beside `a.jpg`."""
    folder = path.parent / MASK_FOLDER
    if not folder.is_dir():
        return None
    masks = sorted(mask for mask in folder.iterdir() if has_photo_suffix(mask))
    return next((mask for mask in masks if mask.stem in (path.name, path.stem)), None)


def check_mask(photo: Photo) -> None:
    """Raise ReconError for a mask that cannot belong to its photo: guessing would spoil the scene unseen."""
    if photo.mask_path is not None:
        try:
            with _decode(photo.mask_path) as mask:
                ImageOps.exif_transpose(mask, in_place=True)
        except UnusablePhotoError as error:
            raise ReconError(f"The mask {photo.mask_path} {error}.", "Mend it, or take it away.") from error
        # equal shape to within a pixel of rounding at either size
        if abs(mask.width * photo.height - mask.height * photo.width) > max(*mask.size, photo.width, photo.height):
            raise ReconError(
                f"The mask {photo.mask_path} is {mask.width} x {mask.height} pixels, but {photo.name} is "
                f"{photo.width} x {photo.height}.",
                "A mask must have the proportions of its photo, upright.",
            )
    shown = photo.mask(_MASK_CHECK_SIDE_PX)
    if shown is not None and not shown.any():
        raise UnusablePhotoError("has a mask that leaves nothing of it")


def _require_two(num_photos: int, rejected: Sequence[UnplacedPhoto]) -> None:
    if num_photos >= 2:
        return
    found = "None of the files is a photo that can be used" if num_photos == 0 else "Only one distinct photo was found"
    reasons = " ".join(photo.reason for photo in rejected[:_MAX_REASONS])
    raise ReconError(f"{found}; two are the least.", f"{reasons} {_MORE_PHOTOS}".strip())
