"""Exact scenes for tests: known points seen by known cameras, and photo files where a test needs them."""

import hashlib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recon.match_graph import MatchGraph, PairMatches
from recon.photo import Photo
from splatting.camera import Camera


@dataclass(frozen=True)
class SyntheticScene:
    """Points that every camera sees.

    Attributes:
        cameras: pinhole cameras at full photo size.
        xyz: points [N, 3] in the world frame.
        graph: row i of every photo's keypoints is point i; all pairs match completely.
    """

    cameras: tuple[Camera, ...]
    xyz: NDArray[np.float64]
    graph: MatchGraph


def looking_at(
    center: NDArray[np.floating], target: NDArray[np.floating], *, roll_deg: float = 0.0
) -> NDArray[np.float64]:
    """`cam_from_world` [4, 4] of a camera in a world whose +Y is up, turned about its optical axis by `roll_deg`."""
    z = (target - center) / np.linalg.norm(target - center)
    x = np.cross(z, [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    c, s = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    R = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.stack([x, np.cross(z, x), z])
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3], cam_from_world[:3, 3] = R, -R @ center
    return cam_from_world


def arc_of_cameras(
    num_views: int, *, spread_deg: float = 60.0, focal: float = 0.9, size: tuple[int, int] = (640, 480)
) -> tuple[Camera, ...]:
    """Cameras on an arc of radius 4 around the origin at uneven heights; `focal` in units of the longer side."""
    width, height = size
    focal_px = focal * max(size)
    K = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    cameras = []
    for i, degrees in enumerate(np.linspace(-spread_deg / 2, spread_deg / 2, num_views)):
        angle, radius = np.radians(degrees), 4 + 0.3 * (i % 2)
        center = np.array([radius * np.sin(angle), 0.5 + 0.4 * (i % 3), -radius * np.cos(angle)])
        cameras.append(Camera(K, looking_at(center, np.zeros(3)), width, height))
    return tuple(cameras)


def exact_scene(
    cameras: tuple[Camera, ...], *, num_points: int = 300, noise_px: float = 0.0, seed: int = 0
) -> SyntheticScene:
    """Random points in a cube around the origin, seen by every camera without occlusion; Gaussian noise on request."""
    generator = np.random.default_rng(seed)
    xyz = generator.uniform(-1, 1, (num_points, 3))
    noise = noise_px * generator.normal(0, 1, (len(cameras), num_points, 2))
    keypoints = tuple((c.project(xyz)[0] + n).astype(np.float32) for c, n in zip(cameras, noise, strict=True))
    same = np.repeat(np.arange(num_points)[:, None], 2, axis=1)
    pairs = tuple(PairMatches(a, b, same, num_points, None) for a, b in combinations(range(len(cameras)), 2))
    return SyntheticScene(cameras, xyz, MatchGraph(keypoints, pairs))


def write_photos(folder: Path, cameras: tuple[Camera, ...], *, focal_prior_px: float | None = None) -> list[Photo]:
    """A photo file with smooth colours for every camera, named `0.png`, `1.png`, ..., all of one lens."""
    photos = []
    for i, camera in enumerate(cameras):
        x, y = np.meshgrid(np.linspace(0, 6, camera.width), np.linspace(0, 6, camera.height))
        waves = np.stack([np.sin(x + i), np.cos(y + i), np.sin(x + y)], axis=-1)
        path = folder / f"{i}.png"
        Image.fromarray(np.round(127 + 120 * waves).astype(np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        photos.append(
            Photo(path.name, path, camera.width, camera.height, focal_prior_px, "one lens", None, False, digest)
        )
    return photos
