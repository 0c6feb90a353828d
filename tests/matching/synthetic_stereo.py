"""Ray-cast photos of textured planes and spheres with exact depth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """A textured surface in the world frame.

    Attributes:
        hit: distances along unit-z rays: (origins [3], directions [N, 3]) -> [N], inf where missed.
        period: size of the texture's finest wave in world units.
    """

    hit: Callable[[Floats, Floats], Floats]
    period: float


def plane(point: Sequence[float], normal: Sequence[float], period: float = 0.02) -> Shape:
    """An endless plane."""

    def hit(origin: Floats, directions: Floats) -> Floats:
        along = directions @ np.asarray(normal)
        distance = (np.asarray(point) - origin) @ np.asarray(normal) / np.where(along == 0, 1e-12, along)
        return np.where(distance > 1e-6, distance, np.inf)

    return Shape(hit, period)


def sphere(centre: Sequence[float], radius: float, period: float = 0.02) -> Shape:
    """The front of a ball."""

    def hit(origin: Floats, directions: Floats) -> Floats:
        towards = np.asarray(centre) - origin
        a, b = (directions**2).sum(1), directions @ towards
        discriminant = b**2 - a * (towards @ towards - radius**2)
        distance = (b - np.sqrt(np.maximum(discriminant, 0))) / a
        return np.where((discriminant > 0) & (distance > 1e-6), distance, np.inf)

    return Shape(hit, period)


def texture(xyz: Floats, period: float) -> Floats:
    """Grey 20..235 of world points [..., 3]: waves in many directions, from `period` to 24 periods."""
    rng = np.random.default_rng(7)
    total = np.zeros(xyz.shape[:-1])
    for octave in np.linspace(0, np.log2(24), 24):
        wave = rng.normal(size=3)
        wave *= 2 * np.pi / (period * 2**octave * np.linalg.norm(wave))
        total += np.sin(xyz @ wave + rng.uniform(0, 2 * np.pi)) / np.sqrt(12)
    return 127.5 + 107.5 * np.tanh(total)


def intrinsics(width: int, height: int, focal_px: float) -> Floats:
    """K of a camera with a centred principal point, [3, 3]."""
    return np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1.0]])


def looking_at(centre: Sequence[float], target: Sequence[float]) -> Floats:
    """cam_from_world [4, 4] of a camera at `centre` that looks at `target`; y of the world is down."""
    forward = np.asarray(target, float) - np.asarray(centre, float)
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, -R @ np.asarray(centre, float)
    return T


def render(
    shapes: Sequence[Shape], K: Floats, cam_from_world: Floats, width: int, height: int, samples: int = 2
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Render grey [H, W] (0 to 255, `samples`^2 rays a pixel) and depth at pixel centres [H, W] (0 = nothing)."""
    gray = np.zeros((height, width))
    for row in range(samples):
        for column in range(samples):
            gray += _cast(shapes, K, cam_from_world, width, height, (column + 0.5) / samples, (row + 0.5) / samples)[0]
    depth = _cast(shapes, K, cam_from_world, width, height, 0.5, 0.5)[1]
    return (gray / samples**2).astype(np.float32), depth.astype(np.float32)


def _cast(
    shapes: Sequence[Shape], K: Floats, cam_from_world: Floats, width: int, height: int, dx: float, dy: float
) -> tuple[Floats, Floats]:
    R, t = cam_from_world[:3, :3], cam_from_world[:3, 3]
    x, y = np.meshgrid(np.arange(width) + dx, np.arange(height) + dy)
    in_camera = (
        np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1) @ np.linalg.inv(K).T
    )  # z is 1: distance = depth
    directions, origin = in_camera @ R, -R.T @ t
    depths = np.stack([shape.hit(origin, directions) for shape in shapes])  # [shapes, N]
    nearest = depths.argmin(0)
    depth = depths.min(0)
    is_hit = np.isfinite(depth)
    xyz = origin + np.where(is_hit, depth, 1)[:, None] * directions
    gray = np.zeros(len(depth))
    for index, shape in enumerate(shapes):
        mine = is_hit & (nearest == index)
        gray[mine] = texture(xyz[mine] + 17 * index * shape.period, shape.period)
    return gray.reshape(height, width), np.where(is_hit, depth, 0).reshape(height, width)
