"""Training of the camera network on synthetic scenes of three to six cameras, whose pairs are estimated first."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from recon.bounds import check_bounds
from recon.focal import FocalEvidence
from recon.regression.camera_graph import CameraGraph, average_rotations, centres_from_directions, spanning_tree
from recon.regression.camera_network import CameraNetwork, Cameras, GraphTensors, in_frame_of_first
from recon.regression.correspondences import Correspondences
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.regression.regressor import PairRegressor
from recon.regression.rotations import direction_angle, rotation_angle
from recon.regression.synthetic_pairs import Corruption, SyntheticPairs, match_cameras
from recon.regression.synthetic_scenes import Scenes, draw_scenes

NUM_SAMPLES = 24
"""Matches of a pair that the network looks at."""

_MATCHES = 96
_CORRUPTION = Corruption(outliers=(0.1, 0.85))
_QUICK = HypothesesConfig(max_iterations=300, num_refined=1)
_LEAST_INLIERS = 12
_EARLIER = 0.7  # weight of a step's error against that of the next
_DIRECTION_WEIGHT = 0.5
_ERROR_SCALE_RAD = 0.05


@dataclass(frozen=True)
class CameraTrainingConfig:
    """How long and how the camera network is trained."""

    num_scenes: int = field(default=1200, metadata={"help": "scenes drawn once", "unit": "", "low": 4, "high": 10**6})
    num_steps: int = field(default=2500, metadata={"help": "batches of 24 scenes", "unit": "", "low": 1, "high": 10**6})
    learning_rate: float = field(default=2e-3, metadata={"help": "highest", "unit": "", "low": 1e-6, "high": 0.1})
    seed: int = field(default=0, metadata={"help": "of scenes and weights", "unit": "", "low": 0, "high": 2**31 - 1})

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class GraphExamples:
    """Graphs of one number of cameras with the classical solution and the truth; the direction of a pair counts
    where `has_parallax` [B, C, C]."""

    graph: GraphTensors
    start: Cameras
    truth: Cameras
    has_parallax: Tensor

    def __len__(self) -> int:
        return len(self.has_parallax)

    def subset(self, rows: Tensor) -> "GraphExamples":
        """Some of the graphs."""
        graph = GraphTensors(*(x[rows] for x in vars(self.graph).values()))
        start, truth = (Cameras(c.R[rows], c.centres[rows]) for c in (self.start, self.truth))
        return GraphExamples(graph, start, truth, self.has_parallax[rows])


def draw_examples(
    num_scenes: int, regressor: PairRegressor | None, *, seed: int, report: Callable[[int], None] = lambda done: None
) -> list[GraphExamples]:
    """Draw scenes of 3, 4, 5 and 6 cameras and estimate their pairs; one entry per number of cameras.

    Without a pair regressor, RANSAC estimates the pairs alone. Scenes whose pairs do not tie all cameras together are
    left out.
    """
    generator = Generator().manual_seed(seed)
    found = []
    for num_cameras in (3, 4, 5, 6):
        scenes = draw_scenes(num_scenes // 4, num_cameras, 400, generator=generator)
        pairs = {
            (a, b): match_cameras(scenes, a, b, _MATCHES, generator=generator, corruption=_CORRUPTION)
            for a in range(num_cameras)
            for b in range(a + 1, num_cameras)
        }
        examples = []
        for scene in range(num_scenes // 4):
            example = _example(scenes, scene, pairs, regressor)
            if example is not None:
                examples.append(example)
            report(1)
        if examples:
            found.append(_stacked(examples))
    return found


def train_cameras(
    config: CameraTrainingConfig,
    examples: Sequence[GraphExamples],
    *,
    report: Callable[[int, CameraNetwork], None] = lambda step, network: None,
) -> CameraNetwork:
    """Train on drawn examples; `report` is called every 250 steps."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = CameraNetwork()
    generator = Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=1e-3)
    sizes = torch.tensor([float(len(e)) for e in examples])
    for step in range(config.num_steps):
        rate = 0.02 + 0.49 * (1 + math.cos(math.pi * step / config.num_steps))
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate * min(1.0, (step + 1) / min(100, config.num_steps / 5))
        group_idx = int(torch.multinomial(sizes, 1, generator=generator))
        rows = torch.randint(len(examples[group_idx]), (24,), generator=generator)
        batch = examples[group_idx].subset(rows)
        steps = network(batch.graph, batch.start)
        weights = [_EARLIER ** (len(steps) - 1 - i) for i in range(len(steps))]
        loss = torch.stack([w * _loss(c, batch) for w, c in zip(weights, steps, strict=True)]).sum() / sum(weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0 or step + 1 == config.num_steps:
            report(step + 1, network)
    return network


@torch.no_grad()
def camera_errors(examples: Sequence[GraphExamples], network: CameraNetwork | None) -> tuple[Tensor, Tensor]:
    """Rotation and direction errors of all pairs of cameras in degrees, [P] each; without a network of the start."""
    rotations, directions = [], []
    for example in examples:
        cameras = example.start if network is None else network(example.graph, example.start)[-1]
        rotation, direction = _pair_errors(cameras, example.truth)
        pair = torch.triu(torch.ones(rotation.shape[1:]), 1).bool()
        rotations.append(torch.rad2deg(rotation[:, pair].flatten()))
        directions.append(torch.rad2deg(direction[:, pair][example.has_parallax[:, pair]]))
    return torch.cat(rotations), torch.cat(directions)


def _loss(cameras: Cameras, batch: GraphExamples) -> Tensor:
    """Small errors count most, like in the area under the recall; wrong scenes do not rule."""
    rotation, direction = ((x / _ERROR_SCALE_RAD).log1p() for x in _pair_errors(cameras, batch.truth))
    seen = batch.has_parallax
    other = ~torch.eye(rotation.shape[1]).bool()
    return rotation[:, other].mean() + _DIRECTION_WEIGHT * (direction * seen).sum() / seen.sum().clamp(min=1)


def _pair_errors(cameras: Cameras, truth: Cameras) -> tuple[Tensor, Tensor]:
    """Errors in rad of the relative rotations and directions of all pairs, [B, C, C] each."""
    rotation = rotation_angle(*(c.R[:, None] @ c.R[:, :, None].transpose(-1, -2) for c in (cameras, truth)))
    towards = [
        (c.R[:, :, None] @ (c.centres[:, None] - c.centres[:, :, None])[..., None])[..., 0] for c in (cameras, truth)
    ]
    return rotation, direction_angle(*(normalize(v, dim=-1) for v in towards))


def graph_tensors(
    graph: CameraGraph, samples: Sequence[np.ndarray], inlier_share: Sequence[float], focal: float
) -> GraphTensors:
    """One graph, B = 1; `samples` are likely matches [S, 4] in units of each pair."""
    count = graph.num_cameras
    R = np.tile(np.eye(3), (count, count, 1, 1))
    t = np.tile([1.0, 0.0, 0.0], (count, count, 1))
    exists, evidence = np.zeros((count, count), bool), np.zeros((count, count, 2))
    places = np.zeros((count, count, NUM_SAMPLES, 4))
    for k, (a, b) in enumerate(zip(graph.a, graph.b, strict=True)):
        R[a, b], t[a, b] = graph.R[k], graph.t[k]
        R[b, a], t[b, a] = graph.R[k].T, -graph.R[k].T @ graph.t[k]
        exists[a, b] = exists[b, a] = True
        evidence[a, b] = evidence[b, a] = np.log1p(graph.weight[k]) / 6, inlier_share[k]
        places[a, b], places[b, a] = samples[k], samples[k][:, [2, 3, 0, 1]]

    def batched(array: np.ndarray) -> Tensor:
        return torch.tensor(array[None], dtype=torch.float32)

    return GraphTensors(
        batched(R), batched(t), torch.tensor(exists[None]), batched(evidence), batched(places), torch.tensor([focal])
    )


def classical_cameras(graph: CameraGraph) -> Cameras:
    """Averaged rotations and the centres they imply, B = 1."""
    world = average_rotations(graph)
    centres = centres_from_directions(graph, world)
    return in_frame_of_first(
        Cameras(torch.tensor(world[None], dtype=torch.float32), torch.tensor(centres[None], dtype=torch.float32))
    )


def _example(
    scenes: Scenes, scene: int, pairs: dict[tuple[int, int], SyntheticPairs], regressor: PairRegressor | None
) -> GraphExamples | None:
    first = next(iter(pairs.values()))
    belief = FocalEvidence(float(first.context[scene, 0].exp()), 0.08, "exif")
    rows: list[tuple[int, int, np.ndarray, np.ndarray, float]] = []
    samples, shares = [], []
    num_cameras = scenes.R.shape[1]
    has_parallax = torch.zeros(num_cameras, num_cameras, dtype=torch.bool)
    for (a, b), matched in pairs.items():
        has_parallax[a, b] = has_parallax[b, a] = matched.has_parallax[scene] & matched.is_valid[scene]
        places = matched.coordinates[scene].double().numpy()
        pair = Correspondences(places[:, :2], places[:, 2:])
        guess = None if regressor is None else regressor.guess(pair, belief)
        pose = relative_pose(pair, belief, guess, _QUICK)
        if pose is None or pose.is_inlier.sum() < _LEAST_INLIERS:
            continue
        rows.append((a, b, pose.R, pose.t, float(pose.support)))
        likely = pose.is_inlier if guess is None else guess.inlier_probability
        samples.append(places[np.resize(np.argsort(-likely.astype(float))[:NUM_SAMPLES], NUM_SAMPLES)])
        shares.append(float(pose.is_inlier.mean()))
    if len(rows) < num_cameras - 1:
        return None
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    graph = CameraGraph(num_cameras, *columns)
    if len(spanning_tree(graph)) < num_cameras - 1:
        return None
    centres = -(scenes.R[scene].transpose(-1, -2) @ scenes.t[scene][..., None])[..., 0]
    truth = in_frame_of_first(Cameras(scenes.R[scene][None], centres[None]))
    return GraphExamples(
        graph_tensors(graph, samples, shares, belief.focal), classical_cameras(graph), truth, has_parallax[None]
    )


def _stacked(examples: Sequence[GraphExamples]) -> GraphExamples:
    graph = GraphTensors(*(torch.cat(xs) for xs in zip(*(vars(e.graph).values() for e in examples), strict=True)))
    start, truth = (
        Cameras(torch.cat([c.R for c in own]), torch.cat([c.centres for c in own]))
        for own in ([e.start for e in examples], [e.truth for e in examples])
    )
    return GraphExamples(graph, start, truth, torch.cat([e.has_parallax for e in examples]))


def save_examples(examples: Sequence[GraphExamples], path: Path) -> None:
    """Keep drawn examples between trainings."""
    torch.save(
        [(vars(e.graph), vars(e.start), vars(e.truth), e.has_parallax) for e in examples],
        path,
    )


def load_examples(path: Path) -> list[GraphExamples]:
    """Examples that were kept."""
    return [
        GraphExamples(GraphTensors(**graph), Cameras(**start), Cameras(**truth), has_parallax)
        for graph, start, truth, has_parallax in torch.load(path, weights_only=True)
    ]
