"""Camera paths for films: smooth, closed, and never far from where photos were taken."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from recon.align import moved_camera, rotation_between
from splatting.camera import Camera

MIDDLE_SHARE = 0.5  # of width and height: the part of a photo that shows what it was taken of
_WORLD_UP = np.array([0.0, 1.0, 0.0])
# Photos all around an object leave no gap between neighbours larger than this; a full circle then stays near them.
_LARGEST_GAP_OF_CIRCLE_DEG = 75.0
_SMOOTHING_DEG = 12.0
_COMFORTABLE_DEG_PER_S = 25.0
_LEAST_SECONDS, _MOST_SECONDS = 4.0, 15.0
_LIFT = 0.02  # above the ground, in median distances from the cameras: what stands there
_LEAST_SUBJECT = 0.1  # of what is in the middle of the photos
_SAMPLES = 720  # of the tables that the path is read from


def scene_center(xyz: NDArray[np.floating], cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """What the photos show in their middle: the median of the points that many cameras see there.

    Where the optical axes meet says nothing when the cameras look the same way.

    Args:
        xyz: points on the scene's surfaces, in the world frame [N, 3].
        cameras: the training cameras.

    Returns:
        A point [3] in the world frame.

    Raises:
        ValueError: there are no points or no cameras.
    """
    if not len(xyz) or not cameras:
        raise ValueError(f"points and cameras are needed, got {len(xyz)} and {len(cameras)}")
    votes = _votes(xyz, cameras)
    enough = np.median(votes[votes > 0]) if votes.any() else 0
    return np.median(xyz[votes >= enough], axis=0).astype(np.float64)


def subject_center(
    xyz: NDArray[np.floating], cameras: Sequence[Camera], up: NDArray[np.floating], ground: float
) -> NDArray[np.float64]:
    """`scene_center` of what stands on the ground, if the photos' middles show that: a thing, not the table under it.

    Args:
        xyz: points on the scene's surfaces, in the world frame [N, 3].
        cameras: the training cameras.
        up: of the world, [3], of unit length.
        ground: height of the ground along it.

    Raises:
        ValueError: there are no points or no cameras.
    """
    if not len(xyz) or not cameras:
        raise ValueError(f"points and cameras are needed, got {len(xyz)} and {len(cameras)}")
    some = xyz[:: max(1, len(xyz) // 1000)]
    distance = np.median([np.linalg.norm(some - camera.center, axis=1) for camera in cameras])
    stands = xyz @ up - ground > _LIFT * distance
    votes = _votes(xyz, cameras)
    is_subject = votes[stands].sum() >= _LEAST_SUBJECT * votes.sum()
    return scene_center(xyz[stands] if is_subject and stands.any() else xyz, cameras)


def _votes(xyz: NDArray[np.floating], cameras: Sequence[Camera]) -> NDArray[np.int64]:
    """How many cameras see each point in the middle of their picture, [N]."""
    votes = np.zeros(len(xyz), np.int64)
    for camera in cameras:
        pixels, depth = camera.project(xyz)
        from_middle = np.abs(pixels / [camera.width, camera.height] - 0.5).max(axis=1)
        votes += (depth > 0) & (from_middle < MIDDLE_SHARE / 2)
    return votes


def turntable(
    cameras: Sequence[Camera],
    center: NDArray[np.floating],
    num_frames: int = 120,
    *,
    up: NDArray[np.floating] = _WORLD_UP,
) -> list[Camera]:
    """A closed path around what the cameras look at, through the places where photos were taken.

    The angle about the vertical axis through `center` goes once around if photos surround it, else to and fro within
    the photos' angular range; height and distance follow those of the nearby photos. The last frame leads back to
    the first. Up is up in every frame; intrinsics are those of the first camera, with a centred principal point.

    Args:
        cameras: the training cameras.
        center: what to look at [3], such as `scene_center`.
        up: of the world, [3], of unit length.

    Raises:
        ValueError: there are no cameras or `num_frames` is below 1.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    target = np.asarray(center, np.float64)
    if not cameras or target.shape != (3,):
        raise ValueError(f"one camera and a center [3] are needed, got {len(cameras)} and {list(target.shape)}")
    R, stays = rotation_between(np.asarray(up, np.float64), _WORLD_UP), np.zeros(3)
    path = _upright_turntable([moved_camera(camera, 1.0, R, stays) for camera in cameras], R @ target, num_frames)
    return [moved_camera(camera, 1.0, R.T, stays) for camera in path]


def turning_seconds(cameras: Sequence[Camera], center: NDArray[np.floating], up: NDArray[np.floating]) -> float:
    """How long a film of `turntable` should take for the eye to follow: 25 degrees a second, 4 to 15 s."""
    R = rotation_between(np.asarray(up, np.float64), _WORLD_UP)
    offsets = (_centers(cameras) - center) @ R.T
    _, extent, is_circle = angular_range(np.arctan2(offsets[:, 0], offsets[:, 2]))
    way = np.rad2deg(extent) * (1 if is_circle else 2)
    return float(np.clip(way / _COMFORTABLE_DEG_PER_S, _LEAST_SECONDS, _MOST_SECONDS))


def _upright_turntable(cameras: Sequence[Camera], target: NDArray[np.float64], num_frames: int) -> list[Camera]:
    """`turntable` where +Y is up."""
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
