"""What lands in the project folder for people and other programs, all in one frame."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recon import report as report_files
from recon.camera_files import image_name, write_cameras_json, write_colmap
from recon.dense import DenseScene
from recon.frame import Frame
from recon.framing import frame_block
from recon.mesh_files import write_mesh as write_mesh_file
from recon.photo_loading import PhotoSet
from recon.previews import mesh_picture, save_jpeg, splat_picture
from recon.project import PROJECT_FILE, Project
from recon.report import Report
from recon.scene import Mesh, Reconstruction
from recon.summary import Results
from recon.version import program_version
from recon.whole_files import write_whole
from splatting.camera import Camera
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer
from splatting.spherical_harmonics import rgb_from_sh

THUMBNAIL_SIDE_PX = 320
Written = dict[str, str]
"""What was written -> path relative to the project folder."""


def write_project(
    project: Project, photos: PhotoSet, results: Results, heldout: Sequence[str], cameras: Path | None
) -> None:
    """Write `project.json`: what was asked. The frame that it tells of stays until another is written."""
    asked: dict[str, Any] = {
        "program_version": program_version(),
        "photos": [
            {
                "name": photo.name,
                "path": str(photo.path.resolve()),
                "sha256": photo.sha256,
                "width": photo.width,
                "height": photo.height,
            }
            for photo in photos.photos
        ],
        "preset": results.preset,
        "seed": results.config.seed,
        "config": dataclasses.asdict(results.config),
        "holdout": list(heldout),
        "cameras": str(cameras.resolve()) if cameras else None,
    }
    block = frame_block(project)
    asked |= {"frame": block} if block else {}
    write_whole(project.folder / PROJECT_FILE, json.dumps(asked, indent=1) + "\n")
    for photo in photos.photos:
        thumbnail = photo.pixels(THUMBNAIL_SIDE_PX)
        _write_image(project.previews / f"photo_{Path(photo.name).stem}.jpg", thumbnail)


def write_cameras(project: Project, scene: Reconstruction, frame: Frame) -> Written:
    """Write `cameras/`, `cameras.json` and the undistorted images that both describe; `scene` is in the frame.

    Images of an earlier run that no camera describes any more go: exports take the folder as it is.
    """
    images = project.folder / "images"
    images.mkdir(exist_ok=True)
    for path in set(images.iterdir()) - {images / image_name(view) for view in scene.views}:
        path.unlink()
    for view in scene.views:
        _write_image(images / image_name(view), view.rgb)
    write_colmap(scene, project.folder / "cameras")
    write_cameras_json(scene.views, project.folder / "cameras.json", is_upright=frame.is_upright, unit=frame.unit)
    return {"images": "images", "cameras": "cameras", "cameras_json": "cameras.json"}


def write_points(project: Project, dense: DenseScene) -> Written:
    """Write `points.ply`: the coloured points that the Gaussians start from, the verified ones only."""
    import trimesh  # takes half a second

    xyz = dense.gaussians.means.numpy()[dense.is_verified]
    rgb = rgb_from_sh(dense.gaussians.sh[:, 0]).numpy()[dense.is_verified].clip(0, 1)
    cloud = trimesh.PointCloud(xyz, colors=np.round(rgb * 255).astype(np.uint8))
    write_whole(project.folder / "points.ply", cloud.export(file_type="ply"))
    return {"points": "points.ply"}


def write_splats(
    project: Project, gaussians: Gaussians, rasterizer: Rasterizer, camera: Camera, background: Tensor
) -> Written:
    """Write `splats.ply` and its picture from `camera`."""
    write_ply(gaussians, project.folder / "splats.ply")
    save_jpeg(project.previews / "scene.jpg", splat_picture(gaussians, camera, rasterizer, background))
    return {"splats": "splats.ply"}


def write_mesh(project: Project, mesh: Mesh, camera: Camera) -> Written:
    """Write `mesh.glb` and its picture from `camera`."""
    write_mesh_file(mesh, project.folder / "mesh.glb")
    save_jpeg(project.previews / "mesh.jpg", mesh_picture(mesh, camera))
    return {"mesh": "mesh.glb"}


def write_report(project: Project, report: Report) -> None:
    """Write `report.json` and `report.html`."""
    report_files.write_report(report, project.folder)


def _write_image(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture in the format that its name says: JPEG and WebP at high quality, the others lossless."""
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".jpg", ".jpeg"):
        options = {"quality": 95, "subsampling": 0}
    elif path.suffix.lower() == ".webp":
        options = {"quality": 95}
    write_whole(path, iio.imwrite("<bytes>", rgb, extension=path.suffix.lower(), plugin="pillow", **options))
