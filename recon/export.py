"""Take results out of a project folder, each in one file or folder of a common format.

`EXPORTERS` is the table: a new format is one more row. What a row needs is imported when it is used.
"""

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recon.errors import ReconError
from recon.progress import Progress, no_progress

if TYPE_CHECKING:  # torch takes a second to load
    from splatting.formats.frames import Up
    from splatting.gaussians import Gaussians


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
        up: of splats, where y points in such files by custom; None: y points where it does in the project.
    """

    what: str
    stage: str
    needs: tuple[str, ...]
    default_name: str
    load: Callable[[Path], Any]
    save: Callable[[Any, Path, Progress], None]
    is_folder: bool = False
    up: "Up | None" = None

    @property
    def ending(self) -> str:
        """Of the names of such files, as other programs expect it; empty for a folder."""
        return "" if self.is_folder else Path(self.default_name).suffix

    def check_name(self, destination: Path) -> None:
        """Raise ReconError if a file's name does not end as other programs expect."""
        if not self.ending or destination.suffix.lower() == self.ending:
            return
        hint = f"Name it {destination.with_name(self._mended_name(destination))}."
        if not destination.suffix and not destination.exists():
            hint = f"{hint[:-1]}, or make the folder {destination} first, for {self.default_name} in it."
        raise ReconError(f"{destination.name} must end in {self.ending} for this format.", hint)

    def _mended_name(self, destination: Path) -> str:
        """With the right ending, in place of that of another format; what follows a dot may be no ending: v1.2."""
        endings = {exporter.ending for exporter in EXPORTERS.values()} - {""}
        stem = destination.stem if destination.suffix.lower() in endings else destination.name.rstrip(".")
        wanted = self.default_name[self.default_name.index(".") :]
        return self.default_name if stem.lower() in endings else f"{stem}{wanted}"


_OWN_FILES = ("project.json", "splats.ply", "mesh.glb", "points.ply", "cameras.json", "report.json", "report.html")
_COLMAP_FILES = tuple(f"cameras/{name}.txt" for name in ("cameras", "images", "points3D"))


def export(
    project: Path,
    format: str,
    destination: Path | None = None,
    *,
    up: "Up | None" = None,
    progress: Progress = no_progress,
) -> Path:
    """Write a result of a project folder in a format of `EXPORTERS`.

    "glb" is the mesh as it lies in the project. The splat formats are those of `splatting.formats`, with up where other
    programs expect it in such files, for PLY at -y; meshes and cameras have it at +y, as the project has. "stl" and
    "3mf" have Z up and are in millimetres where the unit is known. "colmap", "colmap-bin" and "transforms" are folders
    with the cameras and the undistorted photos, see `recon.camera_exports`; "html" is a page that shows the splats, see
    `recon.html_viewer`.

    Args:
        project: the project folder.
        format: a key of `EXPORTERS`.
        destination: file, or folder for formats that are one, to write; if None, or an existing folder for a file
            format, a name of our own there (None: in `project/export`). What stands there is replaced, folders only if
            this made them. The project's own files are not.
        up: where y is to point in a file of splats; None: where it does by custom.
        progress: called by formats that take long.

    Returns:
        Where it was written.

    Raises:
        ReconError: there is no such project, its stage was not run or is damaged, the destination cannot be written or
            has another ending than such files, or `up` was said of what holds no splats.
        ValueError: there is no such format.
    """
    if format not in EXPORTERS:
        raise ValueError(f"format must be one of {', '.join(EXPORTERS)}, got {format!r}")
    exporter = EXPORTERS[format]
    if not (project / "project.json").is_file():
        raise ReconError(f"{project} is no project folder.", "Name the folder that was given to reconstruct with -o.")
    if up is not None and exporter.up is None:
        raise ReconError(f"Where y points cannot be chosen for {format}.", "It can for formats of splats.")
    destination = destination_of(project, format, destination)
    if not (exporter.save is _copy_file and _is_same(destination, project / exporter.needs[0])):
        check_not_own(project, destination)  # copying a file onto itself does not replace it
    loaded = _load(project, exporter)
    loaded = (loaded, up or exporter.up) if exporter.up else loaded
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


def destination_of(project: Path, format: str, destination: Path | None) -> Path:
    """The file, or folder, that `export` writes for what the user names.

    Raises:
        ReconError: its name has another ending than such files.
    """
    exporter = EXPORTERS[format]
    if destination is None:
        destination = project / "export" / exporter.default_name
    elif not exporter.is_folder and destination.is_dir():
        destination = destination / exporter.default_name
    exporter.check_name(destination)
    return destination


def check_not_own(project: Path, destination: Path) -> None:
    """Raise ReconError where a file to be written is one of those that the project itself is made of."""
    if any(_is_same(destination, project / name) for name in _OWN_FILES):
        raise ReconError(f"{destination} is a file of the project itself.", "Name another place with -o.")


def _is_same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.samefile(b)


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


def _checked_mesh_file(project: Path) -> Path:
    from recon.mesh_files import read_mesh

    read_mesh(project / "mesh.glb")
    return project / "mesh.glb"


def _write_splats(suffix: str) -> Callable[[Any, Path, Progress], None]:
    """Writes splats and where y is to point."""

    def save(splats_and_up: "tuple[Gaussians, Up]", destination: Path, progress: Progress) -> None:
        from splatting.formats import FORMATS
        from splatting.formats.frames import between
        from splatting.formats.ply import write_ply

        splats, up = splats_and_up
        turned = between(splats, "+y", up)
        if suffix == ".ply":
            write_ply(turned, destination, up=up)
        else:
            FORMATS[suffix].write(turned, destination, progress)

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


def _splats(suffix: str, up: "Up") -> Exporter:
    save = _write_splats(suffix)
    return Exporter("Gaussian splats", "splats", ("splats.ply",), f"splats{suffix}", _read_splats, save, up=up)


def _mesh(suffix: str, *, for_printing: bool = False) -> Exporter:
    def load(project: Path) -> Any:
        from recon.mesh_files import read_mesh

        mesh = read_mesh(project / "mesh.glb")
        return _printable(mesh, project) if for_printing else mesh

    def save(mesh: Any, destination: Path, progress: Progress) -> None:
        from recon.mesh_files import write_mesh

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
    "ply": _splats(".ply", "-y"),
    "compressed-ply": _splats(".compressed.ply", "-y"),
    "splat": _splats(".splat", "-y"),
    "spz": _splats(".spz", "+y"),
    "sog": _splats(".sog", "-y"),
    "splat-glb": _splats(".glb", "+y"),
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
