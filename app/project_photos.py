"""The photos of a project: which are used, and what was seen in them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from app.photo_inspection import Badge, InspectedPhoto, find_badges


@dataclass(frozen=True)
class ProjectPhoto:
    """A photo of the project.

    Attributes:
        path: where it lies.
        is_removed: it is left out, but can be restored.
        inspected: None until it was looked at.
        badges: what is odd about it, compared with the others that are used.
    """

    path: Path
    is_removed: bool = False
    inspected: InspectedPhoto | None = None
    badges: tuple[Badge, ...] = ()

    @property
    def is_used(self) -> bool:
        """It goes into the next run."""
        return not self.is_removed and (self.inspected is None or self.inspected.problem is None)


class ProjectPhotos:
    """Photos in their order, each path once; badges follow every change."""

    def __init__(self) -> None:
        self._photos: dict[Path, ProjectPhoto] = {}

    @property
    def all(self) -> tuple[ProjectPhoto, ...]:
        """Those left out too."""
        return tuple(self._photos.values())

    @property
    def used(self) -> tuple[ProjectPhoto, ...]:
        """Those that go into the next run."""
        return tuple(photo for photo in self._photos.values() if photo.is_used)

    def add(self, paths: Iterable[Path], *, removed: Iterable[Path] = ()) -> list[Path]:
        """Add photos at the end.

        Args:
            paths: those that are there already stay where they are.
            removed: those of them that are left out; the others are taken in again.

        Returns:
            Those that are new.
        """
        out = set(removed)
        new = [path for path in paths if path not in self._photos]
        for path in paths:
            known = self._photos.get(path, ProjectPhoto(path))
            self._photos[path] = replace(known, is_removed=path in out)
        self._find_badges()
        return new

    def set_removed(self, paths: Iterable[Path], is_removed: bool) -> None:
        """Leave photos out, or take them in again."""
        for path in paths:
            if path in self._photos:
                self._photos[path] = replace(self._photos[path], is_removed=is_removed)
        self._find_badges()

    def see(self, inspected: InspectedPhoto) -> bool:
        """Keep what was seen in a photo; False if it is not one of these."""
        photo = self._photos.get(inspected.path)
        if photo is None:
            return False
        self._photos[inspected.path] = replace(photo, inspected=inspected)
        self._find_badges()
        return True

    def _find_badges(self) -> None:
        seen = [p.inspected for p in self._photos.values() if p.inspected is not None and not p.is_removed]
        badges = find_badges(seen)
        for path, photo in self._photos.items():
            self._photos[path] = replace(photo, badges=badges.get(path, ()))
