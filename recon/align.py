"""Similarities between worlds: fitting them, applying them, and standing a reconstruction upright."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon.scene import Reconstruction
from splatting.camera import Camera

_UP = np.array([0.0, 1.0, 0.0])
# Photographers roll a camera by about 3 degrees but tilt it up and down by about 20, so the x axes tell more of the
# vertical than the y axes do: (3 / 20)^2.
_TILT_WEIGHT = 0.0225


def similarity_from_points(
    source: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares similarity with `target = scale * R @ source + t` [1]. Not robust to outliers.

    Args:
        source, target: corresponding points [N, 3], N at least 3 and not all on one line.

    Returns:
        scale, R [3, 3] (a proper rotation, also for mirrored points), t [3].

    Raises:
        ValueError: shapes differ, or the points do not determine a similarity.

    [1] Umeyama, Least-squares estimation of transformation parameters, PAMI 1991.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise ValueError(f"source and target must both be [N, 3], got {source.shape} and {target.shape}")
    if len(source) < 3:
        raise ValueError(f"a similarity needs at least 3 points, got {len(source)}")
    centred_source, centred_target = source - source.mean(axis=0), target - target.mean(axis=0)
    U, singular, Vt = np.linalg.svd(centred_target.T @ centred_source)
    if singular[1] <= 1e-12 * max(singular[0], 1e-300):
        raise ValueError("points on one line do not determine a similarity")
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    R = U @ np.diag(signs) @ Vt
    scale = float((singular * signs).sum() / np.sum(centred_source**2))
    return scale, R, target.mean(axis=0) - scale * R @ source.mean(axis=0)


def similarity_from_cameras(
    source: Sequence[Camera], target: Sequence[Camera]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares similarity that moves cameras onto others; two are enough, and all may stand on one line.

    The rotation is that of the cameras' axes (chordal mean), scale and translation are those of their centres.

    Args:
        source, target: the same cameras in both worlds, at least two.

    Returns:
        scale, R [3, 3], t [3] with `target = scale * R @ source + t`.

    Raises:
        ValueError: numbers differ, or all cameras stand at one place.
    """
    if len(source) != len(target):
        raise ValueError(f"source and target must be the same cameras, got {len(source)} and {len(target)}")
    U, _, Vt = np.linalg.svd(sum((b.R.T @ a.R for a, b in zip(source, target, strict=True)), np.zeros((3, 3))))
    R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    from_centers, to_centers = (np.array([camera.center for camera in cameras]) for cameras in (source, target))
    if len(source) < 2 or not np.ptp(from_centers, axis=0).any():
        raise ValueError("cameras at one place give no scale")
    from_mean, to_mean = from_centers.mean(axis=0), to_centers.mean(axis=0)
    turned = (from_centers - from_mean) @ R.T
    scale = float(np.sum(turned * (to_centers - to_mean)) / np.sum(turned**2))
    return scale, R, to_mean - scale * R @ from_mean


def moved_camera(camera: Camera, scale: float, R: NDArray[np.float64], t: NDArray[np.float64]) -> Camera:
    """The same camera in the world `scale * R @ x + t`; it sees moved points at the same pixels."""
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = camera.R @ R.T
    cam_from_world[:3, 3] = scale * camera.t - cam_from_world[:3, :3] @ t
    return replace(camera, cam_from_world=cam_from_world)


def moved(
    reconstruction: Reconstruction, scale: float, R: NDArray[np.float64], t: NDArray[np.float64]
) -> Reconstruction:
    """The reconstruction in the world `scale * R @ x + t`; pixels and errors stay."""
    views = tuple(replace(view, camera=moved_camera(view.camera, scale, R, t)) for view in reconstruction.views)
    points = replace(reconstruction.points, xyz=scale * reconstruction.points.xyz @ R.T + t)
    return replace(reconstruction, views=views, points=points)


def upright(reconstruction: Reconstruction) -> Reconstruction:
    """Stand a reconstruction up by one similarity applied to all of it.

    Afterwards +Y is up (see `up_direction`), the origin is the median of each coordinate of the sparse points, and the
    median distance from the cameras to the sparse points in front of them is 1. Without points, the origin is the
    mean camera and the mean distance of the cameras from it is 1.

    Raises:
        ValueError: there are no views, or neither points nor two different cameras that give a scale.
    """
    if not reconstruction.views:
        raise ValueError("a reconstruction without views has no up")
    cameras = [view.camera for view in reconstruction.views]
    centers = np.array([camera.center for camera in cameras])
    xyz = reconstruction.points.xyz
    R = rotation_between(up_direction(np.array([camera.R for camera in cameras])), _UP)
    middle = np.median(xyz @ R.T, axis=0) if len(xyz) else centers.mean(axis=0) @ R.T
    distances = [np.linalg.norm(xyz[c.project(xyz)[1] > 0] - c.center, axis=1) for c in cameras]
    if not sum(map(len, distances)):
        distances = [np.linalg.norm(centers @ R.T - middle, axis=1)]
    unit = float(np.median(np.concatenate(distances)))
    if not unit > 0:
        raise ValueError("the cameras and points coincide and give no scale")
    return moved(reconstruction, 1 / unit, R, -middle / unit)


def up_direction(cam_from_world_rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """The world's up as the photographer held the camera, [3], of unit length.

    First the geometric median of the cameras' own up directions (their -y axes): a minority of photos that are
    turned or upside down does not pull it. Then the horizontal axis of each camera (x, or y where the photo is
    turned by a quarter) must be perpendicular to it: this removes the tilt of photos taken from above.

    Args:
        cam_from_world_rotations: [V, 3, 3], V at least 1.
    """
    rotations = np.asarray(cam_from_world_rotations, np.float64)
    rough = _median_direction(-rotations[:, 1])
    lies_flat = np.abs(rotations[:, 0] @ rough) <= np.abs(rotations[:, 1] @ rough)
    horizontal = np.where(lies_flat[:, None], rotations[:, 0], rotations[:, 1])
    # argmin over u of sum (u . x_i)^2 + w |u - rough|^2, V-normalised
    normal = horizontal.T @ horizontal / len(horizontal) + _TILT_WEIGHT * np.eye(3)
    up = np.linalg.solve(normal, rough)
    return up / np.linalg.norm(up)


def _median_direction(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Geometric median of unit vectors [V, 3] by Weiszfeld's iteration; started at the most central of them."""
    distances = np.linalg.norm(directions[:, None] - directions[None], axis=-1)
    median = directions[np.argmin(distances.sum(axis=1))]
    for _ in range(50):
        weights = 1 / np.maximum(np.linalg.norm(directions - median, axis=1), 1e-3)
        median = weights @ directions / weights.sum()
    return median / np.linalg.norm(median)


def rotation_between(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotation [3, 3] that takes one unit vector to another."""
    axis, cosine = np.cross(source, target), float(source @ target)
    if cosine < -1 + 1e-12:  # half a turn about any axis perpendicular to both
        perpendicular = np.cross(source, np.eye(3)[np.argmin(np.abs(source))])
        perpendicular /= np.linalg.norm(perpendicular)
        return 2 * np.outer(perpendicular, perpendicular) - np.eye(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
