"""Take results out of a project folder, each in one file or folder of a common format."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from recon.errors import ReconError
from recon.mesh_files import read_mesh
from splatting.formats.ply import read_ply

ExportFormat = Literal["ply", "glb", "colmap"]


@dataclass(frozen=True)
class _Source:
    """Where a format lies in the project folder, and the stage that makes it."""

    path: str
    stage: str
    what: str
    default_name: str


_SOURCES: dict[str, _Source] = {
    "ply": _Source("splats.ply", "splats", "Gaussian splats", "splats.ply"),
    "glb": _Source("mesh.glb", "mesh", "mesh", "mesh.glb"),
    "colmap": _Source("cameras", "cameras", "cameras", "colmap"),
}
_COLMAP_FILES = ("cameras.txt", "images.txt", "points3D.txt")


def export(project: Path, format: ExportFormat, destination: Path | None = None) -> Path:
    """Copy a result out of a project folder.

    "ply" is the 3DGS PLY, "glb" the mesh, "colmap" a folder with the COLMAP text model in `sparse/0` and the
    undistorted photos that it describes in `images`, as COLMAP and splat trainers expect them.

    Args:
        project: the project folder.
        destination: file, or folder for "colmap", to write; if None, or an existing folder for a file format, a name
            of our own there (None: in `project/export`). What stands there is replaced, folders only if this made them.

    Returns:
        Where it was written.

    Raises:
        ReconError: there is no such project, its stage was not run or is damaged, or the destination cannot be written.
        ValueError: there is no such format.
    """
    if format not in get_args(ExportFormat):
        raise ValueError(f"format must be one of {', '.join(get_args(ExportFormat))}, got {format!r}")
    source = _SOURCES[format]
    if not (project / "project.json").is_file():
        raise ReconError(f"{project} is no project folder.", "Name the folder that was given to reconstruct with -o.")
    _check_source(project, format, source)
    if destination is None:
        destination = project / "export" / source.default_name
    elif format != "colmap" and destination.is_dir():
        destination = destination / source.default_name
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if format == "colmap":
            _export_colmap(project, destination)
        else:
            _copy_file(project / source.path, destination)
    except OSError as error:
        raise ReconError(
            f"{destination} cannot be written: {error.strerror or error}.", "Name another place with -o."
        ) from error
    return destination


def _check_source(project: Path, format: str, source: _Source) -> None:
    path = project / source.path
    missing = ReconError(
        f"The project {project} holds no {source.what} yet.",
        f"Run reconstruct at least until the stage {source.stage}.",
    )
    if not path.exists() or (format == "colmap" and not all((path / name).is_file() for name in _COLMAP_FILES)):
        raise missing
    try:
        if format == "ply":
            read_ply(path)
        elif format == "glb":
            read_mesh(path)
    except (ValueError, OSError) as error:
        raise ReconError(
            f"The {source.what} in {project} cannot be read: {error}.", "Run reconstruct again."
        ) from error


def _copy_file(source: Path, destination: Path) -> None:
    if destination.exists() and destination.samefile(source):
        return
    aside = destination.with_name(destination.name + ".partial")
    try:
        shutil.copyfile(source, aside)
        os.replace(aside, destination)
    finally:
        aside.unlink(missing_ok=True)


def _export_colmap(project: Path, destination: Path) -> None:
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
