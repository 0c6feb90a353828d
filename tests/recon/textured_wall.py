"""Views of a textured wall with exact depth, for what compares photos of the same surface."""

import numpy as np

from recon.scene import DepthMap, View
from splatting.camera import Camera

WIDTH, HEIGHT, DISTANCE = 160, 120, 4.0


def wall_views(count: int = 4) -> tuple[list[View], list[DepthMap]]:
    """Views side by side, each depth confirmed by two others."""
    K = np.array([[150.0, 0, WIDTH / 2], [0, 150.0, HEIGHT / 2], [0, 0, 1]])
    views, depth_maps = [], []
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1)
    for index in range(count):
        cam_from_world = np.eye(4)
        cam_from_world[0, 3] = -0.1 * index
        camera = Camera(K, cam_from_world, WIDTH, HEIGHT)
        depth = np.full((HEIGHT, WIDTH), DISTANCE, np.float32)
        rgb = _texture(camera.unproject(pixels, depth.ravel().astype(float))).reshape(HEIGHT, WIDTH, 3)
        views.append(View(f"{index}.jpg", camera, rgb, np.ones((HEIGHT, WIDTH), bool)))
        ones = np.ones((HEIGHT, WIDTH), np.float32)
        depth_maps.append(DepthMap(depth, ones, np.full((HEIGHT, WIDTH), 2, np.uint8)))
    return views, depth_maps


def _texture(xyz: np.ndarray) -> np.ndarray:
    x, y = xyz[:, 0], xyz[:, 1]
    waves = [np.sin(7 * x + 3 * y), np.sin(5 * y - 2 * x + 1), np.sin(9 * x + 2)]
    return np.round(110 + 35 * np.stack(waves, 1)).astype(np.uint8)
