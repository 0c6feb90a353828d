"""Which files are taken for photos, by their names, and what to say about those that are not."""

from collections.abc import Iterable
from pathlib import Path

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".avif", ".bmp"}
)

_VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp"})
_RAW_SUFFIXES = frozenset(
    {".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".raw", ".3fr", ".iiq"}
)
_MAX_NAMES = 3


def has_photo_suffix(path: Path) -> bool:
    """The name is that of a photo; `._a.jpg`, which macOS leaves behind, is none."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def why_not_a_photo(path: Path) -> str | None:
    """What is wrong with a film or a camera's raw file, a sentence without its subject; None for all other files."""
    suffix = path.suffix.lower()
    if suffix in _VIDEO_SUFFIXES:
        return "is a film; take pictures out of it, with ffmpeg -i FILM -vf fps=2 photo_%03d.jpg for example"
    if suffix in _RAW_SUFFIXES:
        return "is a camera's raw file; save it as JPEG or TIFF"
    return None


def warn_about_passed_over(folders: Iterable[Path]) -> list[str]:
    """A sentence for each folder with films or raw files that are not a photo's twin, as those of phones are.

    Raises:
        OSError: a folder cannot be read.
    """
    warnings = []
    for folder in folders:
        entries = sorted(folder.iterdir())
        stems = {entry.stem for entry in entries if has_photo_suffix(entry)}
        others = [entry for entry in entries if why_not_a_photo(entry) and entry.stem not in stems]
        if others:
            named = ", ".join(entry.name for entry in others[:_MAX_NAMES])
            more = f" and {len(others) - _MAX_NAMES} more" if len(others) > _MAX_NAMES else ""
            warnings.append(f"Not used: {named}{more}. The first one {why_not_a_photo(others[0])}.")
    return warnings
