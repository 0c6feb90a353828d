"""Files of Gaussians: one module for each format, chosen by the name of the file.

| suffix | up | what is lost |
|---|---|---|
| `.ply` | -y, unless a comment says +y | nothing |
| `.compressed.ply` | -y | 11 bits of position and scale within chunks of 256, 8 bits of colour and harmonics |
| `.splat` | -y | all but the constant colour; 8 bits of colour, opacity and rotation |
| `.spz` | +y | 24 bits of position, 16 log-scales to a unit, 9 bits of rotation, 8 bits of colour and harmonics |
| `.sog` | -y | 16 bits of position, codebooks of 256, 8 bits of rotation, a palette of at most 65,536 harmonics |
| `.glb` | +y | nothing but the last bit of scale and opacity |

The functions of the modules carry numbers as they are; `read_splats` and `write_splats` turn them between our world,
+Y up, and the one that other programs expect in such a file (`frames.py`).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from splatting.formats.frames import Up, between
from splatting.gaussians import Gaussians

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SplatFormat:
    """A format and where it is implemented; its module is imported when it is needed.

    Attributes:
        label: for people.
        reader: module and function, `read(path) -> Gaussians`.
        writer: module and function, `write(gaussians, path)`.
        up: which way is up in such files, where they do not say.
        reports: whether the writer takes `progress`.
    """

    label: str
    reader: tuple[str, str]
    writer: tuple[str, str]
    up: Up
    reports: bool = False

    def read(self, path: Path) -> Gaussians:
        """Read a file, numbers as they are."""
        return _function(self.reader)(path)

    def write(self, gaussians: Gaussians, path: Path, progress: Progress | None = None) -> None:
        """Write a file, numbers as they are."""
        _function(self.writer)(gaussians, path, **({"progress": progress} if self.reports else {}))


FORMATS: dict[str, SplatFormat] = {
    ".compressed.ply": SplatFormat(
        "compressed PLY",
        ("compressed_ply", "read_compressed_ply"),
        ("compressed_ply", "write_compressed_ply"),
        "-y",
    ),
    ".ply": SplatFormat("3DGS PLY", ("ply", "read_ply"), ("ply", "write_ply"), "-y"),
    ".splat": SplatFormat(".splat", ("dot_splat", "read_splat"), ("dot_splat", "write_splat"), "-y"),
    ".spz": SplatFormat("SPZ", ("spz", "read_spz"), ("spz", "write_spz"), "+y"),
    ".sog": SplatFormat("SOG", ("sog_reader", "read_sog"), ("sog", "write_sog"), "-y", reports=True),
    ".glb": SplatFormat("glTF", ("gltf", "read_splat_glb"), ("gltf", "write_splat_glb"), "+y"),
}


def format_of(path: Path) -> SplatFormat:
    """The format that the name of a file says.

    Raises:
        ValueError: none does.
    """
    name = path.name.lower()
    for suffix, found in FORMATS.items():
        if name.endswith(suffix):
            return found
    raise ValueError(f"{path.name} is not named as a file of Gaussians is: {', '.join(FORMATS)}")


def read_splats(path: Path, *, up: Up | None = None) -> Gaussians:
    """Read Gaussians in our world, +Y up, from a file of any format.

    Args:
        path: its name says the format; a PLY is compressed if its header says so.
        up: which way is up in the file; None: what the file says, or else what is the custom for its format.

    Raises:
        ValueError: the format is unknown, or the file damaged.
        OSError: it cannot be read.
    """
    from splatting.formats.compressed_ply import is_compressed
    from splatting.formats.ply import declared_up

    found = format_of(path)
    if found is FORMATS[".ply"]:
        up = up or declared_up(path)
        found = FORMATS[".compressed.ply"] if is_compressed(path) else found
    return between(found.read(path), up or found.up, "+y")


def write_splats(gaussians: Gaussians, path: Path, *, up: Up | None = None, progress: Progress | None = None) -> None:
    """Write Gaussians of our world, +Y up, to a file of the format that its name says.

    Args:
        gaussians: with +Y up.
        path: the file; appears whole or not at all.
        up: which way is to be up in the file; None: as is the custom for its format.
        progress: called by writers that take long; what it raises ends the writing.

    Raises:
        ValueError: the format is unknown, or cannot hold these Gaussians.
        OSError: the file cannot be written.
    """
    found = format_of(path)
    up = up or found.up
    if found is FORMATS[".ply"]:
        from splatting.formats.ply import write_ply

        write_ply(between(gaussians, "+y", up), path, up=up)
    else:
        found.write(between(gaussians, "+y", up), path, progress)


def _function(place: tuple[str, str]) -> Callable:
    module, name = place
    return getattr(importlib.import_module(f"splatting.formats.{module}"), name)
