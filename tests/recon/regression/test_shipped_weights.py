"""What the shipped weights do for pairs that RANSAC finds hard."""

import math

import numpy as np
import pytest
import torch
from torch import Generator

from recon.focal import FocalEvidence
from recon.regression.correspondences import Correspondences, PairGuess, RelativePose
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.regression.regressor import PairRegressor
from recon.regression.synthetic_pairs import Corruption, draw_pairs


@pytest.fixture(scope="module")
def regressor() -> PairRegressor:
    return PairRegressor.load()


Hard = tuple[Correspondences, np.ndarray, np.ndarray, PairGuess, RelativePose, RelativePose]


@pytest.fixture(scope="module")
def hard_pairs(regressor: PairRegressor) -> list[Hard]:
    """Pairs of which four matches in five are wrong: matches, truth, true rotation, guess, pose without and with it."""
    corruption = Corruption(outliers=(0.8, 0.8), known_focal=1.0, exact_focal=True)
    drawn = draw_pairs(28, 200, generator=Generator().manual_seed(4242), corruption=corruption, kind="orbit")
    found = []
    for i in torch.nonzero(drawn.is_valid).flatten().tolist():
        places = drawn.coordinates[i].double().numpy()
        pair = Correspondences(places[:, :2], places[:, 2:])
        belief = FocalEvidence(float(drawn.focals[i]), 0.08, "exif")
        guess = regressor.guess(pair, belief)
        config = HypothesesConfig(max_iterations=1000)
        alone, helped = relative_pose(pair, belief, None, config), relative_pose(pair, belief, guess, config)
        assert alone is not None
        assert helped is not None
        found.append((pair, drawn.is_true[i].numpy(), drawn.R[i].double().numpy(), guess, alone, helped))
    return found


def angle_deg(R: np.ndarray, S: np.ndarray) -> float:
    return math.degrees(2 * math.asin(min(1.0, float(np.linalg.norm(R - S)) / 8**0.5)))


def test_more_poses_are_right_with_the_network(hard_pairs: list[Hard]) -> None:
    alone = [angle_deg(pose.R, R) < 5 for _, _, R, _, pose, _ in hard_pairs]
    helped = [angle_deg(pose.R, R) < 5 for _, _, R, _, _, pose in hard_pairs]
    assert np.mean(helped) > np.mean(alone) + 0.1


def test_the_support_is_never_lowered(hard_pairs: list[Hard]) -> None:
    assert all(helped.support >= alone.support for *_, alone, helped in hard_pairs)


def test_believed_matches_are_right_twice_as_often(hard_pairs: list[Hard]) -> None:
    said = np.concatenate([guess.inlier_probability > 0.5 for _, _, _, guess, _, _ in hard_pairs])
    right = np.concatenate([is_true for _, is_true, *_ in hard_pairs])
    assert right[said].mean() > 2 * right.mean()
    assert said[right].mean() > 0.7


def test_turning_is_told_from_moving(regressor: PairRegressor) -> None:
    clean = Corruption(outliers=(0.0, 0.3), known_focal=1.0, exact_focal=True)
    said = {}
    for kind in ("rotation", "orbit"):
        drawn = draw_pairs(30, 100, generator=Generator().manual_seed(7), corruption=clean, kind=kind)  # type: ignore[arg-type]
        rows = drawn.has_parallax == (kind == "orbit")
        said[kind] = [
            regressor.guess(
                Correspondences(places[:, :2].double().numpy(), places[:, 2:].double().numpy()),
                FocalEvidence(float(focal), 0.08, "exif"),
            ).parallax_probability
            for places, focal in zip(drawn.coordinates[rows], drawn.focals[rows], strict=True)
        ]
    # Nine in ten training pairs have parallax, so the network is slow to deny it.
    assert np.median(said["rotation"]) < 0.8 < np.median(said["orbit"])
    assert max(said["rotation"]) < np.median(said["orbit"])
