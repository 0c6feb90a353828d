"""Pictures of the splats and of the mesh for the report, from a place between the cameras."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon.align import up_direction
from recon.camera_paths import scene_center, turntable
from recon.mesh_rendering import render_mesh
from recon.scene import Mesh, PointCloud, View
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

SIDE_PX = 480
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
    """The mesh in its colours, lit from the camera, [H, W, 3]."""
    rgb, covered, facing = render_mesh(mesh, camera)
    lit = rgb * (0.7 + 0.3 * facing)[..., None]
    return np.round(lit * covered[..., None] + 255 * PAPER * (1 - covered[..., None])).astype(np.uint8)


def save_jpeg(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture [H, W, 3]."""
    path.write_bytes(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
