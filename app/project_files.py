"""What the window reads from a project folder, and what it keeps beside it until a build has written it there."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from recon.errors import ReconError
from recon.project import PROJECT_FILE
from recon.whole_files import write_whole

UNSAVED_SUFFIX = ".unsaved.json"


@dataclass(frozen=True)
class Asked:
    """What the user asked for.

    Attributes:
        photos: in their order, as absolute paths; those left out too.
        removed: those of them that are left out.
        preset: draft, standard or best.
        matcher: None: the usual one.
        has_holdout: one photo is kept aside for measuring.
    """

    photos: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    preset: str = "standard"
    matcher: str | None = None
    has_holdout: bool = False


def read_asked(folder: Path) -> Asked:
    """What a project folder was made from.

    Raises:
        ReconError: it is no project folder, or its file is damaged.
    """
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise ReconError(f"{folder.name} is no project folder.", f"A project folder holds a file {PROJECT_FILE}.")
    try:
        stored = json.loads(path.read_text("utf-8"))
        if not stored:  # a project that was begun and never got so far
            return Asked()
        matcher = stored["config"]["matching"]["matcher"]
        return Asked(
            photos=tuple(str(photo["path"]) for photo in stored["photos"]),
            preset=str(stored["preset"]),
            matcher=None if matcher == "fast" else str(matcher),
            has_holdout=bool(stored["holdout"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReconError(f"{path} is damaged: {error!r}.", "Drop the photos again and build.") from error


def unsaved_file(folder: Path) -> Path:
    """Where changes to a project are kept until a build: beside the folder, never in it."""
    return folder.with_name(folder.name + UNSAVED_SUFFIX)


def write_unsaved(folder: Path, asked: Asked) -> None:
    """Keep changes beside the project folder.

    Raises:
        OSError: it cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_whole(unsaved_file(folder), json.dumps(asdict(asked), indent=1) + "\n")


def read_unsaved(folder: Path) -> Asked | None:
    """The changes kept beside a project folder; None without any, or if they are damaged."""
    try:
        stored = json.loads(unsaved_file(folder).read_text("utf-8"))
        stored |= {name: tuple(stored[name]) for name in ("photos", "removed")}
        return Asked(**stored)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def discard_unsaved(folder: Path) -> None:
    """Forget the changes kept beside a project folder."""
    unsaved_file(folder).unlink(missing_ok=True)


def is_project(folder: Path) -> bool:
    """The folder was made by this program."""
    return (folder / PROJECT_FILE).is_file()


def propose_folder(photos_folder: Path, home: Path, *, is_shipped: bool) -> Path:
    """A project folder that does not exist yet: beside the photos, for shipped ones in `home`."""
    parent, name = (home, photos_folder.name) if is_shipped else (photos_folder.parent, f"{photos_folder.name}-handful")
    number = 1
    folder = parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{re.sub(r'-[0-9]+$', '', name)}-{number}"
    return folder


def photo_paths(folder: Path) -> dict[str, Path]:
    """Where the photos of a project lie, by the names that its report uses; empty without a project file."""
    try:
        stored = json.loads((folder / PROJECT_FILE).read_text("utf-8"))
        return {str(photo["name"]): Path(photo["path"]) for photo in stored.get("photos", [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
