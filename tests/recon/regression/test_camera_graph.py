"""Relative poses averaged, some of them wrong."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.regression.camera_graph import (
    CameraGraph,
    average_rotations,
    baseline_lengths,
    centres_from_baselines,
    spanning_tree,
)

NUM = 5


def true_cameras(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Orientations [C, 3, 3] and centres [C, 3]; camera 0 is the world."""
    generator = np.random.default_rng(seed)
    world = Rotation.from_rotvec(generator.normal(0, 0.5, (NUM, 3))).as_matrix()
    centres = generator.normal(0, 1, (NUM, 3))
    return world @ world[0].T, (centres - centres[0]) @ world[0].T


def graph_of(world: np.ndarray, centres: np.ndarray, wrong: tuple[int, ...] = ()) -> CameraGraph:
    """All pairs, exact but for some wrong ones."""
    a, b = np.triu_indices(len(world), 1)
    R = world[b] @ world[a].transpose(0, 2, 1)
    t = np.einsum("pij,pj->pi", world[b], centres[a] - centres[b])
    t /= np.linalg.norm(t, axis=1, keepdims=True)
    for k in wrong:
        R[k] = Rotation.from_rotvec([1.0, 0.3, 0.0]).as_matrix() @ R[k]
        t[k] = [1.0, 0.0, 0.0]
    return CameraGraph(len(world), a, b, R, t, np.full(len(a), 100.0))


def worst_angle_deg(R: np.ndarray, S: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(R @ S.transpose(0, 2, 1)).magnitude()).max())


@pytest.mark.parametrize("wrong", [(), (3,), (0, 8)])
def test_averaging_finds_the_cameras_despite_wrong_pairs(wrong: tuple[int, ...]) -> None:
    world, centres = true_cameras()
    graph = graph_of(world, centres, wrong)
    found = average_rotations(graph)
    assert worst_angle_deg(found, world) < 0.5
    lengths = np.linalg.norm(centres[graph.a] - centres[graph.b], axis=1)
    assert np.abs(centres_from_baselines(graph, world, lengths) - centres).max() < 0.02


def test_ratios_give_lengths_despite_a_wrong_one() -> None:
    true = np.array([0.5, 1.0, 2.0, 1.0])
    pairs = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3)]
    ratios = [(k, m, float(np.log(true[k] / true[m])), 50.0) for k, m in pairs]
    ratios[1] = (1, 2, 3.0, 50.0)
    assert np.allclose(baseline_lengths(4, ratios), true, rtol=0.05)
    assert np.allclose(baseline_lengths(3, []), 1)


def test_cameras_that_nothing_ties_together_are_refused() -> None:
    world, centres = true_cameras()
    graph = graph_of(world, centres)
    apart = (graph.a != 4) & (graph.b != 4)
    piece = CameraGraph(NUM, *(x[apart] for x in (graph.a, graph.b, graph.R, graph.t, graph.weight)))
    assert len(spanning_tree(piece)) == NUM - 2
    with pytest.raises(ValueError, match="do not tie"):
        average_rotations(piece)
