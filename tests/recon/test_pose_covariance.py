"""Uncertainties of cameras: as large as errors are, the same in every world, larger where they should be."""

from dataclasses import replace

import numpy as np
import pytest

from recon.colmap import adjust
from recon.pose_covariance import lower_median, pair_uncertainties
from recon.second_opinion import disagreements_deg
from recon.sparse_model import MappingProblem, SparseModel
from tests.recon.model_scenes import exact_model
from tests.synthetic import arc_of_cameras, exact_scene

NOISE_PX = 0.5


def arc_model(num_views: int = 4, **how: float) -> tuple[MappingProblem, SparseModel]:
    xyz = exact_scene(arc_of_cameras(2), num_points=150).xyz
    return exact_model(arc_of_cameras(num_views, **how), xyz, np.ones((num_views, 150), bool), noise_px=NOISE_PX)


def noisy(problem: MappingProblem, seed: int) -> MappingProblem:
    """Independent noise on top: of sqrt(2) times what the problem has."""
    generator = np.random.default_rng(seed)
    moved = tuple(own + NOISE_PX * generator.normal(0, 1, own.shape) for own in problem.keypoints)
    return replace(problem, keypoints=moved)


def test_uncertainties_are_the_spread_of_repeated_adjustments() -> None:
    problem, exact = exact_model(
        arc_of_cameras(4), exact_scene(arc_of_cameras(2), num_points=150).xyz, np.ones((4, 150), bool)
    )
    errors: dict[tuple[int, int], list[float]] = {}
    for seed in range(30):
        adjusted = adjust(noisy(problem, seed), exact).model
        for pair, angle in disagreements_deg(adjusted, exact).items():
            errors.setdefault(pair, []).append(angle)
    predicted = pair_uncertainties(noisy(problem, 99), exact, {0: 0.0}, radial_sigma=0.0)
    for pair, angles in errors.items():
        ratio = predicted[pair] / np.sqrt(np.mean(np.square(angles)))
        assert 0.6 < ratio < 1.4  # 30 draws know a spread to 13 %; the larger of two angles is a bit above either


def test_uncertainties_do_not_depend_on_the_world_frame() -> None:
    problem, model = arc_model()
    scale, angle = 5.0, 0.7
    R = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = np.array([3.0, -2.0, 1.0])
    moved = {}
    for photo, T in model.cam_from_world.items():
        new = np.eye(4)
        new[:3, :3] = T[:3, :3] @ R.T
        new[:3, 3] = scale * T[:3, 3] - new[:3, :3] @ shift
        moved[photo] = new
    other = replace(model, cam_from_world=moved, xyz=scale * model.xyz @ R.T + shift)
    here, there = pair_uncertainties(problem, model, {}), pair_uncertainties(problem, other, {})
    assert here == pytest.approx(there, rel=1e-3)  # the prior on translations sees the scene's size only roughly


def test_a_focal_length_that_may_be_wrong_makes_cameras_uncertain() -> None:
    problem, model = arc_model(3, spread_deg=10)
    sure, guessed = pair_uncertainties(problem, model, {0: 0.0}), pair_uncertainties(problem, model, {0: 0.35})
    assert all(guessed[pair] > 3 * sure[pair] for pair in sure)


def test_a_lens_that_may_bend_makes_cameras_uncertain() -> None:
    problem, model = arc_model(3)
    straight, bent = (pair_uncertainties(problem, model, {}, radial_sigma=sigma) for sigma in (0.0, 0.2))
    assert all(bent[pair] > 1.2 * straight[pair] for pair in straight)


def test_few_points_on_a_small_patch_make_a_camera_uncertain() -> None:
    cameras = arc_of_cameras(4)
    xyz = exact_scene(cameras, num_points=150).xyz
    seen = np.ones((4, 150), bool)
    seen[3] = np.linalg.norm(xyz - xyz[0], axis=1) < np.sort(np.linalg.norm(xyz - xyz[0], axis=1))[12]
    sigmas = pair_uncertainties(*exact_model(cameras, xyz, seen, noise_px=NOISE_PX), {0: 0.0})
    assert min(sigmas[pair] for pair in sigmas if 3 in pair) > 4 * sigmas[0, 1]


def test_a_scale_that_no_point_carries_makes_directions_uncertain() -> None:
    """Points of photos 0 1, of 1 2 and of 2 3 only: each pair is sharp, 0 and 3 are not."""
    cameras = arc_of_cameras(4)
    xyz = exact_scene(cameras, num_points=300).xyz
    seen = np.zeros((4, 300), bool)
    for link in range(3):
        seen[link : link + 2, 100 * link : 100 * (link + 1)] = True
    sigmas = pair_uncertainties(*exact_model(cameras, xyz, seen, noise_px=NOISE_PX), {0: 0.0})
    assert sigmas[0, 1] < 1
    assert sigmas[0, 2] > 10
    assert sigmas[0, 3] > 10


def test_a_model_without_points_is_not_certain_of_anything() -> None:
    problem, model = arc_model(3)
    nothing = np.zeros(0, np.int64)
    bare = replace(model, xyz=np.zeros((0, 3)), point_of=nothing, photo_of=nothing, keypoint_of=nothing)
    assert set(pair_uncertainties(problem, bare, {}).values()) == {90.0}


def test_the_lower_median_is_one_of_the_values() -> None:
    assert lower_median([3.0, 1.0]) == 1.0
    assert lower_median([3.0, 1.0, 2.0]) == 2.0
    with pytest.raises(ValueError, match="empty"):
        lower_median([])
