"""Several cameras that are tied by relative poses, and the classical way to place them all at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_TREES = 24
_ROUNDS = 10  # of iterative reweighting
_ROTATION_SCALE_RAD = np.radians(3.0)  # residuals from here on count less
_DIRECTION_SCALE = 0.1  # the same of the sine of an angle between directions


@dataclass(frozen=True)
class CameraGraph:
    """Relative poses between C cameras, some of them wrong.

    Attributes:
        num_cameras: C.
        a, b: [P] int64, the cameras of each pair, every pair at most once.
        R, t: b_from_a, [P, 3, 3] and [P, 3], t of unit length.
        weight: [P] at least 0, how much a pair is believed; its number of inliers, say.
    """

    num_cameras: int
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    R: NDArray[np.float64]
    t: NDArray[np.float64]
    weight: NDArray[np.float64]


def spanning_tree(graph: CameraGraph, weight: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """Pairs that tie all cameras together with most weight, in an order that reaches one new camera each (Prim).

    Fewer than C - 1 where the graph is in pieces; the piece of camera 0 counts.
    """
    weight = graph.weight if weight is None else weight
    reached, order = {0}, []
    while len(reached) < graph.num_cameras:
        candidates = [k for k in range(len(graph.a)) if (int(graph.a[k]) in reached) != (int(graph.b[k]) in reached)]
        if not candidates:
            break
        best = max(candidates, key=lambda k: weight[k])
        order.append(best)
        reached |= {int(graph.a[best]), int(graph.b[best])}
    return np.array(order, np.int64)


def average_rotations(graph: CameraGraph, *, seed: int = 0) -> NDArray[np.float64]:
    """Orientations cam_from_world [C, 3, 3] that agree with most pairs; camera 0 is the identity.

    Starts from the best of some spanning trees, then reweighted least squares on the residuals [1].

    Raises:
        ValueError: the pairs do not tie all cameras together.

    [1] Chatterjee & Govindu, Efficient and robust large-scale rotation averaging, 2013.
    """
    if len(spanning_tree(graph)) < graph.num_cameras - 1:
        raise ValueError("the pairs do not tie all cameras together")
    generator = np.random.default_rng(seed)
    luck = [np.ones(len(graph.a)), *generator.exponential(size=(_TREES - 1, len(graph.a)))]
    starts = [_along_tree(graph, spanning_tree(graph, graph.weight * own)) for own in luck]
    world = min(starts, key=lambda start: _robust_cost(graph, start))
    for _ in range(_ROUNDS):
        residual = _rotation_residuals(graph, world)
        weight = graph.weight / (1 + np.sum(residual**2, axis=1) / _ROTATION_SCALE_RAD**2) ** 2
        system, right = np.zeros((graph.num_cameras,) * 2), np.zeros((graph.num_cameras, 3))
        for a, b, w, r in zip(graph.a, graph.b, weight, residual, strict=True):
            system[[a, b], [a, b]] += w
            system[[a, b], [b, a]] -= w
            right[b] += w * r
            right[a] -= w * r
        step = np.linalg.lstsq(system[1:, 1:], right[1:], rcond=None)[0]
        world[1:] = world[1:] @ Rotation.from_rotvec(step).as_matrix()
        if np.abs(step).max() < 1e-9:
            break
    return world


def _along_tree(graph: CameraGraph, tree: NDArray[np.int64]) -> NDArray[np.float64]:
    world = np.tile(np.eye(3), (graph.num_cameras, 1, 1))
    reached = {0}
    for k in tree:
        a, b = int(graph.a[k]), int(graph.b[k])
        if a in reached:
            world[b] = graph.R[k] @ world[a]
        else:
            world[a] = graph.R[k].T @ world[b]
        reached |= {a, b}
    return world


def _rotation_residuals(graph: CameraGraph, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each pair would turn its camera b by, a rotation vector in the world frame: [P, 3]."""
    turned = world[graph.b].transpose(0, 2, 1) @ graph.R @ world[graph.a]
    return np.asarray(Rotation.from_matrix(turned).as_rotvec())


def _robust_cost(graph: CameraGraph, world: NDArray[np.float64]) -> float:
    squared = np.sum(_rotation_residuals(graph, world) ** 2, axis=1) / _ROTATION_SCALE_RAD**2
    return float(np.sum(graph.weight * squared / (1 + squared)))


def centres_from_directions(graph: CameraGraph, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera centres [C, 3] whose differences point where the pairs say; camera 0 at the origin, mean baseline 1.

    Reweighted least squares on the components across the directions, each baseline asked to be about 1 along its
    direction [1]. Where directions alone do not determine the scale of a camera, that makes its baselines alike.

    [1] after Wilson & Snavely, Robust global translations with 1DSfM, 2014.
    """
    # x_b = R x_a + t: the centre of b in the frame of a is -R^T t.
    in_a = -np.einsum("pji,pj->pi", graph.R, graph.t)
    direction = np.einsum("pji,pj->pi", world[graph.a], in_a)
    across = np.eye(3) - direction[:, :, None] * direction[:, None, :]
    along = direction[:, :, None] * direction[:, None, :]
    centres = np.zeros((graph.num_cameras, 3))
    weight = graph.weight
    for _ in range(_ROUNDS):
        system = np.zeros((graph.num_cameras, 3, graph.num_cameras, 3))
        right = np.zeros((graph.num_cameras, 3))
        for k, (a, b) in enumerate(zip(graph.a, graph.b, strict=True)):
            block = weight[k] * (across[k] + 1e-3 * along[k])
            system[a, :, a] += block
            system[b, :, b] += block
            system[a, :, b] -= block
            system[b, :, a] -= block
            pull = weight[k] * 1e-3 * direction[k]
            right[b] += pull
            right[a] -= pull
        matrix = system[1:, :, 1:].reshape(3 * graph.num_cameras - 3, -1)
        matrix = matrix + 1e-9 * max(np.trace(matrix), 1e-9) * np.eye(len(matrix))
        centres[1:] = np.linalg.solve(matrix, right[1:].reshape(-1)).reshape(-1, 3)
        baseline = centres[graph.b] - centres[graph.a]
        length = np.maximum(np.linalg.norm(baseline, axis=1), 1e-9)
        centres = centres / length.mean()
        cosine = np.sum(baseline * direction, axis=1) / length
        squared = np.where(cosine > 0, 1 - cosine**2, 1.0)
        weight = graph.weight / (1 + squared / _DIRECTION_SCALE**2) ** 2
    return centres
