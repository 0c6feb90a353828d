"""Camera paths for films: smooth, closed, and never far from where photos were taken."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from splatting.camera import Camera

_WORLD_UP = np.array([0.0, 1.0, 0.0])
# Photos all around an object leave no gap between neighbours larger than this; a full circle then stays near them.
_LARGEST_GAP_OF_CIRCLE_DEG = 75.0
_SMOOTHING_DEG = 12.0
_SAMPLES = 720  # of the tables that the path is read from


def scene_center(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """The point nearest to all optical axes [3], in front of the cameras: what they look at.

    Nearly parallel axes leave its depth open; a small pull towards the cameras keeps it finite.

    Raises:
        ValueError: there are no cameras.
    """
    if not cameras:
        raise ValueError("cameras must not be empty")
    centers, axes = _centers(cameras), np.stack([camera.R[2] for camera in cameras])
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).mean() if len(cameras) > 1 else 1.0
    projectors = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    guess = centers.mean(axis=0) + 2 * max(spread, 1e-6) * axes.mean(axis=0)
    pull = 1e-3 * len(cameras) * np.eye(3)
    center = np.linalg.solve(projectors.sum(axis=0) + pull, np.einsum("nij,nj->i", projectors, centers) + pull @ guess)
    is_in_front = np.einsum("ij,ij->i", axes, center - centers) > 0
    return center if is_in_front.mean() > 0.5 else guess


def turntable(
    cameras: Sequence[Camera], center: NDArray[np.floating] | None = None, num_frames: int = 120
) -> list[Camera]:
    """A closed path around what the cameras look at, through the places where photos were taken.

    The angle about the vertical axis through `center` goes once around if photos surround it, else to and fro within
    the photos' angular range; height and distance follow those of the nearby photos. The last frame leads back to
    the first. World +Y is up in every frame; intrinsics are those of the first camera, with a centred principal point.

    Args:
        cameras: the training cameras, in an upright world frame.
        center: what to look at [3]; `scene_center(cameras)` if None.

    Raises:
        ValueError: there are no cameras or `num_frames` is below 1.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    target = scene_center(cameras) if center is None else np.asarray(center, np.float64)
    if not cameras or target.shape != (3,):
        raise ValueError(f"one camera and a center [3] are needed, got {len(cameras)} and {list(target.shape)}")
    offsets = _centers(cameras) - target
    azimuth = np.arctan2(offsets[:, 0], offsets[:, 2])
    start, extent, is_circle = angular_range(azimuth)
    time = np.arange(num_frames) / num_frames
    # To and fro with a cosine: slow at the ends, no jerk where the film starts again.
    share = time if is_circle else 0.5 - 0.5 * np.cos(2 * np.pi * time)
    cylinder = np.stack([np.hypot(offsets[:, 0], offsets[:, 2]), offsets[:, 1]], axis=1)  # radius, height
    along = np.mod(azimuth - start, 2 * np.pi)
    radius, height = _follow(along, cylinder, extent, share, is_circle).T
    angle = start + share * extent
    eyes = target + np.stack([radius * np.sin(angle), height, radius * np.cos(angle)], axis=1)
    first = cameras[0]
    K = first.K.copy()
    K[0, 2], K[1, 2] = first.width / 2, first.height / 2
    return [Camera(K, look_at(eye, target), first.width, first.height) for eye in eyes]


def look_at(eye: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """`cam_from_world` [4, 4] of a camera at `eye` that looks at `target` with world +Y up in the image."""
    forward = np.asarray(target - eye, np.float64)
    length = np.linalg.norm(forward)
    if length == 0:
        raise ValueError("eye and target are the same point")
    forward /= length
    right = np.cross(forward, _WORLD_UP)
    if np.linalg.norm(right) < 1e-6:  # straight up or down: any right will do
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = right, np.cross(forward, right), forward
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ eye
    return cam_from_world


def angular_range(azimuth: NDArray[np.floating]) -> tuple[float, float, bool]:
    """Where directions begin, how far they reach (rad), and whether they surround the centre: 2 pi then."""
    ordered = np.sort(np.mod(azimuth, 2 * np.pi))
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * np.pi))
    widest = int(np.argmax(gaps))
    start = float(ordered[(widest + 1) % len(ordered)])
    if len(ordered) > 2 and gaps[widest] <= np.deg2rad(_LARGEST_GAP_OF_CIRCLE_DEG):
        return start, 2 * np.pi, True
    return start, float(2 * np.pi - gaps[widest]), False


def _follow(
    along: NDArray[np.floating],
    values: NDArray[np.floating],
    extent: float,
    share: NDArray[np.floating],
    is_circle: bool,
) -> NDArray[Any]:
    """Values [F, 2] along the path: piecewise linear between the photos by angle, then smoothed."""
    order = np.argsort(along)
    grid = np.linspace(0, extent, _SAMPLES, endpoint=not is_circle)
    period = 2 * np.pi if is_circle else None
    sigma = np.deg2rad(_SMOOTHING_DEG) / max(extent / _SAMPLES, 1e-9)
    mode = "wrap" if is_circle else "nearest"
    columns = []
    for column in values[order].T:
        table = gaussian_filter1d(np.interp(grid, along[order], column, period=period), min(sigma, _SAMPLES), mode=mode)
        columns.append(np.interp(share * extent, grid, table, period=period))
    return np.stack(columns, axis=1)


def _centers(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    return np.stack([camera.center for camera in cameras])
