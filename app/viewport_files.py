"""Files and project folders that can be looked at, in the form that the viewport uploads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.file_kinds import SUFFIXES, holds_splats
from app.viewport_data import MeshArrays, PhotoFrustum, PreparedSplats, prepare_mesh, prepare_splats
from recon.errors import ReconError


@dataclass(frozen=True)
class ShownProject:
    """What there is to see in a project folder; what is missing is None or empty."""

    splats: PreparedSplats | None
    mesh: MeshArrays | None
    photos: tuple[PhotoFrustum, ...] = ()

    @classmethod
    def of(cls, scene: PreparedSplats | MeshArrays) -> "ShownProject":
        """A scene alone, without a project."""
        return cls(scene, None) if isinstance(scene, PreparedSplats) else cls(None, scene)


def read_shown(path: Path, *, is_ours: bool = False) -> PreparedSplats | MeshArrays:
    """Read a file of splats or of a mesh; `is_ours`: it lies in a project, where up is always +Y.

    Raises:
        ReconError: it cannot be read, is damaged or of no kind that we know.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ReconError(f"{path.name} is of no kind that can be shown.", f"These can: {', '.join(SUFFIXES)}.")
    try:
        if holds_splats(path):
            from splatting.formats import read_splats  # torch takes a second to load

            return prepare_splats(read_splats(path, up="+y" if is_ours else None))
        from recon.mesh_files import read_mesh  # trimesh takes most of a second to load

        return prepare_mesh(read_mesh(path))
    except OSError as error:
        raise ReconError(f"{path.name} cannot be read: {error.strerror or error}.", "Check the path.") from error
    except ValueError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise ReconError(f"{path.name} cannot be shown: {what}.", "Export it again from where it was made.") from error


def read_project(folder: Path) -> ShownProject:
    """Read splats, mesh and placed photos of a project folder.

    Raises:
        ReconError: a file is there but damaged, or there is nothing to see at all.
    """
    files = {name: folder / name for name in ("splats.ply", "mesh.glb")}
    splats, mesh = (read_shown(path, is_ours=True) if path.is_file() else None for path in files.values())
    photos = read_photos(folder) if (folder / "cameras.json").is_file() else ()
    if splats is None and mesh is None and not photos:
        raise ReconError(f"There is nothing to see in {folder.name} yet.", "Build it first.")
    assert splats is None or isinstance(splats, PreparedSplats)
    assert mesh is None or isinstance(mesh, MeshArrays)
    return ShownProject(splats, mesh, photos)


def read_photos(folder: Path) -> tuple[PhotoFrustum, ...]:
    """The placed photos of a project folder, with their undistorted pictures where they are there.

    Raises:
        ReconError: the cameras cannot be read.
    """
    import imageio.v3 as iio

    from recon.camera_files import read_cameras

    photos = []
    for name, distorted in read_cameras(folder).items():
        path = folder / "images" / name
        rgb = np.asarray(iio.imread(path))[..., :3] if path.is_file() else None
        photos.append(PhotoFrustum(name, distorted.camera, rgb))
    return tuple(photos)
