"""All cameras at once, handed to bundle adjustment."""

import numpy as np
import pytest

from recon.colmap import MapperGates, adjust, triangulate
from recon.focal import TYPICAL
from recon.regression.joint_model import pair_correspondences, place_jointly
from recon.sparse_model import Lens, MappingProblem, residuals_px, to_mapping_frame
from splatting.camera import Camera
from tests.synthetic import SyntheticScene, arc_of_cameras, exact_scene

FOCAL = 0.9


def problem_of(scene: SyntheticScene) -> MappingProblem:
    keypoints = tuple(
        to_mapping_frame(own, camera.width, camera.height)
        for own, camera in zip(scene.graph.keypoints, scene.cameras, strict=True)
    )
    return MappingProblem(keypoints, scene.graph.pairs, (0,) * len(keypoints))


def rotation_errors_deg(poses: dict[int, np.ndarray], cameras: tuple[Camera, ...]) -> list[float]:
    """Errors of the relative rotations to the first placed photo."""
    first = min(poses)
    errors = []
    for photo, pose in poses.items():
        own = pose[:3, :3] @ poses[first][:3, :3].T
        true = cameras[photo].R @ cameras[first].R.T
        errors.append(float(np.degrees(2 * np.arcsin(np.linalg.norm(own - true) / 8**0.5))))
    return errors


@pytest.mark.parametrize("num_views", [3, 6])
def test_bundle_adjustment_ends_at_the_true_cameras(num_views: int) -> None:
    scene = exact_scene(arc_of_cameras(num_views, focal=FOCAL), noise_px=0.5)
    problem = problem_of(scene)
    model = place_jointly(problem, [Lens(FOCAL)])
    assert model is not None
    assert model.num_placed == num_views
    assert max(rotation_errors_deg(model.cam_from_world, scene.cameras)) < 0.6
    model = adjust(problem, triangulate(problem, model, MapperGates(), seed=0)).model
    assert len(model.xyz) > 250
    assert np.median(residuals_px(model, problem)) < 1.0
    assert max(rotation_errors_deg(model.cam_from_world, scene.cameras)) < 0.3


def test_photos_without_matches_are_left_out() -> None:
    scene = exact_scene(arc_of_cameras(4, focal=FOCAL), noise_px=0.5)
    problem = problem_of(scene)
    pairs = tuple(pair for pair in problem.pairs if 3 not in (pair.a, pair.b))
    model = place_jointly(MappingProblem(problem.keypoints, pairs, problem.lens_of), [Lens(FOCAL)])
    assert model is not None
    assert sorted(model.cam_from_world) == [0, 1, 2]
    assert place_jointly(MappingProblem(problem.keypoints, (), problem.lens_of), [Lens(FOCAL)]) is None


def test_photos_of_two_lenses_share_a_focal_length_after_scaling() -> None:
    scene = exact_scene(arc_of_cameras(2, focal=FOCAL), noise_px=0.0)
    problem = problem_of(scene)
    zoomed = (problem.keypoints[0], (problem.keypoints[1] - 512) * 2 + 512)
    two = MappingProblem(zoomed, problem.pairs, (0, 1))
    matches = pair_correspondences(two, [Lens(FOCAL), Lens(2 * FOCAL)], two.pairs[0])
    single = pair_correspondences(problem, [Lens(FOCAL)], problem.pairs[0])
    assert np.allclose(matches.in_b, single.in_b)


def test_a_wrong_focal_length_is_mended_by_many_photos() -> None:
    scene = exact_scene(arc_of_cameras(6, focal=FOCAL, spread_deg=80), noise_px=0.3)
    model = place_jointly(problem_of(scene), [Lens(0.75)], focal_belief=TYPICAL)
    assert model is not None
    assert model.lenses[0].focal == pytest.approx(FOCAL, rel=0.04)
