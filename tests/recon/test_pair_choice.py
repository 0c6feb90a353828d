"""Of many photos those are matched that look alike, and what hangs together is found to."""

import numpy as np
import pytest

from matching.types import Features
from recon.match_photos import MatchingConfig, match_photos
from recon.pair_choice import bridging_pairs, choose_pairs, groups, similarities
from tests.recon.test_match_photos import crops_of_one_wall


def features_of(things, rng, num=300):
    """Descriptors of a photo that shows some of the things; each thing has descriptors of its own kind."""
    kinds = np.random.default_rng(7).normal(size=(40, 16))
    kinds /= np.linalg.norm(kinds, axis=1, keepdims=True)
    descriptors = kinds[rng.choice(things, num)] + rng.normal(0, 0.15, (num, 16))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Features(np.zeros((num, 2), np.float32), descriptors.astype(np.float32), np.ones(num, np.float32), 9, 9)


def round_walk(num):
    """Photos around a thing: each shows eight of 40 kinds, the next photo one of them replaced by another."""
    rng = np.random.default_rng(0)
    return [features_of((np.arange(8) + index) % 40, rng) for index in range(num)]


def test_photos_that_show_the_same_are_the_most_alike():
    alike = similarities(round_walk(40))
    assert np.allclose(np.diag(alike), 1)
    assert np.allclose(alike, alike.T)
    apart = np.abs(np.arange(40)[:, None] - np.arange(40))
    apart = np.minimum(apart, 40 - apart)
    most_alike = (alike - 2 * np.eye(40)).argmax(axis=1)
    assert (apart[np.arange(40), most_alike] <= 3).mean() > 0.8  # 6 of 39 others: .15 by chance
    assert alike[apart == 1].mean() > alike[apart == 4].mean() > alike[apart > 8].mean() + 0.1


def test_pairs_are_few_and_hold_the_true_neighbours_also_across_the_end():
    pairs = choose_pairs(similarities(round_walk(40)), neighbours=6, in_sequence=1)
    assert len(pairs) <= 40 * 7
    assert (0, 39) in pairs
    assert all((index, index + 1) in pairs for index in range(39))
    assert len(set(groups(40, pairs))) == 1
    assert all(a < b for a, b in pairs)


def test_neighbours_in_the_sequence_are_matched_whatever_they_look_like():
    pairs = choose_pairs(np.zeros((30, 30)), neighbours=1, in_sequence=2)
    assert {(index, index + 1) for index in range(29)} | {(index, index + 2) for index in range(28)} <= set(pairs)


def test_groups_are_bridged_by_what_is_most_alike_and_was_not_tried():
    alike = np.eye(5)
    alike[1, 3] = alike[3, 1] = 0.9
    alike[0, 4] = alike[4, 0] = 0.8
    alike[0, 1] = alike[1, 0] = 1.0
    linked = [(0, 1), (3, 4)]
    assert groups(5, linked) == [0, 0, 2, 3, 3]
    assert bridging_pairs(alike, linked, linked, most=2) == [(0, 4), (1, 3)]
    assert bridging_pairs(alike, linked, [*linked, (1, 3)], most=1) == [(0, 4)]
    assert bridging_pairs(alike, [(0, 1), (1, 2), (2, 3), (3, 4)], linked, most=9) == []


def test_similarity_does_not_depend_on_chance_and_knows_photos_without_keypoints():
    photos = [*round_walk(6), features_of([0], np.random.default_rng(0), num=0)]
    alike = similarities(photos)
    assert np.array_equal(alike, similarities(photos))
    assert np.array_equal(alike[6], np.zeros(7))


@pytest.mark.parametrize("limit", [20, 3])
def test_many_photos_are_matched_with_those_alike_only(tmp_path, limit):
    config = MatchingConfig(
        matcher="sift", max_side_px=320, max_keypoints=300, all_pairs_up_to=limit, neighbours=1, refine=False
    )
    calls = []
    graph = match_photos(
        crops_of_one_wall(tmp_path, 5), config, lambda done, total, message: calls.append((done, total))
    )
    tried = {(pair.a, pair.b) for pair in graph.pairs}
    assert len(tried) == 10 if limit == 20 else len(tried) < 10
    assert {(index, index + 1) for index in range(4)} <= tried
    assert calls[-1][0] == calls[-1][1]
    assert all(done <= total for done, total in calls)
