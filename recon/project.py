"""The project folder on disk: where things lie, and what is stale."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.errors import ReconError
from recon.photo import Photo
from recon.whole_files import write_whole

PROJECT_FILE = "project.json"
_WHOLE_MARK = "whole"
KNOWN_FILES = (PROJECT_FILE, "report.json", "report.html")
_RESULTS = {"points": "points.ply", "splats": "splats.ply", "mesh": "mesh.glb"}


@dataclass(frozen=True)
class Project:
    """Paths inside OUT; see the table in the README for what each holds."""

    folder: Path

    @property
    def work(self) -> Path:
        """One artefact per stage, for resuming; deleting it loses nothing but time."""
        return self.folder / "work"

    @property
    def adding(self) -> "Project":
        """Where the scene with further photos is made, beside the finished one, which stays whole until it is."""
        return Project(self.work / "adding")

    @property
    def aligning(self) -> "Project":
        """Where the scene is written in another frame, beside the one that stays whole until all of it is."""
        return Project(self.work / "aligning")

    @property
    def cleaning(self) -> "Project":
        """Where the scene is written without what the user took out, beside the one that stays whole until then."""
        return Project(self.work / "cleaning")

    @property
    def previews(self) -> Path:
        """Small pictures for the report."""
        return self.folder / "previews"

    def artefact(self, stage: str) -> Path:
        """Where a stage keeps its result."""
        return self.work / f"{stage}.npz"

    def record(self, stage: str) -> dict[str, Any]:
        """What is remembered about the stored artefact: `fingerprint`, that of the stage before (`after`), `report`."""
        path = self.work / f"{stage}.json"
        try:
            return json.loads(path.read_text()) if self.artefact(stage).exists() else {}
        except (OSError, ValueError):
            return {}

    def set_record(self, stage: str, record: dict[str, Any]) -> None:
        """Remember something about the stored artefact."""
        write_whole(self.work / f"{stage}.json", json.dumps(record, indent=1))

    def drop_results(self, stages: Sequence[str]) -> None:
        """Delete what these stages wrote for the user; what they keep for resuming stays."""
        for stage in set(stages) & set(_RESULTS):
            (self.folder / _RESULTS[stage]).unlink(missing_ok=True)


def open_project(folder: Path) -> Project:
    """Make or re-open a project folder.

    Raises:
        ReconError: the folder holds something else, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ReconError(f"The output {folder} is a file, not a folder.", "Name a new folder with -o.")
    try:
        entries = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
        if entries and not entries & set(KNOWN_FILES):
            raise ReconError(
                f"The output folder {folder} holds something else.",
                "Name a new or empty folder with -o, so that none of your files is overwritten.",
            )
        finish_adoption(Project(folder))
        folder.mkdir(parents=True, exist_ok=True)
        if PROJECT_FILE not in entries:  # marks the folder as ours before anything else is in it
            write_whole(folder / PROJECT_FILE, "{}\n")
        else:
            os.utime(folder / PROJECT_FILE)
        (folder / "work").mkdir(exist_ok=True)
        (folder / "previews").mkdir(exist_ok=True)
    except OSError as error:
        raise ReconError(
            f"The output folder {folder} cannot be written: {error.strerror or error}.", "Name another one with -o."
        ) from error
    return Project(folder)


def adopt(project: Project, made: Project) -> None:
    """Put everything that was made in `project.adding`, `aligning` or `cleaning` in place of what the project holds.

    The mark that it is whole is set first: killed in between, `open_project` goes on where this stopped.
    """
    write_whole(made.folder / _WHOLE_MARK, "")
    finish_adoption(project)


def finish_adoption(project: Project) -> None:
    """Go on with `adopt`, if it was begun."""
    for made in (project.aligning.folder, project.cleaning.folder, project.adding.folder):
        if (made / _WHOLE_MARK).exists():
            _move_into(project, made)


def _move_into(project: Project, made: Path) -> None:
    for file in sorted(path for path in made.rglob("*") if path.is_file() and path != made / _WHOLE_MARK):
        target = project.folder / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(made)


def file_identity(path: Path | None) -> str | None:
    """Digest of a file's content, or of all files of a folder; None for None."""
    if path is None:
        return None
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def identities(photos: Sequence[Photo]) -> list[list[str | None]]:
    """What decides whether photos are the same as last time: names and contents, masks included, not where they lie."""
    return [[photo.name, photo.sha256, file_identity(photo.mask_path)] for photo in photos]


def fingerprint(*parts: Any) -> str:
    """A digest of JSON-like values: equal parts give equal digests."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
