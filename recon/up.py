"""Which way is up: what the cameras say, made precise by floors, tables and walls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon.align import up_direction
from recon.scene import DepthMap, View

Floats = NDArray[np.float64]

# Photographers roll a camera by about 3 degrees and tilt it by about 20; everything below is measured in rolls.
_ROLL_DEG = 3.0
_TILT_WEIGHT = (_ROLL_DEG / 20) ** 2
_FLOOR_WEIGHT = (_ROLL_DEG / 1.0) ** 2  # floors and tables lie flat within about a degree
_WALL_WEIGHT = (_ROLL_DEG / 1.5) ** 2
# A floor may differ from what the cameras say by 7.5 degrees sideways, and by 50 where all photos were taken from one
# side and nothing tells how far they look down.
_MOST_FLOOR_DOUBT = 2.5
_MOST_WALL_DOUBT = 1.5  # standard deviations of what the cameras know of up; what leans more is no wall
_MOST_LEAN_DEG = 3.0  # of a wall that stands on a floor
_LEAST_SHARE = 0.06  # of the surface; smaller planes are found in clutter
# Without normals planes are found in anything: two of four scenes had a wrong one, of 16 and 23 % of the points.
_LEAST_SHARE_OF_POINTS = 0.25
_FULL_SHARE = 0.2  # planes of this much of the surface count fully
_LEAST_WIDTH = 0.06  # standard deviation along the shorter side of a plane, in median distances from the cameras
_THICKNESS = 0.01  # how far points of a plane lie off it, in median distances from the cameras
_SAME_NORMAL = np.cos(np.deg2rad(30))
_NUM_TRIALS = 400
_NUM_SAMPLES = 4000
_GRID = 160  # samples along the longer side of a depth map


@dataclass(frozen=True)
class Surface:
    """Points on the scene's surfaces, with normals where they are known.

    Attributes:
        xyz: [N, 3] in the world frame.
        normals: [N, 3] of unit length, towards the cameras; None if they are not known.
    """

    xyz: Floats
    normals: Floats | None = None


@dataclass(frozen=True)
class Plane:
    """A flat part of the surface.

    Attributes:
        normal: [3], of unit length.
        offset: `normal @ x` of its points x.
        share: of the surface's points that lie on it.
    """

    normal: Floats
    offset: float
    share: float


@dataclass(frozen=True)
class Up:
    """Which way is up, and how that was found.

    Attributes:
        direction: [3], of unit length.
        floor: the floor, table or ground that the scene stands on; None if none was found.
        num_walls: upright planes that had a say.
    """

    direction: Floats
    floor: Plane | None
    num_walls: int


def surface_of_depth(views: Sequence[View], depth_maps: Sequence[DepthMap]) -> Surface:
    """Points and normals of depth maps on a coarse grid; both may be empty."""
    parts = [_samples(view, depth_map.depth) for view, depth_map in zip(views, depth_maps, strict=True)]
    xyz = np.concatenate([np.zeros((0, 3)), *(part[0] for part in parts)])
    return Surface(xyz, np.concatenate([np.zeros((0, 3)), *(part[1] for part in parts)]))


def find_up(rotations: Floats, surface: Surface, distance: float) -> Up:
    """Up from the cameras, then from the planes that fit to it.

    The horizontal axes of the cameras ought to be perpendicular to it (see `recon.align.up_direction`), the largest
    floor too, within a degree, and walls to stand upright: the least-squares solution of all.

    Args:
        rotations: cam_from_world rotations of the cameras [V, 3, 3].
        surface: may be empty.
        distance: median distance from the cameras to the surface, the measure for everything.
    """
    rough = up_direction(rotations)
    prior = _camera_information(rotations, rough)
    surface = _thinned(surface)
    doubts = _doubts_about(rough, prior)

    def like_a_floor(normals: Floats) -> Floats:
        doubt = doubts(normals)
        return np.asarray(np.exp(-0.5 * (doubt / 1.5) ** 2) * (doubt < _MOST_FLOOR_DOUBT))

    floor = _best_plane(surface, distance, like_a_floor)
    if surface.normals is None:
        is_sure = floor is not None and floor.share >= _LEAST_SHARE_OF_POINTS
        return _combined(rough, prior, floor if is_sure else None, [])
    if floor is not None:
        return _combined(rough, prior, floor, _walls(surface, distance, floor.normal, np.zeros((3, 3))))
    return _combined(rough, prior, None, _walls(surface, distance, rough, np.asarray(np.linalg.inv(prior), np.float64)))


def _walls(surface: Surface, distance: float, up: Floats, covariance: Floats) -> list[Plane]:
    """The upright planes, the largest first; two at most.

    Args:
        up: of the floor, or of the cameras.
        covariance: of it, in squared rolls [3, 3].
    """

    def like_a_wall(normals: Floats) -> Floats:
        spread = _ROLL_DEG * np.sqrt(np.einsum("ti,ij,tj->t", normals, covariance, normals))
        lean = np.rad2deg(np.arcsin(np.clip(np.abs(normals @ up), 0, 1)))
        return np.asarray(lean <= np.maximum(_MOST_LEAN_DEG, _MOST_WALL_DOUBT * spread), np.float64)

    found: list[Plane] = []
    rest = surface
    for _ in range(2):
        plane = _best_plane(rest, distance, like_a_wall)
        if plane is None:
            break
        off = np.abs(rest.xyz @ plane.normal - plane.offset) > 3 * _THICKNESS * distance
        share = plane.share * len(rest.xyz) / len(surface.xyz)
        found += [Plane(plane.normal, plane.offset, share)] if share >= _LEAST_SHARE else []
        rest = Surface(rest.xyz[off], None if rest.normals is None else rest.normals[off])
    return found


def _combined(rough: Floats, prior: Floats, floor: Plane | None, walls: Sequence[Plane]) -> Up:
    """argmin over u of the cameras' and the planes' weighted squares."""
    normal = prior.copy()
    right = _TILT_WEIGHT * rough
    for wall in walls:
        normal += _WALL_WEIGHT * min(1.0, wall.share / _FULL_SHARE) * np.outer(wall.normal, wall.normal)
    if floor is not None:
        weight = _FLOOR_WEIGHT * min(1.0, floor.share / _FULL_SHARE)
        normal += weight * np.eye(3)
        right = right + weight * floor.normal
    up = np.linalg.solve(normal, right)
    return Up(up / np.linalg.norm(up), floor, len(walls))


def _camera_information(rotations: Floats, rough: Floats) -> Floats:
    """The matrix [3, 3] of `recon.align.up_direction`: what the cameras know about up, in squared rolls."""
    lies_flat = np.abs(rotations[:, 0] @ rough) <= np.abs(rotations[:, 1] @ rough)
    horizontal = np.where(lies_flat[:, None], rotations[:, 0], rotations[:, 1])
    return np.asarray(horizontal.T @ horizontal / len(horizontal) + _TILT_WEIGHT * np.eye(3), np.float64)


def _doubts_about(rough: Floats, information: Floats) -> Callable[[Floats], Floats]:
    """How many rolls directions [T, 3] are off what the cameras say."""

    def doubts(directions: Floats) -> Floats:
        off = directions - rough
        return np.asarray(np.sqrt(np.einsum("ti,ij,tj->t", off, information, off)) / np.deg2rad(_ROLL_DEG))

    return doubts


def _best_plane(surface: Surface, distance: float, value: Callable[[Floats], Floats]) -> Plane | None:
    """The plane with the most points times the value of its normal (0 refuses it), by RANSAC and a refit [1].

    [1] Fischler & Bolles, Random sample consensus, Communications of the ACM, 1981.
    """
    xyz, n = surface.xyz, len(surface.xyz)
    if n < 50:
        return None
    generator = np.random.default_rng(0)
    may_lie = np.arange(n)
    if surface.normals is not None:
        may_lie = np.nonzero(_either_side(value, surface.normals) > 0)[0]
        if len(may_lie) < 3:
            return None
    a, b, c = xyz[may_lie[generator.integers(0, len(may_lie), (3, _NUM_TRIALS))]]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-6 * distance**2
    normals, a = normals[usable] / lengths[usable, None], a[usable]
    flips = np.where(value(-normals) > value(normals), -1.0, 1.0)
    normals *= flips[:, None]
    counts = np.array([_inliers(surface, m, m @ point, distance).sum() for m, point in zip(normals, a, strict=True)])
    scores = counts * value(normals) if len(counts) else np.zeros(1)
    if not scores.max() > 0:
        return None
    best = int(scores.argmax())
    return _refit(surface, normals[best], float(normals[best] @ a[best]), distance)


def _refit(surface: Surface, normal: Floats, offset: float, distance: float) -> Plane | None:
    """The least-squares plane of the points near one; None if they are few or on a line."""
    for _ in range(3):
        near = surface.xyz[_inliers(surface, normal, offset, distance)]
        if len(near) < max(30, _LEAST_SHARE * len(surface.xyz)):
            return None
        center = near.mean(axis=0)
        _, spread, axes = np.linalg.svd(near - center, full_matrices=False)
        if spread[1] / np.sqrt(len(near)) < _LEAST_WIDTH * distance:
            return None
        normal = axes[2] * np.sign(axes[2] @ normal)
        offset = float(normal @ center)
    return Plane(normal, offset, len(near) / len(surface.xyz))


def _inliers(surface: Surface, normal: Floats, offset: float, distance: float) -> NDArray[np.bool_]:
    near = np.abs(surface.xyz @ normal - offset) < _THICKNESS * distance
    if surface.normals is not None:
        near &= np.abs(surface.normals @ normal) > _SAME_NORMAL
    return np.asarray(near)


def _either_side(value: Callable[[Floats], Floats], normals: Floats) -> Floats:
    return np.maximum(value(normals), value(-normals))


def _thinned(surface: Surface) -> Surface:
    """No more points than are needed, at random."""
    if len(surface.xyz) <= _NUM_SAMPLES:
        return surface
    kept = np.random.default_rng(0).permutation(len(surface.xyz))[:_NUM_SAMPLES]
    return Surface(surface.xyz[kept], None if surface.normals is None else surface.normals[kept])


def _samples(view: View, depth: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Points and normals of one depth map in the world frame, where all four neighbours on the grid are known."""
    step = max(1, max(depth.shape) // _GRID)
    z = depth[::step, ::step].astype(np.float64)
    if min(z.shape) < 3:
        return np.zeros((0, 3)), np.zeros((0, 3))
    row, column = np.mgrid[: z.shape[0], : z.shape[1]] * step + 0.5
    xyz = view.camera.unproject(np.stack([column.ravel(), row.ravel()], 1), z.ravel()).reshape(*z.shape, 3)
    around = np.stack([z[1:-1, 2:], z[1:-1, :-2], z[2:, 1:-1], z[:-2, 1:-1]])
    middle = z[1:-1, 1:-1]
    smooth = (middle > 0) & (around > 0).all(axis=0) & (np.abs(around - middle).max(axis=0) < 0.1 * middle)
    normals = np.cross(xyz[2:, 1:-1] - xyz[:-2, 1:-1], xyz[1:-1, 2:] - xyz[1:-1, :-2])[smooth]
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    points = xyz[1:-1, 1:-1][smooth]
    normals = normals / np.maximum(lengths, 1e-300)
    towards = np.sign(((view.camera.center - points) * normals).sum(axis=1, keepdims=True))
    return points[lengths[:, 0] > 0], (normals * towards)[lengths[:, 0] > 0]
