"""What the graph of placed photos gives away, and that it keeps quiet when all is well."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from recon.match_graph import PairMatches
from recon.pair_rotations import PairRotation, cycle_errors_deg, pair_rotations
from recon.sparse_model import MappingProblem, SparseModel
from recon.view_graph import listed, scale_groups, structure_warnings
from tests.recon.model_scenes import exact_model
from tests.synthetic import arc_of_cameras, exact_scene, looking_at

NAMES = [f"IMG_{i}" for i in range(8)]


def scene(seen: NDArray[np.bool_], **how: float) -> tuple[MappingProblem, SparseModel]:
    cameras = arc_of_cameras(len(seen), **how)
    return exact_model(cameras, exact_scene(cameras, num_points=seen.shape[1]).xyz, seen, noise_px=0.5)


def warnings_of(problem: MappingProblem, model: SparseModel) -> tuple[str, ...]:
    rotations = pair_rotations(problem, model, seed=0)
    tried = set(combinations(range(len(problem.keypoints)), 2))
    return structure_warnings(problem, model, rotations, NAMES, tried)


def linked_by_two_views() -> NDArray[np.bool_]:
    """Photos 0 1 2 see one half of the points, 3 4 the other; 2 and 3 share some that no third photo sees."""
    seen = np.zeros((5, 300), bool)
    seen[:3, :100], seen[3:, 100:200] = True, True
    seen[2:4, 200:] = True
    return seen


def test_a_sound_scene_gives_no_warning() -> None:
    assert warnings_of(*scene(np.ones((5, 200), bool))) == ()


def test_a_single_pair_has_one_scale() -> None:
    assert scale_groups(scene(np.ones((2, 50), bool))[1]) == [{0, 1}]


def test_links_through_two_views_only_are_named_with_what_to_do() -> None:
    problem, model = scene(linked_by_two_views())
    assert scale_groups(model) == [{0, 1, 2}, {2, 3}, {3, 4}]
    told = [text for text in warnings_of(problem, model) if "scale" in text]
    assert "between IMG_0, IMG_1 and IMG_2 on one side and IMG_3 on the other is a guess" in told[0]
    assert "Take one more photo near IMG_2" in told[0]


def test_a_handful_of_points_in_three_views_carries_the_scale() -> None:
    seen = linked_by_two_views()
    seen[1, 200:206] = True  # 1 2 3 see them
    seen[4, 210:216] = True  # 2 3 4 see them
    assert scale_groups(scene(seen)[1]) == [{0, 1, 2, 3, 4}]


def test_three_directions_fix_a_triangle_without_common_points() -> None:
    seen = np.zeros((3, 300), bool)
    for number, (a, b) in enumerate(combinations(range(3), 2)):
        seen[[a, b], 100 * number : 100 * (number + 1)] = True
    assert scale_groups(scene(seen, spread_deg=90)[1]) == [{0, 1, 2}]


def test_cameras_on_a_line_need_common_points() -> None:
    """Three directions along one line say nothing about the distances."""
    seen = np.zeros((3, 300), bool)
    for number, (a, b) in enumerate(combinations(range(3), 2)):
        seen[[a, b], 100 * number : 100 * (number + 1)] = True
    cameras = tuple(
        replace(camera, cam_from_world=looking_at(np.array([x, 0.3, -4.0]), np.zeros(3)))
        for camera, x in zip(arc_of_cameras(3), (-1.0, 0.0, 1.0), strict=True)
    )
    _, model = exact_model(cameras, exact_scene(cameras).xyz, seen)
    assert len(scale_groups(model)) > 1


def test_matches_that_contradict_the_cameras_are_told_by_name() -> None:
    """Photo 4 stands where one copy of a repeated thing puts it; its matches with photo 0 mean the other copy."""
    problem, model = scene(np.ones((5, 200), bool))
    elsewhere = arc_of_cameras(5)[2].cam_from_world  # photo 0 sees in photo 4 what photo 2 would see
    K = arc_of_cameras(5)[2].K
    x = model.xyz @ elsewhere[:3, :3].T + elsewhere[:3, 3]
    pixels = x[:, :2] / x[:, 2:] * K[0, 0] * 1024 / 640 + 512
    keypoints = (*problem.keypoints[:4], np.concatenate([problem.keypoints[4], pixels]))
    copies = np.stack([np.arange(200), 200 + np.arange(200)], axis=1)
    pairs = tuple(replace(pair, indices=copies) if (pair.a, pair.b) == (0, 4) else pair for pair in problem.pairs)
    told = warnings_of(MappingProblem(keypoints, pairs, problem.lens_of), model)
    assert any("IMG_0 and IMG_4 have 200 matches that contradict" in text for text in told)
    assert any("rotations between" in text and "IMG_4" in text for text in told)


def test_a_few_matches_that_all_others_outvote_are_not_told() -> None:
    good = [PairRotation(a, b, np.eye(3), 300, 300, 300, 0.0) for a, b in combinations(range(4), 2) if (a, b) != (0, 3)]
    bad = PairRotation(0, 3, np.diag([-1.0, -1.0, 1.0]), 80, 80, 2, 180.0)
    problem, model = scene(np.ones((4, 200), bool))
    assert structure_warnings(problem, model, (*good, bad), NAMES, tried=()) == ()
    heavy = replace(bad, num_matches=300, num_own=300)
    told = structure_warnings(problem, model, (*good, heavy), NAMES, tried=())
    assert len(told) == 2


def test_photos_that_should_match_and_do_not_are_told_by_name() -> None:
    """Two photos placed side by side, as when a second facade is laid over the first."""
    seen = np.ones((4, 200), bool)
    problem, model = scene(seen, spread_deg=30)
    pairs = tuple(pair for pair in problem.pairs if (pair.a, pair.b) != (1, 2))
    told = warnings_of(replace(problem, pairs=pairs), model)
    assert len(told) == 1
    assert told[0].startswith("IMG_1 and IMG_2 should show the same things")


def test_photos_far_apart_need_not_match() -> None:
    problem, model = scene(np.ones((4, 200), bool), spread_deg=120)
    pairs = tuple(pair for pair in problem.pairs if pair.b - pair.a < 2)
    assert warnings_of(replace(problem, pairs=pairs), model) == ()


def test_pairs_that_were_not_tried_are_not_missed() -> None:
    problem, model = scene(np.ones((4, 200), bool), spread_deg=30)
    fewer = replace(problem, pairs=problem.pairs[:-1])
    assert structure_warnings(fewer, model, (), NAMES, tried={(0, 1)}) == ()


def test_rotations_of_single_pairs_are_those_of_the_cameras() -> None:
    problem, model = scene(np.ones((4, 200), bool))
    rotations = pair_rotations(problem, model, seed=0)
    assert len(rotations) == 6
    assert max(pair.off_deg for pair in rotations) < 1  # 200 points with 0.5 px noise
    assert max(cycle_errors_deg(rotations, min_matches=50).values()) < 1


def test_pairs_with_an_unplaced_photo_or_hardly_any_match_are_left_out() -> None:
    problem, model = scene(np.ones((3, 60), bool))
    few = PairMatches(1, 2, problem.pairs[2].indices[:7], 7, None)
    placed = replace(model, cam_from_world={photo: model.cam_from_world[photo] for photo in (1, 2)})
    assert pair_rotations(replace(problem, pairs=(*problem.pairs[:2], few)), placed, seed=0) == ()


def test_cycles_are_counted_over_strong_pairs_only() -> None:
    half_turn = np.diag([-1.0, -1.0, 1.0])
    pairs = [PairRotation(a, b, np.eye(3), 80, 80, 80, 0.0) for a, b in ((0, 1), (1, 2))]
    wrong = PairRotation(0, 2, half_turn, 80, 40, 40, 180.0)
    assert cycle_errors_deg((*pairs, wrong), min_matches=41) == {}
    assert cycle_errors_deg((*pairs, wrong), min_matches=40) == {(0, 1, 2): pytest.approx(180)}


def test_many_names_are_shortened() -> None:
    assert listed([2], NAMES) == "IMG_2"
    assert listed([2, 0], NAMES) == "IMG_0 and IMG_2"
    assert listed(range(6), NAMES) == "IMG_0, IMG_1, IMG_2 and 3 more"
