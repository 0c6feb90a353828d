"""Wrong matches are dropped, and pairs that cannot be trusted are rejected with the reason."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from matching.types import Features, Matches
from recon.match_photos import MatchingConfig
from recon.pair_verification import epipolar_inliers, verified_pair


def two_views(num_points, noise_px=0.3, seed=0):
    """Exact projections of random points into two cameras, [N, 2] px each."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform([-2, -1.5, 4], [2, 1.5, 8], (num_points, 3))
    rotation = cv2.Rodrigues(np.array([0.05, 0.3, -0.02]))[0]
    views = []
    for R, t in ((np.eye(3), np.zeros(3)), (rotation, np.array([-1.5, 0.1, 0.3]))):
        in_camera = xyz @ R.T + t
        pixels = in_camera[:, :2] / in_camera[:, 2:] * 800 + [512, 384]
        views.append((pixels + rng.normal(0, noise_px, pixels.shape)).astype(np.float32))
    return views


def matched(a, b, confidence):
    """Features of two photos and the match of each row with the same row."""
    features = [
        Features(points, np.zeros((len(points), 0), np.float32), np.ones(len(points)), 1024, 768) for points in (a, b)
    ]
    rows = np.arange(len(a))
    return *features, Matches(np.stack([rows, rows], axis=1), np.full(len(a), confidence, np.float32))


def test_true_matches_are_kept_and_random_ones_dropped():
    a, b = two_views(300)
    rng = np.random.default_rng(1)
    is_random = rng.random(300) < 0.4
    b[is_random] = rng.uniform([0, 0], [1024, 768], (is_random.sum(), 2))
    kept = epipolar_inliers(a, b, 2.0)
    assert kept[~is_random].mean() > 0.97
    assert kept[is_random].mean() < 0.05  # a band of 4 px around a line in 768 px
    assert np.array_equal(kept, epipolar_inliers(a, b, 2.0))  # does not depend on chance


def test_verification_is_symmetric():
    a, b = two_views(200, noise_px=0.6)
    b[::4] += 40
    different = epipolar_inliers(a, b, 2.0) != epipolar_inliers(b, a, 2.0)
    assert different.mean() < 0.03  # those at the threshold


def test_matches_on_one_plane_are_kept():
    rng = np.random.default_rng(0)
    a = rng.uniform([0, 0], [1024, 768], (200, 2))
    homography = np.array([[0.9, 0.1, 30], [-0.05, 1.1, 10], [1e-4, 5e-5, 1]])
    b = cv2.perspectiveTransform(a[None], homography)[0]
    assert epipolar_inliers(a.astype(np.float32), b.astype(np.float32), 2.0).mean() > 0.98


@pytest.mark.parametrize("num", [0, 1, 7])
def test_too_few_matches_prove_nothing(num):
    a, b = two_views(num) if num else (np.zeros((0, 2), np.float32),) * 2
    assert epipolar_inliers(a, b, 2.0).tolist() == [False] * num


def test_a_pair_is_rejected_for_what_it_lacks():
    a, b = two_views(100)
    rng = np.random.default_rng(2)
    b[40:] = rng.uniform([0, 0], [1024, 768], (60, 2))
    *features, matches = matched(a, b, 0.9)
    config = MatchingConfig(min_inliers=15, min_inlier_share=0.1)
    good = verified_pair(0, 1, *features, matches, config)
    assert good.rejected is None
    assert np.sum(good.indices[:, 0] < 40) > 36  # noise puts some beyond the limit
    assert good.num_matches == 100
    too_few = verified_pair(0, 1, *features, matches, replace(config, min_inliers=80)).rejected
    assert too_few is not None
    assert "80 are needed" in too_few
    unsure = verified_pair(0, 1, *features, matches, replace(config, min_inlier_share=0.6)).rejected
    assert unsure is not None
    assert "too small a share" in unsure


def test_a_pair_of_doubtful_matches_is_rejected_however_many_agree():
    a, b = two_views(200)
    doubtful = verified_pair(0, 1, *matched(a, b, 0.2), MatchingConfig())
    assert doubtful.rejected is not None
    assert "look alike" in doubtful.rejected
    assert len(doubtful.indices) > 190  # said, but not used
    assert verified_pair(0, 1, *matched(a, b, 0.25), MatchingConfig()).rejected is None
    assert verified_pair(0, 1, *matched(a, b, 0.2), MatchingConfig(min_confidence=0.0)).rejected is None
