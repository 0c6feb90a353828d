"""Random scenes for judging cameras: exact geometry, noisy keypoints, and the mistakes that matchers make."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recon.focal import TYPICAL, FocalEvidence, combined, evidence_from_exif, evidence_from_matches
from recon.match_graph import PairMatches
from recon.match_photos import MatchingConfig
from recon.pair_verification import epipolar_inliers
from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem
from recon.undistort import distort
from tests.synthetic import looking_at

Floats = NDArray[np.float64]
Generator = np.random.Generator

NUM_VIEWS = (3, 3, 4, 4, 5, 6, 6, 8, 10, 12)
HALF_HEIGHT = 0.375  # of a 4:3 photo, in longer sides
REACH_DEG = 25.0  # matching gets rare when a point is seen from so much further round


@dataclass(frozen=True)
class PoseTrial:
    """A scene to place photos of, and its truth.

    Attributes:
        problem: verified matches in the mapping frame.
        pairs: all pairs, rejected ones included.
        beliefs: what is known of the one lens.
        truth: per photo `cam_from_world` [4, 4].
        repeats: part of the scene is there twice, and matches mix the copies up.
    """

    problem: MappingProblem
    pairs: tuple[PairMatches, ...]
    beliefs: tuple[FocalEvidence, ...]
    truth: tuple[Floats, ...]
    repeats: bool


@dataclass(frozen=True)
class _Surface:
    """Points [N, 3] with normals [N, 3]; `twin` [N] is the same place in the other copy of what repeats, or -1."""

    xyz: Floats
    normals: Floats
    twin: NDArray[np.int64]


def random_trial(seed: int) -> PoseTrial:
    """Draw a scene: 3 to 12 cameras around, in front of or inside it, matches from plenty to hardly any."""
    generator = np.random.default_rng(seed)
    layout = generator.choice(["orbit", "orbit", "forward", "inside"])
    repeats = bool(generator.random() < 0.35)
    surface = _surface(generator, layout, repeats)
    truth = _cameras(generator, layout, int(generator.choice(NUM_VIEWS)))
    focal, radial = float(np.exp(generator.uniform(np.log(0.6), np.log(1.6)))), 0.0
    if generator.random() < 0.25:
        radial = float(generator.uniform(-0.1, 0.1))
    seen, keypoints = _photograph(generator, surface, truth, focal, radial)
    pairs = _match(generator, surface, truth, seen, keypoints, repeats)
    usable = tuple(pair for pair in pairs if pair.rejected is None)
    problem = MappingProblem(keypoints, usable, (0,) * len(truth))
    return PoseTrial(problem, pairs, (_belief(generator, problem, focal),), truth, repeats)


def _surface(generator: Generator, layout: str, repeats: bool) -> _Surface:
    num = int(np.exp(generator.uniform(np.log(250), np.log(2500))))
    if layout == "orbit" and generator.random() < 0.7:
        normals = generator.normal(0, 1, (num, 3)) * [1, 0.6, 1]
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        xyz = normals * generator.uniform(0.4, 1.2, (num, 1))
    elif layout == "inside":
        side = generator.integers(0, 3, num)  # left wall, back wall, right wall of a room 6 wide
        along, height = generator.uniform(-3, 3, num), generator.uniform(-1.5, 1.5, num)
        relief = generator.uniform(0, 1, num) ** 3
        walls = np.array([[1.0, 0, 0], [0, 0, -1], [-1, 0, 0]])
        normals = walls[side]
        foot = np.stack([-normals[:, 0] * 3 + along * (side == 1), height, 3.0 * (side == 1) + along * (side != 1)], 1)
        xyz = foot + normals * relief[:, None]
    else:
        relief = float(generator.choice([0.01, 0.2, 0.6, 1.5]))
        xyz = generator.uniform(-1, 1, (num, 3)) * [2.0, 1.5, 1.0]
        xyz[:, 2] = relief * generator.normal(0, 0.5, num)
        normals = np.tile([0.0, 0.0, -1.0], (num, 1)) + generator.normal(0, 0.2, (num, 3))
    if not repeats:
        return _Surface(xyz, normals, np.full(len(xyz), -1))
    return _with_twins(generator, layout, xyz, normals)


def _with_twins(generator: Generator, layout: str, xyz: Floats, normals: Floats) -> _Surface:
    """Add a copy of part of the surface, turned about the vertical or moved aside."""
    chosen = np.flatnonzero(generator.random(len(xyz)) < generator.uniform(0.2, 0.8))
    turn, shift = np.eye(3), np.zeros(3)
    if layout == "orbit":
        angle = np.radians(generator.uniform(40, 180))
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    else:
        shift = np.array([generator.uniform(0.5, 2.0), 0, 0])
    twin = np.full(len(xyz) + len(chosen), -1)
    copies = len(xyz) + np.arange(len(chosen))
    twin[chosen], twin[copies] = copies, chosen
    return _Surface(
        np.concatenate([xyz, xyz[chosen] @ turn.T + shift]), np.concatenate([normals, normals[chosen] @ turn.T]), twin
    )


def _cameras(generator: Generator, layout: str, num: int) -> tuple[Floats, ...]:
    cameras = []
    step = np.radians(generator.uniform(5, 32))
    baseline = generator.uniform(0.05, 0.6)
    for i in range(num):
        jitter = generator.normal(0, 0.15, (2, 3))
        if layout == "orbit":
            angle = step * (i - (num - 1) / 2) * (1 + 0.1 * generator.normal())
            center = np.array([3.5 * np.sin(angle), 0.8 * generator.normal(0.3, 0.3), -3.5 * np.cos(angle)])
            target = np.zeros(3)
        elif layout == "forward":
            center = np.array([baseline * (i % 4 - 1.5), baseline * (i // 4) - 0.2, -3.0])
            target = center * [0.7, 0.7, 0] + [0, 0, 0]
            jitter = jitter * min(1.0, 2 * baseline)
        else:
            center = np.array([baseline * 1.5 * (i - (num - 1) / 2), 0, generator.uniform(-1, 0)])
            angle = 0.6 * step * (i - (num - 1) / 2)
            target = center + np.array([np.sin(angle), 0, np.cos(angle)])
        cameras.append(looking_at(center + jitter[0], target + jitter[1], roll_deg=generator.normal(0, 3)))
    return tuple(cameras)


def _photograph(
    generator: Generator, surface: _Surface, truth: tuple[Floats, ...], focal: float, radial: float
) -> tuple[list[NDArray[np.int64]], tuple[Floats, ...]]:
    """Per photo the points that were detected and their keypoints."""
    noise_px, rate = generator.uniform(0.3, 1.5), generator.uniform(0.35, 0.95)
    seen, keypoints = [], []
    for T in truth:
        x = surface.xyz @ T[:3, :3].T + T[:3, 3]
        flat = distort(x[:, :2] / np.maximum(x[:, 2:], 1e-6), np.array([radial, 0, 0, 0])) * focal
        to_camera = -T[:3, :3].T @ T[:3, 3] - surface.xyz
        facing = np.sum(to_camera * surface.normals, axis=1) / np.linalg.norm(to_camera, axis=1)
        facing /= np.linalg.norm(surface.normals, axis=1)
        inside = (x[:, 2] > 0.2) & (np.abs(flat[:, 0]) < 0.5) & (np.abs(flat[:, 1]) < HALF_HEIGHT)
        found = np.flatnonzero(inside & (facing > 0.25) & (generator.random(len(x)) < rate))
        spread = noise_px * np.where(generator.random(len(found)) < 0.05, 4.0, 1.0)
        noise = generator.normal(0, 1, (len(found), 2)) * spread[:, None]
        seen.append(found)
        keypoints.append((flat[found] + 0.5) * MAPPING_SIDE_PX + noise)
    return seen, tuple(keypoints)


def _match(
    generator: Generator,
    surface: _Surface,
    truth: tuple[Floats, ...],
    seen: list[NDArray[np.int64]],
    keypoints: tuple[Floats, ...],
    repeats: bool,
) -> tuple[PairMatches, ...]:
    """Match every two photos, more rarely the further apart, with random and with coherent mistakes; then verify."""
    outliers, recall, config = generator.uniform(0, 0.5), generator.uniform(0.2, 0.9), MatchingConfig()
    confusion = generator.uniform(0.2, 1.0) if repeats else 0.0
    centers = [-T[:3, :3].T @ T[:3, 3] for T in truth]
    pairs = []
    for a, b in combinations(range(len(truth)), 2):
        row_in_b = np.full(len(surface.xyz), -1)
        row_in_b[seen[b]] = np.arange(len(seen[b]))
        partner = seen[a].copy()
        angle = _angles_deg(centers[a] - surface.xyz[partner], centers[b] - surface.xyz[partner])
        if generator.random() < confusion:  # this pair takes one copy for the other where the other looks more alike
            other = surface.twin[partner]
            swap = (other >= 0) & (row_in_b[other] >= 0) & ((row_in_b[partner] < 0) | (angle > 0.6 * REACH_DEG))
            partner = np.where(swap, other, partner)
            angle = np.where(swap, 5.0, angle)
        chance = recall * np.exp(-((angle / REACH_DEG) ** 2))
        rows = np.flatnonzero((row_in_b[partner] >= 0) & (generator.random(len(partner)) < chance))
        indices = np.stack([rows, row_in_b[partner[rows]]], axis=1)
        wrong = generator.random(len(indices)) < outliers
        if len(seen[b]):
            indices[wrong, 1] = generator.integers(0, len(seen[b]), int(wrong.sum()))
        _, first = np.unique(indices[:, 1], return_index=True)
        indices = indices[np.sort(first)]
        points = (keypoints[p][indices[:, side]].astype(np.float32) for side, p in enumerate((a, b)))
        agreeing = epipolar_inliers(*points, config.max_error_px)
        num = int(agreeing.sum())
        is_good = num >= config.min_inliers and num >= config.min_inlier_share * len(indices)
        pairs.append(PairMatches(a, b, indices[agreeing], len(indices), None if is_good else "too few agree"))
    return tuple(pairs)


def _belief(generator: Generator, problem: MappingProblem, focal: float) -> FocalEvidence:
    """EXIF that is right or wrong, or what the matches tell."""
    kind = generator.choice(["right", "wrong", "none"], p=[0.45, 0.1, 0.45])
    if kind == "right":
        return evidence_from_exif(focal * float(np.exp(generator.normal(0, 0.03))))
    if kind == "wrong":
        return evidence_from_exif(focal * float(np.exp(generator.choice([-1, 1]) * generator.uniform(0.12, 0.5))))
    measured = evidence_from_matches(problem, 0, seed=0)
    return TYPICAL if measured is None else combined([TYPICAL, measured])


def _angles_deg(a: Floats, b: Floats) -> Floats:
    cosine = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
