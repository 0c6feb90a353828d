"""Camera paths from a few views that someone chose: read from a file, and followed smoothly.

A path file is a `cameras.json` (see `recon.camera_files`) whose images are the key views in order. Besides their usual
keys, images may have `"t"`, seconds since the start of the film, and the file `"closed": true`: the film ends where it
begins. Any other file of cameras works too, in its own order.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, RotationSpline, Slerp

from recon.camera_files import camera_from_image, read_cameras
from recon.errors import ReconError
from splatting.camera import Camera

Floats = NDArray[np.float64]

_TURN_WEIGHT = 1.0  # a turn by one radian takes as long as moving by the radius of all key views
_EASE = 0.2  # of a path with ends is spent starting, and as much stopping


@dataclass(frozen=True)
class KeyViews:
    """Views that a path goes through.

    Attributes:
        cameras: at least one, all of the first one's size.
        times: when the path is at each, s, increasing from 0; None: at even speed.
        is_closed: the path goes on from the last to the first; with `times`, in their mean distance.
    """

    cameras: tuple[Camera, ...]
    times: Floats | None = None
    is_closed: bool = False

    @property
    def seconds(self) -> float | None:
        """How long the path takes by its own times."""
        if self.times is None or len(self.cameras) < 2:
            return None
        whole = float(self.times[-1])
        return whole * len(self.cameras) / (len(self.cameras) - 1) if self.is_closed else whole


def read_key_views(path: Path) -> KeyViews:
    """Read a path file.

    Raises:
        ReconError: it is missing, damaged, holds no cameras, or its times do not increase.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError):
        document = {}
    if not isinstance(document, Mapping) or "images" not in document:
        cameras = tuple(found.camera for found in read_cameras(path).values())
        return KeyViews(_of_one_size(cameras, path))
    try:
        images = document["images"]
        cameras = tuple(camera_from_image(image).camera for image in images)
        times = _times(images)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ReconError(
            f"{path} does not hold a camera path: {error!s}.", "Its images are as in a cameras.json of a project."
        ) from error
    return KeyViews(_of_one_size(cameras, path), times, document.get("closed") is True)


def along(keys: KeyViews, num_frames: int) -> list[Camera]:
    """Cameras along the path through the key views: places by Catmull-Rom, directions by a spline of rotations.

    A path with ends starts and stops gently unless its times say otherwise; a closed one leads from its last frame
    back to the first without a halt.

    Raises:
        ValueError: `num_frames` is below 1.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    cameras = keys.cameras
    if len(cameras) == 1:
        return [cameras[0]] * num_frames
    knots = _knots(keys)
    if keys.is_closed:
        at = knots[-1] * np.arange(num_frames) / num_frames
        cameras = (*cameras, cameras[0])
    else:
        share = np.arange(num_frames) / max(1, num_frames - 1)
        at = knots[-1] * (share if keys.times is not None else _eased(share))
    values = np.array([[*c.center, *np.log([c.K[0, 0], c.K[1, 1]]), c.K[0, 2], c.K[1, 2]] for c in cameras])
    found = CubicHermiteSpline(knots, values, _tangents(knots, values, keys.is_closed))(at)
    rotations = _rotations(knots, np.array([camera.R for camera in cameras]), keys.is_closed, at)
    return [_camera(cameras[0], R, row) for R, row in zip(rotations, found, strict=True)]


def _camera(like: Camera, R: Floats, row: Floats) -> Camera:
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3], cam_from_world[:3, 3] = R, -R @ row[:3]
    (fx, fy), (cx, cy) = np.exp(row[3:5]), row[5:7]
    return replace(like, K=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), cam_from_world=cam_from_world)


def _knots(keys: KeyViews) -> Floats:
    """When the path is at each key view, and at the first one again if it is closed; from 0, increasing."""
    if keys.times is not None:
        ends = [float(keys.seconds or 0)] if keys.is_closed else []
        return np.array([*keys.times, *ends])
    cameras = [*keys.cameras, *([keys.cameras[0]] if keys.is_closed else [])]
    centers = np.array([camera.center for camera in cameras])
    radius = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    steps = [
        np.linalg.norm(b.center - a.center) / max(radius, 1e-12)
        + _TURN_WEIGHT * Rotation.from_matrix(b.R @ a.R.T).magnitude()
        for a, b in pairwise(cameras)
    ]
    least = 1e-3 * max(*steps, 1e-6)  # two equal key views follow each other at once
    return np.concatenate([[0.0], np.cumsum(np.maximum(steps, least))])


def _tangents(knots: Floats, values: Floats, is_closed: bool) -> Floats:
    """Catmull-Rom for uneven times: the slope of the parabola through a key and its neighbours, [K, C]."""
    steps = np.diff(knots)[:, None]
    slopes = np.diff(values, axis=0) / steps
    if is_closed:
        before, after = np.roll(slopes, 1, axis=0), slopes
        step_before, step_after = np.roll(steps, 1, axis=0), steps
        middle = (before * step_after + after * step_before) / (step_before + step_after)
        return np.concatenate([middle, middle[:1]])
    middle = (slopes[:-1] * steps[1:] + slopes[1:] * steps[:-1]) / (steps[:-1] + steps[1:])
    return np.concatenate([slopes[:1], middle, slopes[-1:]])


def _rotations(knots: Floats, R: Floats, is_closed: bool, at: Floats) -> Floats:
    """Rotations [F, 3, 3] at times: a smooth spline, between two key views the shortest turn."""
    if len(R) < 3:
        return np.asarray(Slerp(knots, Rotation.from_matrix(R))(at).as_matrix(), np.float64)
    if is_closed:  # two rounds more: the spline does not feel where it is cut
        n, whole = len(R) - 1, knots[-1]
        R = np.concatenate([R[:n], R[:n], R])
        knots = np.concatenate([knots[:n] - whole, knots[:n], knots + whole])
    return np.asarray(RotationSpline(knots, Rotation.from_matrix(R))(at).as_matrix(), np.float64)


def _eased(share: Floats) -> Floats:
    """Shares of the way for shares of the time: even speed, gained and lost over `_EASE` of the time."""
    top = 1 / (1 - _EASE)
    start = 0.5 * top * share**2 / _EASE
    end = 1 - 0.5 * top * (1 - share) ** 2 / _EASE
    return np.where(share < _EASE, start, np.where(share > 1 - _EASE, end, top * (share - 0.5 * _EASE)))


def _times(images: list[dict[str, Any]]) -> Floats | None:
    given = [image["t"] for image in images if "t" in image]
    if not given:
        return None
    if len(given) != len(images):
        raise ValueError("either all key views have a time t, or none")
    times = np.array(given, np.float64)
    if not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise ValueError("the times t of the key views do not increase")
    return times - times[0]


def _of_one_size(cameras: tuple[Camera, ...], path: Path) -> tuple[Camera, ...]:
    """All in the size of the first."""
    if not cameras:
        raise ReconError(f"{path} holds no cameras.", "A camera path needs one key view at least.")
    width, height = cameras[0].width, cameras[0].height
    if any(abs(camera.width * height - camera.height * width) > 0.02 * width * camera.height for camera in cameras):
        raise ReconError(f"The key views in {path} differ in their proportions.", "Give all of them one size.")
    return tuple(camera.resized(width, height) for camera in cameras)
