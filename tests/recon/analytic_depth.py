"""Exact depth maps of a sphere and of a plane, for tests of fusion and meshing."""

import numpy as np

from recon.camera_paths import look_at
from recon.fusion import FusionView
from splatting.camera import Camera

SIX_SIDES = [(0, 0, 3), (0, 0, -3), (3, 0, 0), (-3, 0, 0), (0, 3, 0.1), (0, -3, 0.1)]


def camera_at(eye: tuple[float, float, float], width: int = 160, height: int = 120, focal: float = 150.0) -> Camera:
    """A camera that looks at the origin."""
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K, look_at(np.array(eye, float), np.zeros(3)), width, height)


def sphere_depth(camera: Camera, radius: float = 1.0) -> np.ndarray:
    """Depth [H, W] of a sphere around the origin, 0 beside it."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T @ camera.R
    a, b, c = (rays**2).sum(axis=-1), rays @ camera.center, camera.center @ camera.center - radius**2
    root = b * b - a * c
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, 0).astype(np.float32)


def sphere_view(eye: tuple[float, float, float], rgb: tuple[int, int, int] = (200, 100, 50)) -> FusionView:
    """What a camera sees of the unit sphere."""
    camera = camera_at(eye)
    depth = sphere_depth(camera)
    picture = np.full((camera.height, camera.width, 3), rgb, np.uint8)
    return FusionView(camera, depth, picture, (depth > 0).astype(np.float32))


def plane_view(eye: tuple[float, float, float]) -> FusionView:
    """What a camera sees of the plane z = 0; red grows with x."""
    camera = camera_at(eye)
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T @ camera.R
    depth = -camera.center[2] / rays[..., 2]
    x = camera.center[0] + depth * rays[..., 0]
    red = np.clip(128 + 60 * x, 0, 255)
    picture = np.stack([red, np.full_like(red, 90), np.full_like(red, 30)], axis=-1).round().astype(np.uint8)
    return FusionView(camera, depth.astype(np.float32), picture, np.ones(depth.shape, np.float32))
