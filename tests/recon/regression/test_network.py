"""The pair network: what it must not depend on, whatever its weights."""

import pytest
import torch
from torch import Generator

from recon.regression.eight_point import epipolar_fit, pose_in_front, refined_pose
from recon.regression.network import HYPOTHESES, PairNetwork, PairPrediction, rays, symmetric_prediction
from recon.regression.rotations import direction_angle, rotation_angle, rotation_from_vector
from recon.regression.synthetic_pairs import Corruption, SyntheticPairs, draw_pairs


@pytest.fixture(scope="module")
def network() -> PairNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PairNetwork().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pairs() -> SyntheticPairs:
    return draw_pairs(16, 64, generator=Generator().manual_seed(3), corruption=Corruption(outliers=(0.0, 0.4)))


def test_it_is_small(network: PairNetwork) -> None:
    assert sum(p.numel() for p in network.parameters()) <= 450_000


def test_the_order_of_the_matches_does_not_matter(network: PairNetwork, pairs: SyntheticPairs) -> None:
    order = torch.randperm(64, generator=Generator().manual_seed(1))
    said = network(pairs.coordinates, pairs.confidence, pairs.context)
    shuffled = network(pairs.coordinates[:, order], pairs.confidence[:, order], pairs.context)
    # Sums in another order differ in the last bits, which the eight-point algorithm magnifies in degenerate pairs.
    assert torch.allclose(said.inlier_logits[:, order], shuffled.inlier_logits, atol=1e-3)
    angles = rotation_angle(said.rotations, shuffled.rotations)
    assert angles.amax(1).median() < 2e-3
    assert torch.allclose(said.scores, shuffled.scores, atol=1e-2)


def test_swapping_the_photos_inverts_the_prediction(network: PairNetwork, pairs: SyntheticPairs) -> None:
    said = symmetric_prediction(network, pairs.coordinates, pairs.confidence, pairs.context)
    swapped = symmetric_prediction(network, pairs.coordinates[..., [2, 3, 0, 1]], pairs.confidence, pairs.context)
    assert torch.allclose(said.inlier_logits, swapped.inlier_logits, atol=1e-5)
    other = [*range(HYPOTHESES, 2 * HYPOTHESES), *range(HYPOTHESES)]
    R, t = swapped.rotations[:, other], swapped.directions[:, other]
    inverted = -(R.transpose(-1, -2) @ t[..., None])[..., 0]
    assert torch.allclose(said.rotations, R.transpose(-1, -2), atol=1e-5)
    assert torch.allclose(said.directions, inverted, atol=1e-5)
    assert torch.allclose(said.log_focals, swapped.log_focals[:, other], atol=1e-5)


@pytest.mark.parametrize("num_matches", [1, 5, 700])
def test_degenerate_matches_give_finite_rotations(network: PairNetwork, num_matches: int) -> None:
    same_place = torch.zeros(2, num_matches, 4)
    said = network(same_place, torch.zeros(2, num_matches), torch.tensor([[0.0, 0.35, 0.0]] * 2))
    assert isinstance(said, PairPrediction)
    assert all(torch.isfinite(x).all() for x in vars(said).values())
    assert torch.allclose(torch.linalg.det(said.rotations), torch.ones(2, HYPOTHESES), atol=1e-4)


def test_gradients_are_finite_where_the_truth_is_met_exactly() -> None:
    R = torch.eye(3).requires_grad_()
    t = torch.tensor([1.0, 0.0, 0.0], requires_grad=True)
    (rotation_angle(R, torch.eye(3)) + direction_angle(t, torch.tensor([1.0, 0.0, 0.0]))).backward()
    assert R.grad is not None
    assert torch.isfinite(R.grad).all()
    assert t.grad is not None
    assert torch.isfinite(t.grad).all()


def test_eight_points_recover_the_pose() -> None:
    exact = Corruption(outliers=(0.0, 0.0), noise_px=(0.02, 0.02))
    pairs = draw_pairs(60, 64, generator=Generator().manual_seed(0), corruption=exact, kind="forward")
    rays_a, rays_b = rays(pairs.coordinates[..., :2], pairs.focals), rays(pairs.coordinates[..., 2:], pairs.focals)
    weights = pairs.is_true.float()
    E, own = epipolar_fit(rays_a, rays_b, weights, pairs.focals)
    R, t = pose_in_front(E, rays_a, rays_b, own)
    asked = pairs.has_parallax & pairs.is_valid
    # Pairs with lens distortion or rounded pixels, not quite half of all, are off; the median pair is not.
    assert rotation_angle(R, pairs.R)[asked].median() < 0.005
    assert direction_angle(t, pairs.t)[asked].median() < 0.05


def test_refinement_leads_back_to_the_true_pose() -> None:
    exact = Corruption(outliers=(0.0, 0.2), noise_px=(0.02, 0.02))
    pairs = draw_pairs(60, 64, generator=Generator().manual_seed(0), corruption=exact, kind="forward")
    rays_a, rays_b = rays(pairs.coordinates[..., :2], pairs.focals), rays(pairs.coordinates[..., 2:], pairs.focals)
    off = rotation_from_vector(0.03 * torch.randn(60, 3, generator=Generator().manual_seed(1))) @ pairs.R
    R, _ = refined_pose(off, pairs.t, rays_a, rays_b, pairs.is_true.float(), pairs.focals)
    asked = pairs.has_parallax & pairs.is_valid
    assert rotation_angle(off, pairs.R)[asked].median() > 0.03
    assert rotation_angle(R, pairs.R)[asked].median() < 0.003
