"""SIFT keypoints lie where ours do, and its matches are mutual."""

import cv2
import numpy as np
import pytest

from matching.sift import SiftMatcher

SIZE = 240


def textured(height=SIZE, width=SIZE, seed=0):
    """Smooth noise [H, W, 3]: blobs of several sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.random((max(1, height // s), max(1, width // s))), (width, height), interpolation=cv2.INTER_CUBIC
        )
        for s in (4, 8, 16)
    ]
    gray = np.clip(sum(layers) / len(layers) * 255, 0, 255).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def blob(x, y, sigma=4.0):
    """A bright blob centred at (x, y) px, where the first pixel's centre is (0.5, 0.5)."""
    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    gray = 40 + 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(gray.astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(("x", "y"), [(100.5, 120.5), (100.0, 121.0), (90.3, 60.8)])
def test_a_blob_is_found_at_its_centre(x, y):
    keypoints = SiftMatcher().detect(blob(x, y)).keypoints
    # 0.05 px: the blob is rounded to 8 bits; half a pixel of a wrong convention is ten times that
    assert np.abs(keypoints - [x, y]).max(axis=1).min() < 0.05


def test_shifting_the_photo_shifts_matches_equally():
    scene = textured(300, 300)
    matcher = SiftMatcher()
    a, b = matcher.detect(scene[10:250, 7:247]), matcher.detect(scene[:240, :240])
    matches = matcher.match(a, b)
    assert len(matches) > 100
    offset = b.keypoints[matches.indices[:, 1]] - a.keypoints[matches.indices[:, 0]]
    assert np.abs(np.median(offset, axis=0) - [7, 10]).max() < 0.02
    assert (np.abs(offset - [7, 10]).max(axis=1) < 0.5).mean() > 0.97


def test_turning_the_photo_upside_down_turns_keypoints_without_bias():
    scene = textured()
    matcher = SiftMatcher()
    upright, turned = matcher.detect(scene).keypoints, SIZE - matcher.detect(scene[::-1, ::-1]).keypoints
    nearest = np.linalg.norm(upright[:, None] - turned[None], axis=2)
    same = nearest.min(axis=1) < 1
    assert same.mean() > 0.9
    offset = turned[nearest.argmin(axis=1)[same]] - upright[same]
    assert np.abs(offset.mean(axis=0)).max() < 0.02  # OpenCV's plain upscaling gives -0.5


def test_matching_is_symmetric_and_uses_each_keypoint_once():
    scene = textured(300, 300)
    matcher = SiftMatcher()
    a, b = matcher.detect(scene[:240, :240]), matcher.detect(cv2.resize(scene, (240, 240)))
    forward, backward = matcher.match(a, b), matcher.match(b, a)
    assert len(forward) > 20
    assert {tuple(pair) for pair in forward.indices} == {tuple(pair[::-1]) for pair in backward.indices}
    assert all(len(np.unique(column)) == len(column) for column in forward.indices.T)
    assert ((forward.confidence >= 0) & (forward.confidence <= 1)).all()


def test_keypoints_outside_the_mask_are_dropped_before_the_best_are_chosen():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[100:200, 40:120] = True
    x, y = SiftMatcher(max_keypoints=20).detect(textured(), mask).keypoints.T
    assert len(x) == 20
    assert mask[y.astype(int), x.astype(int)].all()


def test_a_photo_without_texture_has_no_keypoints_and_no_matches():
    matcher = SiftMatcher()
    empty = matcher.detect(np.full((SIZE, SIZE, 3), 128, np.uint8))
    assert empty.keypoints.shape == (0, 2)
    assert empty.descriptors.shape == (0, 128)
    assert matcher.match(empty, matcher.detect(textured())).indices.shape == (0, 2)
