"""`handful convert`: a file of Gaussian splats in another format."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from app.arguments import ArgumentParser, existing_path, one_of
from recon.errors import ReconError

if TYPE_CHECKING:
    from splatting.formats.frames import Up

EXAMPLES = (
    "handful convert room.ply room.spz               the format is in the name",
    "handful convert room.sog room.compressed.ply    for PlayCanvas and SuperSplat",
    "handful convert scan.ply scan.glb --y up        a PLY that does not say that y points up in it",
)
UPS: "dict[str | None, Up | None]" = {None: None, "up": "+y", "down": "-y"}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful convert`."""
    parser = ArgumentParser(
        "handful convert",
        description="Write a file of Gaussian splats in another format:\n"
        ".ply, .compressed.ply, .splat, .spz, .sog or .glb.\n\n"
        "Scenes are turned where the formats differ in where y points: up in .spz and .glb, down in the others,\n"
        "except in a .ply that says up, as ours do.",
        examples=EXAMPLES,
    )
    parser.add_argument("source", type=existing_path, metavar="A", help="file to read")
    parser.add_argument("destination", type=Path, metavar="B", help="file to write")
    parser.add_argument("--y", type=one_of("up", "down"), metavar="up|down", help="where y points in A")
    parser.add_argument("--y-out", type=one_of("up", "down"), metavar="up|down", help="where y is to point in B")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Read one file, write the other and say where it is; returns the exit code."""
    from app.late_progress import late_progress
    from splatting.formats import format_of, read_splats, write_splats

    try:
        format_of(parsed.destination)
    except ValueError as error:
        raise ReconError(f"{error}.", "The end of the name says the format.") from error
    with late_progress() as progress:
        progress(0, 1, "reading")
        try:
            gaussians = read_splats(parsed.source, up=UPS[parsed.y])
        except (ValueError, OSError) as error:
            raise ReconError(f"{_reason(error, parsed.source)}.", "Name a whole file of Gaussian splats.") from error
        progress(0, 1, "writing")
        try:
            write_splats(gaussians, parsed.destination, up=UPS[parsed.y_out], progress=progress)
        except OSError as error:
            raise ReconError(
                f"{parsed.destination} cannot be written: {error.strerror or error}.", "Name another place."
            ) from error
        except ValueError as error:
            raise ReconError(f"{parsed.destination} cannot be written: {error}.", "Try another format.") from error
    print(parsed.destination)
    return 0


def _reason(error: Exception, source: Path) -> str:
    if isinstance(error, OSError):
        return f"{source} cannot be read: {error.strerror or error}"
    return str(error)
