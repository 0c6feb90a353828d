"""What lies in a project folder, read for the 3D view; runs in a worker, without Qt."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.viewport_data import PhotoFrustum
from app.viewport_files import read_photos
from recon.errors import ReconError

if TYPE_CHECKING:
    from recon.scene import Mesh
    from splatting.gaussians import Gaussians

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class SceneParts:
    """What there is to see; what is missing, or was not asked for, is None.

    Attributes:
        gaussians: the splats.
        points: xyz [N, 3] and sRGB bytes [N, 3].
        mesh: the mesh.
        photos: where they were taken.
    """

    gaussians: "Gaussians | None" = None
    points: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None
    mesh: "Mesh | None" = None
    photos: tuple[PhotoFrustum, ...] | None = None


def load_parts(folder: Path, what: str, colours: Mapping[str, Rgb]) -> SceneParts:
    """Read a part of a project.

    Args:
        folder: of the project.
        what: "cameras", "points", "splats", "mesh", or "" for all that there is.
        colours: of photos, by name.

    Raises:
        ReconError: a file is damaged.
    """
    is_all = what == ""
    try:
        gaussians = _load_gaussians(folder / "splats.ply") if is_all or what == "splats" else None
        mesh = _load_mesh(folder / "mesh.glb") if is_all or what == "mesh" else None
        # Where up is becomes surer with the depth: cameras are written again beside the points.
        photos = _load_photos(folder, colours) if is_all or what in ("cameras", "points") else None
        points = None
        if gaussians is None and (is_all or what in ("cameras", "points")):
            dense = _load_dense(folder / "points.ply") if is_all or what == "points" else None
            points = dense if dense is not None else _load_sparse(folder / "cameras" / "points3D.txt")
    except (OSError, ValueError) as error:
        raise ReconError(f"{folder.name} cannot be shown: {error}.", "Build again.") from error
    return SceneParts(gaussians, points, mesh, photos)


def load_preview(path: Path) -> SceneParts:
    """Read the splats of a fit that goes on.

    Raises:
        ReconError: they cannot be read.
    """
    try:
        return SceneParts(gaussians=_load_gaussians(path))
    except ValueError as error:
        raise ReconError(f"The preview cannot be shown: {error}.") from error


def _load_gaussians(path: Path) -> "Gaussians | None":
    if not path.is_file():
        return None
    from splatting.formats.ply import read_ply  # loads torch

    return read_ply(path)


def _load_mesh(path: Path) -> "Mesh | None":
    if not path.is_file():
        return None
    from recon.mesh_files import read_mesh

    return read_mesh(path)


def _load_photos(folder: Path, colours: Mapping[str, Rgb]) -> tuple[PhotoFrustum, ...] | None:
    if not (folder / "cameras.json").is_file():
        return None
    photos = read_photos(folder)
    return tuple(replace(photo, colour=colours.get(photo.name, photo.colour)) for photo in photos)


def _load_dense(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]] | None:
    """The points that the splats start from."""
    if not path.is_file():
        return None
    import trimesh

    cloud = trimesh.load_scene(path).to_geometry()
    assert isinstance(cloud, trimesh.PointCloud)
    return np.asarray(cloud.vertices), np.asarray(cloud.colors)[:, :3]


def _load_sparse(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]] | None:
    """The points of a COLMAP text model; None if there are none."""
    if not path.is_file():
        return None
    lines = [line.split()[1:7] for line in path.read_text().splitlines() if line and not line.startswith("#")]
    if not lines:
        return None
    values = np.array(lines, np.float64)
    return values[:, :3], values[:, 3:].astype(np.uint8)
