"""Take results out of a project folder, each in one file or folder of a common format.

`EXPORTERS` is the table: a new format is one more row. What a row needs is imported when it is used.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.errors import ReconError
from recon.progress import Progress, no_progress


@dataclass(frozen=True)
class Exporter:
    """One format: what it is made from, and how.

    Attributes:
        what: the thing in the project, for messages: "mesh".
        stage: the stage that makes it.
        needs: what must be in the project folder, relative to it.
        default_name: of the file or folder where the user names none.
        load: reads it from the project; ValueError or OSError if it is damaged.
        save: writes what was loaded, whole or not at all; ValueError if this format cannot hold it.
        is_folder: whether a folder is written.
    """

    what: str
    stage: str
    needs: tuple[str, ...]
    default_name: str
    load: Callable[[Path], Any]
    save: Callable[[Any, Path, Progress], None]
    is_folder: bool = False


_COLMAP_FILES = ("cameras.txt", "images.txt", "points3D.txt")


def export(project: Path, format: str, destination: Path | None = None, *, progress: Progress = no_progress) -> Path:
    """Write a result of a project folder in a format of `EXPORTERS`.

    "ply" is the 3DGS PLY and "glb" the mesh, both as they lie in the project; "colmap" a folder with the COLMAP text
    model in `sparse/0` and the undistorted photos that it describes in `images`, as COLMAP and splat trainers expect
    them. The other splat formats are those of `splatting.formats`, with up where other programs expect it.

    Args:
        project: the project folder.
        format: a key of `EXPORTERS`.
        destination: file, or folder for "colmap", to write; if None, or an existing folder for a file format, a name
            of our own there (None: in `project/export`). What stands there is replaced, folders only if this made them.
        progress: called by formats that take long.

    Returns:
        Where it was written.

    Raises:
        ReconError: there is no such project, its stage was not run or is damaged, or the destination cannot be written.
        ValueError: there is no such format.
    """
    if format not in EXPORTERS:
        raise ValueError(f"format must be one of {', '.join(EXPORTERS)}, got {format!r}")
    exporter = EXPORTERS[format]
    if not (project / "project.json").is_file():
        raise ReconError(f"{project} is no project folder.", "Name the folder that was given to reconstruct with -o.")
    loaded = _load(project, exporter)
    if destination is None:
        destination = project / "export" / exporter.default_name
    elif not exporter.is_folder and destination.is_dir():
        destination = destination / exporter.default_name
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        exporter.save(loaded, destination, progress)
    except OSError as error:
        raise ReconError(
            f"{destination} cannot be written: {error.strerror or error}.", "Name another place with -o."
        ) from error
    except ValueError as error:
        raise ReconError(
            f"The {exporter.what} cannot be written as {format}: {error}.", "Try another format."
        ) from error
    return destination


def _load(project: Path, exporter: Exporter) -> Any:
    if not all((project / name).exists() for name in exporter.needs):
        raise ReconError(
            f"The project {project} holds no {exporter.what} yet.",
            f"Run reconstruct at least until the stage {exporter.stage}.",
        )
    try:
        return exporter.load(project)
    except (ValueError, OSError) as error:
        raise ReconError(
            f"The {exporter.what} in {project} cannot be read: {error}.", "Run reconstruct again."
        ) from error


def _read_splats(project: Path) -> Any:
    """The Gaussians: in a project always in our world, +Y up, whatever older files say."""
    from splatting.formats.ply import read_ply

    return read_ply(project / "splats.ply")


def _checked_splats_file(project: Path) -> Path:
    _read_splats(project)
    return project / "splats.ply"


def _checked_mesh_file(project: Path) -> Path:
    from recon.mesh_files import read_mesh

    read_mesh(project / "mesh.glb")
    return project / "mesh.glb"


def _write_splats(suffix: str) -> Callable[[Any, Path, Progress], None]:
    """Writes a splat format to a file of any name."""

    def save(gaussians: Any, destination: Path, progress: Progress) -> None:
        from splatting.formats import FORMATS
        from splatting.formats.frames import between

        FORMATS[suffix].write(between(gaussians, "+y", FORMATS[suffix].up), destination, progress)

    return save


def _copy_file(source: Path, destination: Path, progress: Progress) -> None:
    if destination.exists() and destination.samefile(source):
        return
    aside = destination.with_name(destination.name + ".partial")
    try:
        shutil.copyfile(source, aside)
        os.replace(aside, destination)
    finally:
        aside.unlink(missing_ok=True)


def _copy_colmap(project: Path, destination: Path, progress: Progress) -> None:
    if destination.exists() and not _is_replaceable(destination):
        raise ReconError(f"{destination} holds something else.", "Name a new or empty folder with -o.")
    aside = destination.with_name(destination.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        model = aside / "sparse" / "0"
        model.mkdir(parents=True)
        for name in _COLMAP_FILES:
            shutil.copyfile(project / "cameras" / name, model / name)
        if (project / "images").is_dir():
            shutil.copytree(project / "images", aside / "images")
        if destination.exists():
            shutil.rmtree(destination)
        os.replace(aside, destination)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_replaceable(folder: Path) -> bool:
    """Empty, or an earlier export and nothing else."""
    if not folder.is_dir():
        return False
    inside = {entry.name for entry in folder.iterdir()}
    return not inside or (inside <= {"sparse", "images"} and (folder / "sparse" / "0" / "cameras.txt").is_file())


def _splats(suffix: str, default_name: str) -> Exporter:
    return Exporter("Gaussian splats", "splats", ("splats.ply",), default_name, _read_splats, _write_splats(suffix))


EXPORTERS: dict[str, Exporter] = {
    "ply": Exporter("Gaussian splats", "splats", ("splats.ply",), "splats.ply", _checked_splats_file, _copy_file),
    "compressed-ply": _splats(".compressed.ply", "splats.compressed.ply"),
    "splat": _splats(".splat", "splats.splat"),
    "spz": _splats(".spz", "splats.spz"),
    "sog": _splats(".sog", "splats.sog"),
    "splat-glb": _splats(".glb", "splats.glb"),
    "glb": Exporter("mesh", "mesh", ("mesh.glb",), "mesh.glb", _checked_mesh_file, _copy_file),
    "colmap": Exporter(
        "cameras",
        "cameras",
        tuple(f"cameras/{name}" for name in _COLMAP_FILES),
        "colmap",
        lambda project: project,
        _copy_colmap,
        is_folder=True,
    ),
}
