"""What the pair network proposes to verification fits the matches, and verification takes it only for more of them."""

import numpy as np
import pytest
import torch
from torch import Generator

from matching.types import Features, Matches
from recon.match_photos import MatchingConfig
from recon.pair_verification import most_inliers, sampson_px, verified_pair
from recon.regression.proposals import EpipolarProposals
from recon.regression.synthetic_pairs import Corruption, draw_pairs

SIZE = (1024, 768)


@pytest.fixture(scope="module")
def network() -> EpipolarProposals:
    return EpipolarProposals()


def synthetic(outliers: float, count: int = 12, seed: int = 31) -> list[tuple[list[Features], Matches, np.ndarray]]:
    """Features of two photos, the match of each row with the same row, and which are right."""
    corruption = Corruption(outliers=(outliers, outliers))
    drawn = draw_pairs(count, 150, generator=Generator().manual_seed(seed), corruption=corruption, kind="orbit")
    found = []
    for i in torch.nonzero(drawn.is_valid).flatten().tolist():
        places = drawn.coordinates[i].numpy() * 1024
        points = [(places[:, side] + np.array(SIZE) / 2).astype(np.float32) for side in (slice(0, 2), slice(2, 4))]
        nothing = np.zeros((150, 0), np.float32)
        features = [Features(own, nothing, np.ones(150, np.float32), *SIZE) for own in points]
        rows = np.arange(150)
        found.append(
            (features, Matches(np.stack([rows, rows], 1), np.full(150, 0.5, np.float32)), drawn.is_true[i].numpy())
        )
    return found


def test_proposals_fit_the_right_matches(network: EpipolarProposals) -> None:
    fits = []
    for features, matches, is_true in synthetic(0.2):
        proposed = network.propose(*features, matches, 2.0)
        assert [F.shape for F in proposed] == [(3, 3)] * 2
        points = [own.keypoints.astype(np.float64) for own in features]
        fits += [np.mean(sampson_px(F, *points)[is_true] < 2.0) for F in proposed]
    assert np.median(fits) > 0.9


def test_verification_finds_as_many_or_more_with_the_network(network: EpipolarProposals) -> None:
    config = MatchingConfig(min_inlier_share=0.0)
    alone, helped = [], []
    for features, matches, _ in synthetic(0.8):
        alone.append(len(verified_pair(0, 1, *features, matches, config).indices))
        helped.append(len(verified_pair(0, 1, *features, matches, config, network).indices))
    assert (np.array(helped) >= alone).all()
    assert np.sum(helped) > np.sum(alone)


def test_few_matches_are_not_guessed_at(network: EpipolarProposals) -> None:
    (features, matches, _), *_ = synthetic(0.2)
    assert network.propose(*features, Matches(matches.indices[:7], matches.confidence[:7]), 2.0) == []


def test_a_worse_proposal_changes_nothing() -> None:
    (features, *_), *_ = synthetic(0.2)
    points = [own.keypoints for own in features]
    sideways = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # every match stays in its row
    found = np.ones(150, bool)
    assert most_inliers(*points, found, [sideways], 2.0) is found


def test_a_better_proposal_is_taken_and_refined() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform([0, 0], SIZE, (100, 2)).astype(np.float32)
    b = a + np.stack([rng.uniform(20, 80, 100), np.zeros(100)], axis=1).astype(np.float32)
    tilted = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, -1.2]])  # rows that are 1.2 px lower in b
    assert most_inliers(a, b, np.zeros(100, bool), [tilted], 1.0).all()
