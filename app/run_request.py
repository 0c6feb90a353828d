"""What the window asks the command line to do, as its arguments."""

from dataclasses import dataclass
from pathlib import Path

from recon.progress import StageName


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
