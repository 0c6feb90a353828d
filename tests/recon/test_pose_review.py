"""Confidence where it is due, and none where it is not."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from recon.colmap import MapperGates
from recon.focal import TYPICAL, FocalEvidence, evidence_from_exif
from recon.match_graph import PairMatches
from recon.pose_confidence import COEFFICIENTS, PoseEvidence, confidence, features, main_doubt, with_second_opinion
from recon.pose_review import PoseFindings, PoseReview, examine_poses, review_poses
from recon.second_opinion import disagreements_deg, second_model
from recon.sparse_model import MappingProblem, SparseModel
from tests.recon.model_scenes import exact_model
from tests.synthetic import arc_of_cameras, exact_scene

GATES = MapperGates(12, min_pose_inliers=12)
NAMES = [f"IMG_{i}" for i in range(8)]
SURE = (evidence_from_exif(0.95),)  # the cameras' focal is .9: it came from the photos, not from here
GOOD = PoseEvidence(sigma_deg=0.1, agreeing_share=1.0, num_tracked=400, second_deg=0.0)


def scene(seen: NDArray[np.bool_], **how: float) -> tuple[MappingProblem, SparseModel]:
    cameras = arc_of_cameras(len(seen), **how)
    return exact_model(cameras, exact_scene(cameras, num_points=seen.shape[1]).xyz, seen, noise_px=0.5)


def examined(
    problem: MappingProblem, model: SparseModel, beliefs: tuple[FocalEvidence, ...] = SURE
) -> tuple[PoseFindings, PoseReview]:
    findings = examine_poses(problem, model, beliefs, GATES, max_error_px=3.0, seed=0)
    tried = set(combinations(range(len(problem.keypoints)), 2))
    return findings, review_poses(problem, findings, model, names=NAMES, tried=tried)


@pytest.mark.parametrize("num_views", [3, 6])
def test_a_sound_scene_is_trusted(num_views: int) -> None:
    _, review = examined(*scene(np.ones((num_views, 250), bool)))
    assert min(review.confidences.values()) >= 0.9
    assert review.warnings == ()


def test_a_guessed_focal_length_is_not_trusted() -> None:
    """Three photos a few degrees apart, nothing known of the lens: directions may be off by many degrees."""
    problem, model = scene(np.ones((3, 250), bool), spread_deg=12, focal=TYPICAL.focal)
    _, sure = examined(problem, model, SURE)
    _, guessed = examined(problem, model, (TYPICAL,))
    assert max(guessed.confidences.values()) < 0.85
    assert max(guessed.confidences.values()) < min(sure.confidences.values()) - 0.1


def test_groups_joined_by_two_view_links_only_are_not_trusted() -> None:
    seen = np.zeros((4, 300), bool)
    seen[:2, :100], seen[1:3, 100:200], seen[2:, 200:] = True, True, True
    _, review = examined(*scene(seen))
    assert max(review.confidences[0], review.confidences[3]) < 0.5  # 1 and 2 are right about half of the others
    assert any("scale between" in text for text in review.warnings)
    assert any("is uncertain" in text and "Take one more photo between it and IMG_" in text for text in review.warnings)


def test_a_photo_whose_matches_mean_a_copy_of_the_scene_is_not_trusted() -> None:
    """One half of its matches comes from a second copy, turned by 90 degrees, that nobody can tell from the first."""
    problem, model = with_copy(*scene(np.ones((5, 200), bool)))
    _, review = examined(problem, model)
    assert review.confidences[4] < 0.5
    assert min(review.confidences[photo] for photo in range(4)) > review.confidences[4] + 0.3
    assert any("IMG_4 is uncertain" in text for text in review.warnings)


def with_copy(problem: MappingProblem, model: SparseModel) -> tuple[MappingProblem, SparseModel]:
    """Photo 4 also sees a turned copy of the points, which photos 0 to 2 take for the first one."""
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    T = model.cam_from_world[4]
    x = model.xyz @ turn.T @ T[:3, :3].T + T[:3, 3]
    pixels = x[:, :2] / x[:, 2:] * model.lenses[0].focal * 1024 + 512
    copies = np.stack([np.arange(200), 200 + np.arange(200)], axis=1)
    pairs = tuple(replace(pair, indices=copies) if pair.b == 4 and pair.a < 3 else pair for pair in problem.pairs)
    return replace(
        problem, keypoints=(*problem.keypoints[:4], np.concatenate([problem.keypoints[4], pixels])), pairs=pairs
    ), model


def test_a_wrong_camera_is_found_by_beginning_elsewhere() -> None:
    problem, model = scene(np.ones((4, 200), bool))
    wrong = replace(model, cam_from_world={**model.cam_from_world, 3: arc_of_cameras(4)[1].cam_from_world})
    other = second_model(problem, wrong, [3], GATES, seed=1)
    assert other is not None
    told = with_second_opinion(dict.fromkeys(range(4), GOOD), disagreements_deg(wrong, other))
    assert told[3].second_deg is not None
    assert told[3].second_deg > 10
    assert told[0].second_deg is not None
    assert told[0].second_deg < 1
    review = review_poses(problem, PoseFindings(told, ()), model, names=NAMES, tried=())
    assert any("Two ways of placing the photos disagree about IMG_3, by" in text for text in review.warnings)


def test_there_is_no_second_opinion_without_matches() -> None:
    problem, model = scene(np.ones((3, 100), bool))
    few = tuple(PairMatches(p.a, p.b, p.indices[:10], 10, None) for p in problem.pairs)
    assert second_model(replace(problem, pairs=few), model, [0, 1, 2], GATES, seed=0) is None
    assert second_model(replace(problem, pairs=()), model, [0, 1, 2], GATES, seed=0) is None


def test_the_review_does_not_depend_on_chance() -> None:
    problem, model = scene(np.ones((4, 100), bool))
    assert examined(problem, model)[1] == examined(problem, model)[1]


@pytest.mark.parametrize(
    "worse",
    [
        {"sigma_deg": 3.0},
        {"agreeing_share": 0.5},
        {"num_tracked": 0},
        {"second_deg": 20.0},
        {"second_deg": None},
    ],
    ids=lambda worse: next(iter(worse)),
)
def test_what_speaks_against_a_camera_never_raises_its_confidence(worse: dict[str, float]) -> None:
    assert confidence(replace(GOOD, **worse)) <= confidence(GOOD)
    assert 0 <= confidence(replace(GOOD, **worse)) <= 1


def test_there_is_a_coefficient_for_every_number() -> None:
    assert features(GOOD).shape == (len(COEFFICIENTS),)


def test_the_strongest_doubt_is_told() -> None:
    assert "hardly determine" in main_doubt(replace(GOOD, sigma_deg=60.0))
    assert "contradict" in main_doubt(replace(GOOD, agreeing_share=0.1))
    assert "another way" in main_doubt(replace(GOOD, second_deg=90.0))
