"""Cameras of a project for other programs: COLMAP text and binary, Nerfstudio's transforms.json, our cameras.json.

All are in the project's own frame, so splats and mesh that are exported beside them fit. Each export stands at its
destination whole or not at all.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from recon.camera_files import OPENCV_FROM_OPENGL, read_cameras
from recon.colmap_binary import write_binary_model
from recon.errors import ReconError
from recon.whole_files import write_whole

_COLMAP_FILES = ("cameras.txt", "images.txt", "points3D.txt")
_POINTS = "sparse_pc.ply"
_OURS = frozenset({"sparse", "images", "transforms.json", _POINTS})


def export_colmap(project: Path, destination: Path) -> None:
    """Write a folder with the COLMAP text model in `sparse/0` and the undistorted photos it describes in `images`.

    Args:
        project: the project folder.
        destination: a folder; an empty one or one that an export made is replaced.

    Raises:
        ReconError: the project holds no cameras, or the destination holds something else.
        OSError: it cannot be written.
    """

    def fill(folder: Path) -> None:
        for name in _COLMAP_FILES:
            shutil.copyfile(_model_of(project) / name, _made(folder / "sparse" / "0") / name)

    _write_folder(project, destination, fill)


def export_colmap_binary(project: Path, destination: Path) -> None:
    """The same as `export_colmap`, with the binary model; same arguments and errors."""

    def fill(folder: Path) -> None:
        try:
            write_binary_model(_model_of(project), _made(folder / "sparse" / "0"))
        except ValueError as error:
            raise ReconError(f"The cameras in {project} cannot be read: {error}.", "Run reconstruct again.") from error

    _write_folder(project, destination, fill)


def export_transforms(project: Path, destination: Path) -> None:
    """Write a folder with `transforms.json`, the undistorted photos in `images` and the sparse points.

    As Nerfstudio reads it: camera-to-world matrices with OpenGL axes, intrinsics in each frame, `ply_file_path` for
    what starts from points. World +Y stays up; Nerfstudio turns scenes upright itself.

    Args:
        project: the project folder.
        destination: a folder; an empty one or one that an export made is replaced.

    Raises:
        ReconError: the project holds no cameras, or the destination holds something else.
        OSError: it cannot be written.
    """

    def fill(folder: Path) -> None:
        write_whole(folder / _POINTS, _sparse_points(_model_of(project) / "points3D.txt"))
        write_whole(folder / "transforms.json", json.dumps(_transforms(project), indent=1) + "\n")

    _write_folder(project, destination, fill)


def export_cameras(project: Path, destination: Path) -> None:
    """Write the project's `cameras.json` to a file.

    Raises:
        ReconError: the project holds no cameras.
        OSError: it cannot be written.
    """
    source = project / "cameras.json"
    if not source.is_file():
        raise _no_cameras(project)
    read_cameras(source)  # a damaged file is told of here
    destination.parent.mkdir(parents=True, exist_ok=True)
    write_whole(destination, source.read_bytes())


def _transforms(project: Path) -> dict[str, Any]:
    frames = []
    for name, distorted in read_cameras(project / "cameras.json").items():
        camera = distorted.camera
        world_from_opengl = np.linalg.inv(camera.cam_from_world) @ OPENCV_FROM_OPENGL
        frames.append(
            {
                "file_path": f"images/{name}",
                "w": camera.width,
                "h": camera.height,
                "fl_x": float(camera.K[0, 0]),
                "fl_y": float(camera.K[1, 1]),
                "cx": float(camera.K[0, 2]),
                "cy": float(camera.K[1, 2]),
                **dict(zip(("k1", "k2", "p1", "p2"), distorted.distortion.tolist(), strict=True)),
                "transform_matrix": world_from_opengl.tolist(),
            }
        )
    return {"camera_model": "OPENCV", "ply_file_path": _POINTS, "frames": frames}


def _sparse_points(path: Path) -> bytes:
    """The points of a COLMAP text model as a PLY file."""
    rows = [line.split()[1:7] for line in path.read_text(encoding="utf-8").split("\n") if line and line[0] != "#"]
    xyz = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    rgb = np.array([row[3:] for row in rows], np.uint8).reshape(-1, 3)
    return bytes(trimesh.PointCloud(xyz, colors=rgb).export(file_type="ply"))


def _model_of(project: Path) -> Path:
    model = project / "cameras"
    if not all((model / name).is_file() for name in _COLMAP_FILES):
        raise _no_cameras(project)
    return model


def _no_cameras(project: Path) -> ReconError:
    return ReconError(
        f"The project {project} holds no cameras yet.", "Run reconstruct at least until the stage cameras."
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_folder(project: Path, destination: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder aside, add the photos, and put it in place."""
    _model_of(project)
    if destination.exists() and not _is_replaceable(destination):
        raise ReconError(f"{destination} holds something else.", "Name a new or empty folder with -o.")
    aside = destination.with_name(destination.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        fill(_made(aside))
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
    is_export = (folder / "transforms.json").is_file() or any(
        (folder / "sparse" / "0" / f"cameras.{kind}").is_file() for kind in ("txt", "bin")
    )
    return not inside or (inside <= _OURS and is_export)
