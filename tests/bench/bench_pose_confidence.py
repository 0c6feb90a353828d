"""Fit the confidence of cameras on synthetic scenes and show how well it is calibrated on others.

    python -m tests.bench.bench_pose_confidence --train 200 --test 100 --rows out/confidence.jsonl

Prints the coefficients of `recon.pose_confidence` fitted on seeds 0 ... train - 1, and on the test seeds, with the
coefficients in use and with the fitted ones, how many cameras of each claim were right. Finished scenes are kept in
the file of rows, so that a second run only fits.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recon.colmap import ColmapError, MapperGates
from recon.lens_refinement import refine_model
from recon.mapping import find_model
from recon.placement import without_contradicted_photos
from recon.pose_confidence import COEFFICIENTS, RIGHT_WITHIN_DEG, PoseEvidence, features
from recon.pose_covariance import lower_median
from recon.pose_review import examine_poses
from recon.poses import PoseConfig
from recon.second_opinion import disagreements_deg
from recon.sparse_model import SparseModel, without_large_errors
from tests.bench.pose_scenes import PoseTrial, random_trial

FIRST_TEST_SEED = 200_000
SIGNS = (0, -1, -1, 1, -1, -1)  # which way each number may count
# What speaks against a camera and is rare in these scenes still counts: the fit is drawn to these, not to 0.
CAUTIOUS = np.array((0.0, -2.0, -2.0, 0.3, -0.5, -0.3))
REGULARISATION = 2e-3
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
CONFIG = PoseConfig()
GATES = MapperGates(CONFIG.min_pair_matches, min_pose_inliers=CONFIG.min_pose_inliers)
Row = tuple[PoseEvidence, float]


def place(trial: PoseTrial) -> SparseModel | None:
    """Place the photos as the pose stage does; None where it would refuse."""

    def silent(done: int, total: int, message: str) -> None: ...

    problem, beliefs = trial.problem, trial.beliefs
    model = find_model(problem, beliefs, GATES, step=CONFIG.hypothesis_step, workers=1, seed=0, progress=silent)
    if model is None:
        return None
    model = without_contradicted_photos(problem, model, max_error_px=CONFIG.max_error_px)
    focal_range = (CONFIG.min_focal, CONFIG.max_focal)
    model, _ = refine_model(problem, model, beliefs, GATES, focal_range=focal_range, seed=0, progress=silent)
    model = without_large_errors(problem, model, max_error_px=CONFIG.max_error_px)
    return model if len(model.xyz) >= CONFIG.min_points else None


def true_errors_deg(model: SparseModel, truth: dict[int, NDArray[np.float64]]) -> dict[int, float]:
    """For each placed photo its error relative to the nearer half of the others."""
    exact = replace(model, cam_from_world={photo: truth[photo] for photo in model.cam_from_world})
    errors = disagreements_deg(model, exact)
    return {
        photo: lower_median([error for pair, error in errors.items() if photo in pair])
        for photo in model.cam_from_world
    }


def rows_of_seed(seed: int) -> list[Row]:
    """Evidence and true error of every placed photo of a scene."""
    trial = random_trial(seed)
    if not trial.problem.pairs:
        return []
    try:
        model = place(trial)
        if model is None or model.num_placed < 2:
            return []
        findings = examine_poses(trial.problem, model, trial.beliefs, GATES, max_error_px=CONFIG.max_error_px, seed=0)
    except ColmapError:
        return []
    errors = true_errors_deg(model, dict(enumerate(trial.truth)))
    return [(findings.evidence[photo], errors[photo]) for photo in errors]


def collect(seeds: Iterable[int], store: Path) -> dict[int, list[Row]]:
    """Rows of every seed; those in the store are not made again."""
    done: dict[int, list[Row]] = {}
    if store.exists():
        for line in store.read_text().splitlines():
            kept = json.loads(line)
            done[kept["seed"]] = [(PoseEvidence(**evidence), error) for evidence, error in kept["rows"]]
    wanted = list(seeds)
    with store.open("a") as file:
        for seed in (seed for seed in wanted if seed not in done):
            done[seed] = rows_of_seed(seed)
            plain = [(asdict(evidence), error) for evidence, error in done[seed]]
            file.write(json.dumps({"seed": seed, "rows": plain}) + "\n")
            file.flush()
    return {seed: done[seed] for seed in wanted}


def fit(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Logistic regression whose coefficients may only count the way that makes sense."""
    x = np.array([features(evidence) for evidence, _ in rows])
    y = np.array([error <= RIGHT_WITHIN_DEG for _, error in rows])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ w
        value = float(np.mean(np.logaddexp(0, z) - y * z)) + REGULARISATION * float(np.sum((w - CAUTIOUS)[1:] ** 2))
        slope = x.T @ (1 / (1 + np.exp(-z)) - y) / len(x) + 2 * REGULARISATION * np.r_[0, (w - CAUTIOUS)[1:]]
        return value, slope

    bounds = [(None, None) if sign == 0 else (0, None) if sign > 0 else (None, 0) for sign in SIGNS]
    return np.asarray(minimize(loss, COEFFICIENTS, jac=True, method="L-BFGS-B", bounds=bounds).x)


def print_calibration(rows: Sequence[Row], weights: Sequence[float] | NDArray[np.float64]) -> None:
    """How many cameras of each claimed confidence were right."""
    claimed = 1 / (1 + np.exp(-np.array([features(evidence) for evidence, _ in rows]) @ np.asarray(weights)))
    right = np.array([error <= RIGHT_WITHIN_DEG for _, error in rows])
    print("| confidence | cameras | mean claim | right within 2 deg |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = (claimed >= low) & (claimed < high if high < 1 else claimed <= 1)
        if inside.any():
            print(
                f"| {low:.1f}-{high:.1f} | {inside.sum()} | {claimed[inside].mean():.2f} | {right[inside].mean():.3f} |"
            )
    print(f"Brier score {np.mean((claimed - right) ** 2):.4f}; of all {right.mean():.3f} right")


def main() -> None:
    """Fit and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--rows", type=Path, default=Path("out/pose_confidence.jsonl"))
    arguments = parser.parse_args()
    arguments.rows.parent.mkdir(parents=True, exist_ok=True)
    train = collect(range(arguments.train), arguments.rows)
    test = collect(range(FIRST_TEST_SEED, FIRST_TEST_SEED + arguments.test), arguments.rows)
    train_rows, test_rows = ([row for own in part.values() for row in own] for part in (train, test))
    fitted = fit(train_rows)
    print(f"{len(train_rows)} cameras to fit, {len(test_rows)} held out")
    print("fitted:", tuple(round(float(value), 3) for value in fitted))
    print("\nHeld-out scenes, coefficients in use")
    print_calibration(test_rows, COEFFICIENTS)
    print("\nHeld-out scenes, fitted coefficients")
    print_calibration(test_rows, fitted)


if __name__ == "__main__":
    main()
