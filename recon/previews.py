"""Pictures of the splats and of the mesh for the report, from a place between the cameras."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from recon.align import up_direction
from recon.camera_paths import scene_center, turntable
from recon.scene import Mesh, PointCloud, View
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

SIDE_PX = 480
SAMPLES_PER_PIXEL = 6  # of the mesh's picture: leaves about exp(-6) of its pixels empty
PAPER = 0.93  # grey behind the mesh


def preview_camera(views: Sequence[View], points: PointCloud) -> Camera:
    """A camera that no photo was taken from: an eighth of the way along the turntable."""
    num_frames = 16
    cameras = [view.camera for view in views]
    up = up_direction(np.array([camera.R for camera in cameras]))
    camera = turntable(cameras, scene_center(points.xyz, cameras), num_frames, up=up)[num_frames // 8]
    shrink = SIDE_PX / max(camera.width, camera.height)
    return camera.resized(round(camera.width * shrink), round(camera.height * shrink))


def splat_picture(
    gaussians: Gaussians, camera: Camera, rasterizer: Rasterizer, background: Tensor
) -> NDArray[np.uint8]:
    """The splats as the camera sees them, [H, W, 3]."""
    with torch.no_grad():
        rgb = rasterizer(gaussians.activate(), camera, background=background).rgb
    return np.round(rgb.clamp(0, 1).numpy() * 255).astype(np.uint8)


def mesh_picture(mesh: Mesh, camera: Camera) -> NDArray[np.uint8]:
    """The mesh in its colours, lit from the camera, [H, W, 3]: dense samples of its faces, the nearest one wins."""
    picture = np.full((camera.height, camera.width, 3), 255 * PAPER)
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    in_picture = _areas_px(mesh, camera)
    count = int(SAMPLES_PER_PIXEL * in_picture.sum())
    if count == 0:
        return picture.astype(np.uint8)
    xyz, face = trimesh.sample.sample_surface(surface, count, face_weight=in_picture, seed=0)
    pixels, depth = camera.project(xyz)
    column, row = np.floor(pixels).astype(int).T
    seen = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    order = np.nonzero(seen)[0][np.argsort(-depth[seen], kind="stable")]
    to_camera = camera.center - xyz[order]
    facing = (surface.face_normals[face[order]] * to_camera).sum(1) / np.linalg.norm(to_camera, axis=1)
    rgb = mesh.vertex_rgb[mesh.faces[face[order]]].mean(1)
    picture[row[order], column[order]] = rgb * (0.5 + 0.5 * np.abs(facing))[:, None]
    return picture.astype(np.uint8)


def _areas_px(mesh: Mesh, camera: Camera) -> NDArray[np.float64]:
    """How many pixels each face covers, seen from either side, [F]; 0 for what lies outside or behind."""
    pixels, depth = camera.project(mesh.vertices.astype(np.float64))
    outside = (depth <= 0) | (pixels < 0).any(1) | (pixels > [camera.width, camera.height]).any(1)
    a, b, c = (pixels[mesh.faces[:, corner]] for corner in range(3))
    areas = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    return np.where(outside[mesh.faces].any(1), 0.0, areas)


def save_jpeg(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture [H, W, 3]."""
    path.write_bytes(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
