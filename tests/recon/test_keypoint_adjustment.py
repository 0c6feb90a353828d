"""Keypoints move to where all photos agree, and only those that photos have something to say about."""

from dataclasses import replace

import numpy as np

from recon.keypoint_adjustment import adjust_keypoints
from recon.match_graph import MatchGraph, PairMatches
from tests.recon.test_match_photos import crops_of_one_wall

STEP = np.array([60.0, 24.0])  # each photo of the wall is moved by it from the last


def graph_with_noise(rng, noise_px):
    """Matches of three photos of a wall, keypoints off by uniform noise: every point in all photos."""
    wall = np.stack(np.meshgrid(np.arange(160, 600, 25.5), np.arange(90, 440, 25.5)), axis=-1).reshape(-1, 2)
    truth = [wall - STEP * index for index in range(3)]
    keypoints = tuple((own + rng.uniform(-noise_px, noise_px, own.shape)).astype(np.float32) for own in truth)
    rows = np.repeat(np.arange(len(wall))[:, None], 2, axis=1)
    pairs = tuple(PairMatches(a, b, rows, len(rows), None) for a, b in ((0, 1), (0, 2), (1, 2)))
    return truth, MatchGraph(keypoints, pairs)


def disagreement(keypoints):
    """How far the places of one point in three photos are from one another on the wall, median px."""
    places = np.stack([own + STEP * index for index, own in enumerate(keypoints)])
    return np.median(np.linalg.norm(places - places.mean(axis=0), axis=2))


def test_photos_agree_on_the_places_of_points(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    _, graph = graph_with_noise(np.random.default_rng(0), 1.0)
    adjusted = adjust_keypoints(photos, graph, max_side_px=640)
    assert disagreement(graph.keypoints) > 0.5
    assert disagreement(adjusted.keypoints) < 0.05
    # what the photos leave open, where on the wall the point is, hardly moves
    moved = np.concatenate([new - old for new, old in zip(adjusted.keypoints, graph.keypoints, strict=True)])
    assert np.linalg.norm(moved.mean(axis=0)) < 0.1
    assert np.linalg.norm(moved, axis=1).max() < 3


def test_at_half_size_coordinates_stay_those_of_the_full_photo(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    _, graph = graph_with_noise(np.random.default_rng(0), 1.0)
    adjusted = adjust_keypoints(photos, graph, max_side_px=320)
    assert disagreement(adjusted.keypoints) < 0.15


def test_one_wrong_match_does_not_pull_the_others(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    truth, graph = graph_with_noise(np.random.default_rng(0), 0.0)
    # photo 1's matches with 2 are crossed: row r of one with row r + 1 of the other
    crossed = replace(graph.pairs[2], indices=np.stack([np.arange(50), np.arange(1, 51)], axis=1))
    adjusted = adjust_keypoints(photos, replace(graph, pairs=(*graph.pairs[:2], crossed)), max_side_px=640)
    error = np.concatenate([np.linalg.norm(a - b, axis=1) for a, b in zip(adjusted.keypoints, truth, strict=True)])
    assert np.percentile(error, 95) < 0.1


def test_matches_of_rejected_pairs_move_nothing(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    _, graph = graph_with_noise(np.random.default_rng(0), 1.0)
    rejected = replace(graph, pairs=tuple(replace(pair, rejected="No.") for pair in graph.pairs))
    adjusted = adjust_keypoints(photos, rejected, max_side_px=640)
    for old, new in zip(graph.keypoints, adjusted.keypoints, strict=True):
        assert np.allclose(old, new, atol=1e-4)


def test_settled_keypoints_stay_and_the_others_come_to_them(tmp_path):
    photos = crops_of_one_wall(tmp_path)
    _, graph = graph_with_noise(np.random.default_rng(0), 1.0)
    two = MatchGraph(graph.keypoints[:2], graph.pairs[:1])
    settled = adjust_keypoints(photos[:2], two, max_side_px=640)
    graph = replace(graph, keypoints=(*settled.keypoints, graph.keypoints[2]))
    adjusted = adjust_keypoints(photos, graph, max_side_px=640, num_settled=2)
    np.testing.assert_array_equal(adjusted.keypoints[0], settled.keypoints[0])
    np.testing.assert_array_equal(adjusted.keypoints[1], settled.keypoints[1])
    assert disagreement(adjusted.keypoints) < 0.05
