"""Take results out of a project folder, each in one file or folder of a common format.

`EXPORTERS` is the table: a new format is one more row. What a row needs is imported when it is used.
"""

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

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


_COLMAP_FILES = tuple(f"cameras/{name}.txt" for name in ("cameras", "images", "points3D"))


def export(project: Path, format: str, destination: Path | None = None, *, progress: Progress = no_progress) -> Path:
    """Write a result of a project folder in a format of `EXPORTERS`.

    "ply" is the 3DGS PLY and "glb" the mesh, both as they lie in the project. The other splat formats are those of
    `splatting.formats`, with up where other programs expect it; "stl" and "3mf" have Z up and are in millimetres where
    the unit is known. "colmap", "colmap-bin" and "transforms" are folders with the cameras and the undistorted photos,
    see `recon.camera_exports`; "html" is a page that shows the splats, see `recon.html_viewer`.

    Args:
        project: the project folder.
        format: a key of `EXPORTERS`.
        destination: file, or folder for formats that are one, to write; if None, or an existing folder for a file
            format, a name of our own there (None: in `project/export`). What stands there is replaced, folders only if
            this made them.
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


def _project_itself(project: Path) -> Path:
    return project


def _through(module: str, function: str) -> Callable[[Any, Path, Progress], None]:
    """Writes by `function(project, destination)` of a module."""

    def save(project: Any, destination: Path, progress: Progress) -> None:
        getattr(importlib.import_module(module), function)(project, destination)

    return save


def _splats(suffix: str, default_name: str) -> Exporter:
    return Exporter("Gaussian splats", "splats", ("splats.ply",), default_name, _read_splats, _write_splats(suffix))


def _mesh(suffix: str, *, for_printing: bool = False) -> Exporter:
    def load(project: Path) -> Any:
        from recon.mesh_files import read_mesh

        mesh = read_mesh(project / "mesh.glb")
        return _printable(mesh, project) if for_printing else mesh

    def save(mesh: Any, destination: Path, progress: Progress) -> None:
        from recon.mesh_files import write_mesh

        if destination.suffix.lower() != suffix:
            raise ValueError(f"the file's name must end in {suffix}")
        write_mesh(mesh, destination)

    return Exporter("mesh", "mesh", ("mesh.glb",), f"mesh{suffix}", load, save)


def _printable(mesh: Any, project: Path) -> Any:
    """Z up and, where the project has a real unit, in millimetres, as slicers take such files."""
    from recon.framing import frame_of
    from recon.project import Project

    x, y, z = mesh.vertices.T * np.float32(1000 if frame_of(Project(project)).unit == "m" else 1)
    return replace(mesh, vertices=np.stack([x, -z, y], axis=1))


def _cameras(function: str, default_name: str, *needs: str, is_folder: bool = True) -> Exporter:
    save = _through("recon.camera_exports", function)
    return Exporter("cameras", "cameras", needs, default_name, _project_itself, save, is_folder)


EXPORTERS: dict[str, Exporter] = {
    "ply": Exporter("Gaussian splats", "splats", ("splats.ply",), "splats.ply", _checked_splats_file, _copy_file),
    "compressed-ply": _splats(".compressed.ply", "splats.compressed.ply"),
    "splat": _splats(".splat", "splats.splat"),
    "spz": _splats(".spz", "splats.spz"),
    "sog": _splats(".sog", "splats.sog"),
    "splat-glb": _splats(".glb", "splats.glb"),
    "glb": Exporter("mesh", "mesh", ("mesh.glb",), "mesh.glb", _checked_mesh_file, _copy_file),
    "obj": _mesh(".obj"),
    "stl": _mesh(".stl", for_printing=True),
    "3mf": _mesh(".3mf", for_printing=True),
    "mesh-ply": _mesh(".ply"),
    "usdz": _mesh(".usdz"),
    "colmap": _cameras("export_colmap", "colmap", *_COLMAP_FILES),
    "colmap-bin": _cameras("export_colmap_binary", "colmap", *_COLMAP_FILES),
    "transforms": _cameras("export_transforms", "transforms", *_COLMAP_FILES),
    "cameras": _cameras("export_cameras", "cameras.json", "cameras.json", is_folder=False),
    "html": Exporter(
        "Gaussian splats",
        "splats",
        ("splats.ply", "cameras.json"),
        "scene.html",
        _project_itself,
        _through("recon.html_viewer", "export_html"),
    ),
}
