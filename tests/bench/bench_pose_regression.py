"""What the pair network adds to RANSAC, and that it never lowers the support.

    python -m tests.bench.bench_pose_regression [--weights FILE] [--pairs 100] [--real] [--cache FOLDER]

Columns: RANSAC alone, with 5,000 and with 20,000 iterations; RANSAC on all and on the matches that the network
believes; RANSAC and the network's refined hypotheses; all of it; the same, judged by support that is weighed by the
inlier probabilities; the same with an untrained network, which tells how much any additional proposal would bring;
and the network's first hypothesis alone. Each cell: median rotation error, share of pairs below 5 degrees in
rotation, and in rotation and direction, and CPU ms per pair with the network.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator

from recon.focal import TYPICAL, FocalEvidence
from recon.regression.correspondences import Correspondences, PairGuess
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.regression.network import PairNetwork
from recon.regression.regressor import PairRegressor
from recon.regression.synthetic_pairs import Corruption, draw_pairs
from recon.regression.synthetic_scenes import SceneKind
from tests.bench.real_pairs import by_way_of_matching, cached_pairs
from tests.photo_sets import scene_dir

_SEED = 77
_EXIF = 0.08


@dataclass(frozen=True)
class Task:
    """A pair, what is believed of its focal length, and the truth; without parallax any direction is right."""

    pair: Correspondences
    belief: FocalEvidence
    R: np.ndarray
    t: np.ndarray
    has_parallax: bool


Answer = tuple[np.ndarray, np.ndarray, float] | None  # R, t, support
Method = Callable[[Task], Answer]


def with_ransac(config: HypothesesConfig, regressor: PairRegressor | None) -> Method:
    """Proposals that compete."""

    def solve(task: Task) -> Answer:
        guess = None if regressor is None or not len(task.pair) else regressor.guess(task.pair, task.belief)
        pose = relative_pose(task.pair, task.belief, guess, config)
        return None if pose is None else (pose.R, pose.t, pose.support)

    return solve


def first_guess(regressor: PairRegressor) -> Method:
    """The network alone."""

    def solve(task: Task) -> Answer:
        if not len(task.pair):
            return None
        guess: PairGuess = regressor.guess(task.pair, task.belief)
        return guess.R[0], guess.t[0], 0.0

    return solve


def methods(regressor: PairRegressor) -> dict[str, Method]:
    """All that are compared; "ransac" is what nothing may lower the support of."""
    config = HypothesesConfig()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = PairRegressor(PairNetwork())
    return {
        "ransac": with_ransac(config, None),
        "20k its": with_ransac(replace(config, max_iterations=20_000), None),
        "+filter": with_ransac(replace(config, num_refined=0), regressor),
        "+hypotheses": with_ransac(replace(config, filters=False), regressor),
        "+both": with_ransac(config, regressor),
        "believed": with_ransac(replace(config, judge="believed support"), regressor),
        "+untrained": with_ransac(config, untrained),
        "net alone": first_guess(regressor),
    }


def run(title: str, tasks: list[Task], contestants: dict[str, Method]) -> None:
    """One row of the table."""
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    spent = dict.fromkeys(contestants, 0.0)
    lowered = 0
    for task in tasks:
        alone = 0.0
        for name, solve in contestants.items():
            start = time.process_time()
            answer = solve(task)
            spent[name] += time.process_time() - start
            errors[name].append(_errors_deg(task, answer))
            if name == "ransac":
                alone = answer[2] if answer else 0.0
            elif name in ("+filter", "+hypotheses", "+both", "+untrained"):
                lowered += (answer[2] if answer else 0.0) < alone - 1e-9
    cells = []
    for name, own in errors.items():
        rotation, direction = np.array(own).T
        both = np.maximum(rotation, direction)
        cells.append(
            f"{np.median(rotation):5.2f} {np.mean(rotation < 5):4.0%} {np.mean(both < 5):4.0%} "
            f"{1000 * spent[name] / len(tasks):4.0f}"
        )
    print(f"| {title} | {len(tasks)} | " + " | ".join(cells) + f" | {lowered} |", flush=True)


def _errors_deg(task: Task, answer: Answer) -> tuple[float, float]:
    if answer is None:
        return 180.0, 180.0
    R, t, _ = answer
    rotation = math.degrees(2 * math.asin(min(1.0, float(np.linalg.norm(R - task.R)) / 8**0.5)))
    direction = math.degrees(math.acos(np.clip(float(t @ task.t), -1, 1))) if task.has_parallax else 0.0
    return rotation, direction


def synthetic_tasks(
    count: int, num_matches: int, outliers: float, *, is_known: bool, kind: SceneKind | None = None
) -> list[Task]:
    """Synthetic pairs; those drawn for training come from other seeds."""
    corruption = Corruption(outliers=(outliers, outliers), known_focal=1.0 if is_known else 0.0, exact_focal=True)
    drawn = draw_pairs(count, num_matches, generator=Generator().manual_seed(_SEED), corruption=corruption, kind=kind)
    tasks = []
    for i in torch.nonzero(drawn.is_valid).flatten().tolist():
        places = drawn.coordinates[i].double().numpy()
        confidence = drawn.confidence[i].double().numpy() if drawn.context[i, 2] > 0 else None
        belief = FocalEvidence(float(drawn.focals[i]), _EXIF, "exif") if is_known else TYPICAL
        tasks.append(
            Task(
                Correspondences(places[:, :2], places[:, 2:], confidence),
                belief,
                drawn.R[i].double().numpy(),
                drawn.t[i].double().numpy(),
                bool(drawn.has_parallax[i]),
            )
        )
    return tasks


def run_synthetic(contestants: dict[str, Method], count: int) -> None:
    """The synthetic rows."""
    for is_known in (True, False):
        lens = "true f" if is_known else "open f"
        for outliers in (0.3, 0.6, 0.8, 0.9):
            run(f"256, {outliers:.0%}, {lens}", synthetic_tasks(count, 256, outliers, is_known=is_known), contestants)
        for num_matches, outliers in ((40, 0.5), (24, 0.3)):
            tasks = synthetic_tasks(count, num_matches, outliers, is_known=is_known)
            run(f"{num_matches}, {outliers:.0%}, {lens}", tasks, contestants)
        for kind in ("plane", "rotation"):
            tasks = synthetic_tasks(count, 256, 0.6, is_known=is_known, kind=kind)  # type: ignore[arg-type]
            run(f"256, 60%, {kind}, {lens}", tasks, contestants)


def run_real(contestants: dict[str, Method], count: int, cache: Path | None) -> None:
    """The rows of photo sets with known cameras."""
    for name in ("strecha_fountain_p11", "strecha_herz_jesus_p25", "fox", "middlebury_temple_sparse_ring"):
        pairs = cached_pairs(scene_dir(name), cache, min_angle_deg=20.0, max_angle_deg=75.0, count=count, seed=_SEED)
        for way, matched in by_way_of_matching(pairs):
            for is_known in (True, False):
                tasks = [
                    Task(own, FocalEvidence(pair.focal, _EXIF, "exif") if is_known else TYPICAL, pair.R, pair.t, True)
                    for own, pair in matched
                ]
                mean = np.mean([len(task.pair) for task in tasks])
                run(f"{name}, {way} ({mean:.0f}), {'true' if is_known else 'open'} f", tasks, contestants)


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="weights to test; the shipped ones if left out")
    parser.add_argument("--pairs", type=int, default=100, help="synthetic pairs per row; a quarter as many real ones")
    parser.add_argument("--real", action="store_true", help="photo sets instead of synthetic pairs")
    parser.add_argument("--cache", type=Path, help="folder that keeps the matches of the photo sets")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    contestants = methods(PairRegressor.load(options.weights))
    print("| case | pairs | " + " | ".join(contestants) + " | support lowered |")
    print("|---" * (len(contestants) + 3) + "|")
    if options.real:
        run_real(contestants, max(4, options.pairs // 4), options.cache)
    else:
        run_synthetic(contestants, options.pairs)


if __name__ == "__main__":
    main()
