"""Several cameras that are tied by relative poses, and the classical way to place them all at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_TREES = 24
_ROUNDS = 10  # of iterative reweighting
_ROTATION_SCALE_RAD = np.radians(3.0)  # residuals from here on count less
_BASELINE_SCALE = 0.1  # the same of the distance between two ideas of a baseline over its length


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
        system, right = _differences_as_system(graph, weight, residual)
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


def baseline_lengths(num_pairs: int, ratios: Sequence[tuple[int, int, float, float]]) -> NDArray[np.float64]:
    """Lengths [P] of the baselines of pairs from ratios between some of them, geometric mean 1.

    Least absolute deviations of the logarithms, by reweighting. Pairs without a ratio get the mean length.

    Args:
        num_pairs: P.
        ratios: (k, m, log of length k over length m, weight).
    """
    logs: NDArray[np.float64] = np.zeros(num_pairs)
    reweighted = [weight for *_, weight in ratios]
    for _ in range(_ROUNDS):
        system, right = 1e-6 * np.eye(num_pairs), np.zeros(num_pairs)
        for (k, m, ratio, _), weight in zip(ratios, reweighted, strict=True):
            system[[k, m], [k, m]] += weight
            system[[k, m], [m, k]] -= weight
            right[k] += weight * ratio
            right[m] -= weight * ratio
        logs = np.asarray(np.linalg.solve(system, right), np.float64)
        reweighted = [w / (0.02 + abs(logs[k] - logs[m] - ratio)) for k, m, ratio, w in ratios]
    return np.asarray(np.exp(logs - logs.mean()))


def centres_from_baselines(
    graph: CameraGraph, world: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Camera centres [C, 3] whose differences are the baselines that the pairs say; camera 0 at the origin.

    Reweighted least squares; pairs that contradict the orientations count little. Lengths come from
    `baseline_lengths`, as directions alone leave cameras in a row and cameras that hang on one pair undetermined.
    """
    in_a = -np.einsum("pji,pj->pi", graph.R, graph.t)  # x_b = R x_a + t: the centre of b in the frame of a
    baselines = lengths[:, None] * np.einsum("pji,pj->pi", world[graph.a], in_a)
    disagreement = np.sum(_rotation_residuals(graph, world) ** 2, axis=1) / _ROTATION_SCALE_RAD**2
    trust = graph.weight / lengths**2 / (1 + disagreement) ** 2
    weight = trust
    centres = np.zeros((graph.num_cameras, 3))
    for _ in range(_ROUNDS):
        system, right = _differences_as_system(graph, weight, baselines)
        centres[1:] = np.linalg.solve(system[1:, 1:], right[1:])
        off = np.linalg.norm(centres[graph.b] - centres[graph.a] - baselines, axis=1) / lengths
        weight = trust / (1 + (off / _BASELINE_SCALE) ** 2) ** 2
    return centres


def _differences_as_system(
    graph: CameraGraph, weight: NDArray[np.float64], difference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normal equations [C, C] and [C, 3] of x_b - x_a = difference [P, 3] for every pair, weighed [P]."""
    system, right = np.zeros((graph.num_cameras,) * 2), np.zeros((graph.num_cameras, 3))
    for a, b, w, wanted in zip(graph.a, graph.b, weight, difference, strict=True):
        system[[a, b], [a, b]] += w
        system[[a, b], [b, a]] -= w
        right[b] += w * wanted
        right[a] -= w * wanted
    return system, right
