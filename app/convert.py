"""`handful convert`: a file of Gaussian splats, or of a mesh, in another format."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.arguments import ArgumentParser, check_unused, existing_path, one_of
from app.file_kinds import SUFFIXES, holds_splats
from recon.errors import ReconError

if TYPE_CHECKING:
    from splatting.formats.frames import Up

EXAMPLES = (
    "handful convert room.ply room.spz               the format is in the name",
    "handful convert room.sog room.compressed.ply    for PlayCanvas and SuperSplat",
    "handful convert scan.ply scan.glb --y up        splats of a PLY that does not say that y points up in it",
    "handful convert statue.obj statue.glb           a mesh, with its texture",
)
UPS: "dict[str | None, Up | None]" = {None: None, "up": "+y", "down": "-y"}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful convert`."""
    parser = ArgumentParser(
        "handful convert",
        description="Write a file in another format:\n"
        "Gaussian splats as .ply, .compressed.ply, .splat, .spz, .sog or .glb,\n"
        "meshes (.glb .obj .ply .stl .3mf) as one of these or .usdz.\n\n"
        "Splats are turned where the formats differ in where y points: up in .spz and .glb, down in the others.\n"
        "A .ply that says where y points in it is taken at its word. Meshes stay as they are.",
        examples=EXAMPLES,
    )
    parser.add_argument("source", type=existing_path, metavar="A", help="file to read")
    parser.add_argument("destination", type=Path, metavar="B", help="file to write")
    parser.add_argument("--y", type=one_of("up", "down"), metavar="up|down", help="where y points in A")
    parser.add_argument("--y-out", type=one_of("up", "down"), metavar="up|down", help="where y is to point in B")
    parser.add_argument("--overwrite", action="store_true", help="replace B if it exists")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Read one file, write the other and say where it is; returns the exit code."""
    from app.late_progress import late_progress
    from recon.mesh_files import files_beside

    source, destination = parsed.source, parsed.destination
    is_splats = _checked_kind(source, destination)
    if not is_splats and (parsed.y or parsed.y_out):
        raise ReconError(f"{source.name} holds a mesh: where y points can be said of splats only.")
    check_unused(destination, may_replace=parsed.overwrite, source=source)
    if not is_splats:
        for beside in files_beside(destination):
            check_unused(beside, may_replace=parsed.overwrite, source=source)
    read, write = _splats(parsed) if is_splats else _mesh()
    with late_progress() as progress:
        progress(0, 1, "reading")
        try:
            scene = read(source)
        except (ValueError, OSError) as error:
            raise ReconError(f"{_reason(error, source)}.", "Name a whole file of splats or a mesh.") from error
        progress(0, 1, "writing")
        try:
            write(scene, destination, progress)
        except OSError as error:
            raise ReconError(
                f"{destination} cannot be written: {error.strerror or error}.", "Name another place."
            ) from error
        except ValueError as error:
            raise ReconError(f"{destination} cannot be written: {error}.", "Try another format.") from error
    print(destination)
    return 0


def _checked_kind(source: Path, destination: Path) -> bool:
    """Whether the source holds splats.

    Raises:
        ReconError: one of the names says no format, the source cannot be read, or the formats are of two kinds.
    """
    from recon.mesh_files import WRITTEN_FORMATS
    from splatting.formats import FORMATS

    if source.suffix.lower() not in SUFFIXES:
        raise ReconError(f"{source.name} is of no kind that can be read.", f"These can: {', '.join(SUFFIXES)}.")
    try:
        is_splats = holds_splats(source)
    except OSError as error:
        raise ReconError(f"{source} cannot be read: {error.strerror or error}.", "Name a file.") from error
    kind, suffixes = ("splats", tuple(FORMATS)) if is_splats else ("a mesh", WRITTEN_FORMATS)
    if not destination.name.lower().endswith(tuple(suffixes)):
        raise ReconError(
            f"{destination.name} is not named as a file of {kind} is, which {source.name} holds.",
            f"End the name in {', '.join(suffixes)}.",
        )
    return is_splats


def _splats(parsed: argparse.Namespace) -> tuple[Callable[[Path], Any], Callable[[Any, Path, Any], None]]:
    from splatting.formats import read_splats, write_splats

    def write(scene: Any, path: Path, progress: Any) -> None:
        write_splats(scene, path, up=UPS[parsed.y_out], progress=progress)

    return lambda path: read_splats(path, up=UPS[parsed.y]), write


def _mesh() -> tuple[Callable[[Path], Any], Callable[[Any, Path, Any], None]]:
    from recon.mesh_files import read_mesh, write_mesh

    return read_mesh, lambda scene, path, progress: write_mesh(scene, path)


def _reason(error: Exception, source: Path) -> str:
    if isinstance(error, OSError):
        return f"{source} cannot be read: {error.strerror or error}"
    return str(error)
