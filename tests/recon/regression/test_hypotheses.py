"""Relative poses: the network may help and cannot harm."""

import math

import numpy as np
import pytest
import torch
from torch import Generator

from recon.focal import TYPICAL, FocalEvidence
from recon.regression.correspondences import Correspondences, RelativePose
from recon.regression.hypotheses import HypothesesConfig, relative_pose
from recon.regression.network import PairNetwork
from recon.regression.regressor import PairRegressor
from recon.regression.support import match_support
from recon.regression.synthetic_pairs import Corruption, draw_pairs

FAST = HypothesesConfig(max_iterations=300)


def pairs_with_truth(
    count: int, num_matches: int, corruption: Corruption, *, seed: int = 0
) -> list[tuple[Correspondences, np.ndarray, float]]:
    """Matches, the true rotation and the true focal length of pairs with parallax."""
    drawn = draw_pairs(count, num_matches, generator=Generator().manual_seed(seed), corruption=corruption)
    found = []
    for i in torch.nonzero(drawn.is_valid & drawn.has_parallax).flatten().tolist():
        places = drawn.coordinates[i].double().numpy()
        found.append(
            (Correspondences(places[:, :2], places[:, 2:]), drawn.R[i].double().numpy(), float(drawn.focals[i]))
        )
    return found


def angle_deg(R: np.ndarray, S: np.ndarray) -> float:
    return math.degrees(2 * math.asin(min(1.0, np.linalg.norm(R - S) / 8**0.5)))


@pytest.fixture(scope="module")
def clueless() -> PairRegressor:
    """An untrained network: as misleading as can be."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PairRegressor(PairNetwork())


@pytest.mark.parametrize("is_known", [True, False], ids=["known focal", "open focal"])
def test_even_a_clueless_network_cannot_lower_the_support(clueless: PairRegressor, is_known: bool) -> None:
    for pair, _, focal in pairs_with_truth(12, 60, Corruption(outliers=(0.2, 0.8))):
        belief = FocalEvidence(focal, 0.08, "exif") if is_known else TYPICAL
        alone = relative_pose(pair, belief, None, FAST)
        helped = relative_pose(pair, belief, clueless.guess(pair, belief), FAST)
        assert alone is not None
        assert helped is not None
        assert helped.support >= alone.support


def test_the_order_of_the_matches_does_not_matter(clueless: PairRegressor) -> None:
    (pair, _, focal), *_ = pairs_with_truth(4, 60, Corruption(outliers=(0.3, 0.3)))
    order = np.random.default_rng(0).permutation(len(pair))
    belief = FocalEvidence(focal, 0.08, "exif")
    poses = [relative_pose(p, belief, clueless.guess(p, belief), FAST) for p in (pair, pair.subset(order))]
    assert all(isinstance(pose, RelativePose) for pose in poses)
    first, second = poses
    assert first is not None
    assert second is not None
    assert first.support == pytest.approx(second.support, rel=1e-6)
    assert np.array_equal(first.is_inlier[order], second.is_inlier)


def test_few_outliers_leave_the_true_pose() -> None:
    errors = []
    for pair, R, focal in pairs_with_truth(20, 100, Corruption(outliers=(0.0, 0.3), noise_px=(0.3, 0.5))):
        pose = relative_pose(pair, FocalEvidence(focal, 0.01, "exif"))
        assert pose is not None
        errors.append(angle_deg(pose.R, R))
    assert np.median(errors) < 1.0


def test_too_few_matches_have_no_pose(clueless: PairRegressor) -> None:
    assert relative_pose(Correspondences(np.zeros((5, 2)), np.zeros((5, 2))), TYPICAL) is None
    with pytest.raises(ValueError, match="at least one match"):
        clueless.guess(Correspondences(np.zeros((0, 2)), np.zeros((0, 2))), TYPICAL)


def test_a_guess_of_other_matches_is_refused(clueless: PairRegressor) -> None:
    (pair, _, _), *_ = pairs_with_truth(4, 60, Corruption())
    with pytest.raises(ValueError, match="is of 60 matches"):
        relative_pose(pair.subset(np.arange(50)), TYPICAL, clueless.guess(pair, TYPICAL))


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"must both be \[M, 2\]"):
        Correspondences(np.zeros((5, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="confidence must be"):
        Correspondences(np.zeros((5, 2)), np.zeros((5, 2)), np.zeros(4))


def test_swapping_the_photos_swaps_the_guess(clueless: PairRegressor) -> None:
    (pair, _, _), *_ = pairs_with_truth(4, 60, Corruption())
    guess, swapped = clueless.guess(pair, TYPICAL), clueless.guess(pair.swapped, TYPICAL)
    assert np.allclose(guess.inlier_probability, swapped.inlier_probability, atol=1e-5)
    assert np.allclose(np.sort(guess.focals), np.sort(swapped.focals), rtol=1e-4)
    for R in guess.R:
        assert min(angle_deg(R, S.T) for S in swapped.R) < 0.01


def test_points_behind_a_camera_support_nothing() -> None:
    xyz = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 5], (50, 3))
    t = np.array([-1.0, 0.0, 0.0])
    moved = xyz + t
    pair = Correspondences(xyz[:, :2] / xyz[:, 2:], moved[:, :2] / moved[:, 2:])
    assert np.allclose(match_support(pair, np.eye(3), t, 1.0), 1)
    assert not match_support(pair, np.eye(3), -t, 1.0).any()
