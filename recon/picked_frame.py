"""What is up, and how long something is, said by points that were picked in the finished scene."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recon.frame import Frame, framed_camera
from recon.frame_wish import FrameWish
from recon.real_scale import METRES
from recon.scene import DepthMap, View
from recon.undistort import distort

Floats = NDArray[np.float64]

_SAME_PLACE = 0.03  # relative difference of a depth map and a picked point's depth that mean one place
_LEAST_AREA = 1e-4  # of three points, relative to their distances squared: they must not lie on a line


def up_of_points(points: Sequence[Floats], cameras: Sequence[Floats], frame: Frame) -> FrameWish:
    """The wish that the plane through three points is level, with the cameras above it.

    Args:
        points: three of a floor or table [3], in the frame.
        cameras: centres [3], in the frame.
        frame: of the project's files.

    Raises:
        ValueError: there are not three points, or they lie on a line.
    """
    if len(points) != 3:
        raise ValueError(f"three points are needed, got {len(points)}")
    a, b, c = (np.asarray(point, np.float64) for point in points)
    normal = np.cross(b - a, c - a)
    length = float(np.linalg.norm(normal))
    if not length > _LEAST_AREA * max(float((b - a) @ (b - a)), float((c - a) @ (c - a))):
        raise ValueError("the three points lie on a line")
    normal *= np.sign((np.mean(cameras, axis=0) - a) @ normal) or 1.0
    direction = frame.R.T @ normal / length
    return FrameWish(up=",".join(f"{value:.6f}" for value in direction))


def length_between(
    a: Floats, b: Floats, length: str, views: Sequence[View], frame: Frame, depth_maps: Sequence[DepthMap]
) -> FrameWish:
    """The wish that it is so long between two points.

    Args:
        a, b: picked points [3], in the frame.
        length: number and unit, as in "32cm".
        views: the training views, in the world of the stages.
        frame: of the project's files.
        depth_maps: one per view.

    Raises:
        ValueError: no photo shows one of the points, or the length cannot be read.
    """
    found = [_spots(np.asarray(point, np.float64), views, frame, depth_maps) for point in (a, b)]
    if not all(found):
        raise ValueError("no photo shows one of the points")
    both = found[0].keys() & found[1].keys()
    if both:  # one photo for both: errors of its camera cancel
        name = min(both, key=lambda name: found[0][name][0] + found[1][name][0])
        spots = [found[0][name][1], found[1][name][1]]
    else:
        spots = [min(own.values())[1] for own in found]
    try:
        return FrameWish(scale=f"{spots[0]},{spots[1]}={length.replace(' ', '').replace(',', '.')}")
    except ValueError:
        raise ValueError(f"a length is a number and one of {', '.join(METRES)}, not '{length}'") from None


def _spots(
    point: Floats, views: Sequence[View], frame: Frame, depth_maps: Sequence[DepthMap]
) -> dict[str, tuple[float, str]]:
    """The point as `PHOTO:x%,y%` in each photo that shows it, by its name, with a cost.

    Depth maps should know the point; where none does, it should lie near the middle.
    """
    spots = {}
    for view, depth_map in zip(views, depth_maps, strict=True):
        camera = framed_camera(frame, view.camera)
        (pixel,), (depth,) = camera.project(point[None])
        size = np.array([camera.width, camera.height])
        if depth <= 0 or not ((pixel >= 0) & (pixel < size)).all():
            continue
        known = frame.scale * float(depth_map.depth[int(pixel[1]), int(pixel[0])])
        off = abs(known / depth - 1) if known > 0 else np.inf
        focal, middle = np.array([camera.K[0, 0], camera.K[1, 1]]), camera.K[:2, 2]
        bent = distort(((pixel - middle) / focal)[None], np.array(view.removed_distortion))[0] * focal + middle
        x, y = 100 * bent / size
        if 0 <= x <= 100 and 0 <= y <= 100:
            cost = off if off < _SAME_PLACE else 1.0 + float(np.abs(pixel / size - 0.5).max())
            spots[view.name] = cost, f"{view.name}:{x:.3f}%,{y:.3f}%"
    return spots
