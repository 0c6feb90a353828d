"""What the window asks the command line to do, as its arguments."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recon.progress import StageName


class Request(Protocol):
    """Something that the command line can do with `--progress jsonl`."""

    @property
    def what(self) -> str:
        """The subject of a sentence on how it went."""

    @property
    def preview_file(self) -> Path | None:
        """A file that shows how far it is; None if there is none."""

    def arguments(self) -> list[str]:
        """What follows `handful`."""


@dataclass(frozen=True)
class RunRequest:
    """A reconstruction to run.

    Attributes:
        photos: that are used.
        out: project folder.
        preset: draft, standard or best.
        matcher: None: the usual one.
        until: the last stage.
        holdout: names of photos kept aside for measuring.
        extra: further flags of the command line.
    """

    photos: tuple[Path, ...]
    out: Path
    preset: str
    matcher: str | None = None
    until: StageName = "mesh"
    holdout: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """The subject of a sentence on how it went."""
        return "The reconstruction"

    @property
    def preview_file(self) -> Path:
        """Shows the splats while they are fitted."""
        return self.out / "work" / "preview.ply"

    def arguments(self) -> list[str]:
        """What follows `handful`."""
        options = ["-o", str(self.out), "--preset", self.preset, "--until", self.until, "--progress", "jsonl"]
        options += ["--preview-file", str(self.preview_file)]
        if self.matcher is not None:
            options += ["--matcher", self.matcher]
        if self.holdout:
            options += ["--holdout", *self.holdout]
        return ["reconstruct", *map(str, self.photos), *options, *self.extra]


@dataclass(frozen=True)
class MeshRequest:
    """The mesh of a finished project, to be made anew from the splats that cleaning left."""

    out: Path
    what: str = "The new mesh"
    preview_file: None = None

    def arguments(self) -> list[str]:
        """What follows `handful`."""
        return ["clean", str(self.out), "--mesh", "--progress", "jsonl"]


@dataclass(frozen=True)
class FilmRequest:
    """A film around what the photos of a finished project show, as an MP4; over another one only if that is agreed."""

    project: Path
    destination: Path
    may_replace: bool = False
    what: str = "The film"
    preview_file: None = None

    def arguments(self) -> list[str]:
        """What follows `handful`."""
        over = ["--overwrite"] if self.may_replace else []
        return ["render", str(self.project), "--turntable", str(self.destination), "--progress", "jsonl", *over]
