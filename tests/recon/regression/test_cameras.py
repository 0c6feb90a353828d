"""Several cameras at once: averaging, and the network that moves them."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from recon.regression.camera_graph import CameraGraph, average_rotations, centres_from_directions, spanning_tree
from recon.regression.camera_network import CameraNetwork, Cameras, in_frame_of_first
from recon.regression.camera_training import (
    CameraTrainingConfig,
    GraphExamples,
    camera_errors,
    classical_cameras,
    draw_examples,
    graph_tensors,
    train_cameras,
)
from recon.regression.network import PairNetwork
from recon.regression.regressor import PairRegressor

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
    placed = centres_from_directions(graph, world)
    scale = np.linalg.norm(centres) / np.linalg.norm(placed)
    assert np.abs(scale * placed - centres).max() < 0.02


def test_cameras_that_nothing_ties_together_are_refused() -> None:
    world, centres = true_cameras()
    graph = graph_of(world, centres)
    apart = (graph.a != 4) & (graph.b != 4)
    piece = CameraGraph(NUM, *(x[apart] for x in (graph.a, graph.b, graph.R, graph.t, graph.weight)))
    assert len(spanning_tree(piece)) == NUM - 2
    with pytest.raises(ValueError, match="do not tie"):
        average_rotations(piece)


def tensors_of(graph: CameraGraph, order: np.ndarray) -> tuple:
    """Network inputs and classical start with the cameras in another order."""
    position = np.argsort(order)
    a, b = position[graph.a], position[graph.b]
    swapped = a > b
    R = np.where(swapped[:, None, None], graph.R.transpose(0, 2, 1), graph.R)
    t = np.where(swapped[:, None], -np.einsum("pji,pj->pi", graph.R, graph.t), graph.t)
    moved = CameraGraph(NUM, np.minimum(a, b), np.maximum(a, b), R, t, graph.weight)
    places = np.random.default_rng(1).uniform(-0.4, 0.4, (len(a), 24, 4))
    places = np.where(swapped[:, None, None], places[..., [2, 3, 0, 1]], places)
    return graph_tensors(moved, list(places), [0.5] * len(a), 0.9)


def test_the_order_of_the_cameras_does_not_matter() -> None:
    world, centres = true_cameras()
    graph = graph_of(world, centres, wrong=(3,))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CameraNetwork().requires_grad_(False)
        torch.nn.init.normal_(network.move.weight, std=0.1)  # zero at first, which would hide a dependence
    order = np.array([2, 0, 4, 1, 3])
    noisy = Rotation.from_rotvec(np.random.default_rng(2).normal(0, 0.1, (NUM, 3))).as_matrix() @ world
    start = Cameras(torch.tensor(noisy[None]).float(), torch.tensor(centres[None]).float())
    shuffled = Cameras(start.R[:, order], start.centres[:, order])
    first = network(tensors_of(graph, np.arange(NUM)), in_frame_of_first(start))[-1]
    second = network(tensors_of(graph, order), in_frame_of_first(shuffled))[-1]
    expected = in_frame_of_first(Cameras(first.R[:, order], first.centres[:, order]))
    assert torch.allclose(second.R, expected.R, atol=1e-4)
    assert torch.allclose(second.centres, expected.centres, atol=1e-3)
    assert not torch.allclose(first.R, in_frame_of_first(start).R, atol=0.01)


def test_cameras_that_agree_with_all_pairs_stay_at_first() -> None:
    world, centres = true_cameras()
    graph = graph_of(world, centres)
    network = CameraNetwork().requires_grad_(False)
    start = in_frame_of_first(Cameras(torch.tensor(world[None]).float(), torch.tensor(centres[None]).float()))
    moved = network(tensors_of(graph, np.arange(NUM)), start)[-1]
    assert torch.allclose(moved.R, start.R, atol=1e-3)
    assert torch.allclose(moved.centres, start.centres, atol=1e-2)


def test_it_is_small() -> None:
    assert sum(p.numel() for p in CameraNetwork().parameters()) <= 150_000


@pytest.fixture(scope="module")
def examples() -> list[GraphExamples]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        regressor = PairRegressor(PairNetwork())
    return draw_examples(16, regressor, seed=0)


def test_a_tiny_training_lowers_the_errors_it_is_trained_on(examples: list[GraphExamples]) -> None:
    assert sum(map(len, examples)) >= 8
    network = train_cameras(CameraTrainingConfig(num_steps=60, learning_rate=3e-3), examples)
    before, after = (torch.cat(camera_errors(examples, own)).log1p().mean() for own in (None, network))
    assert after < before


def test_the_classical_start_has_camera_0_as_its_world(examples: list[GraphExamples]) -> None:
    world, centres = true_cameras()
    start = classical_cameras(graph_of(world, centres))
    assert torch.allclose(start.R[0, 0], torch.eye(3), atol=1e-5)
    assert torch.allclose(start.centres[0, 0], torch.zeros(3), atol=1e-6)
