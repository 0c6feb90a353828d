"""All cameras moved at once until the matches agree."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.focal import TYPICAL
from recon.regression.epipolar_adjustment import JointCameras, adjust_to_matches
from tests.synthetic import arc_of_cameras, exact_scene

FOCAL = 1.1


def scene_of(num_views: int, *, noise_px: float, wrong_share: float) -> tuple[JointCameras, tuple]:
    """True cameras in the frame of camera 0, and matches of all pairs of which some are wrong."""
    scene = exact_scene(arc_of_cameras(num_views, focal=FOCAL), num_points=120, noise_px=noise_px)
    first = scene.cameras[0].cam_from_world
    own = [camera.cam_from_world @ np.linalg.inv(first) for camera in scene.cameras]
    R = np.array([pose[:3, :3] for pose in own])
    centres = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in own])
    units = [(k - [320, 240]) / 640 for k in scene.graph.keypoints]
    a, b = np.triu_indices(num_views, 1)
    places = np.stack([np.concatenate([units[i], units[j]], axis=1) for i, j in zip(a, b, strict=True)])
    generator = np.random.default_rng(0)
    wrong = generator.random(places.shape[:2]) < wrong_share
    places[wrong] = generator.uniform(-0.5, 0.5, (int(wrong.sum()), 4))
    return JointCameras(R, centres, FOCAL), (a, b, places, np.ones(places.shape[:2], bool))


def perturbed(cameras: JointCameras, size: float) -> JointCameras:
    generator = np.random.default_rng(1)
    R = Rotation.from_rotvec(generator.normal(0, size, (len(cameras.R), 3))).as_matrix() @ cameras.R
    R[0] = cameras.R[0]
    centres = cameras.centres + generator.normal(0, 3 * size, cameras.centres.shape)
    centres[0] = cameras.centres[0]
    return JointCameras(R, centres, cameras.focal)


def worst_deg(found: JointCameras, true: JointCameras) -> float:
    return float(np.degrees(Rotation.from_matrix(found.R @ true.R.transpose(0, 2, 1)).magnitude()).max())


@pytest.mark.parametrize("num_views", [3, 6])
def test_rough_cameras_become_exact(num_views: int) -> None:
    true, matches = scene_of(num_views, noise_px=0.0, wrong_share=0.0)
    rough = perturbed(true, 0.05)
    assert worst_deg(rough, true) > 3
    found, distances_px = adjust_to_matches(rough, *matches, None)
    assert worst_deg(found, true) < 0.01
    assert distances_px.max() < 0.01
    assert found.focal == FOCAL


def test_wrong_matches_hardly_pull() -> None:
    true, matches = scene_of(5, noise_px=0.3, wrong_share=0.3)
    found, _ = adjust_to_matches(perturbed(true, 0.02), *matches, None)
    assert worst_deg(found, true) < 0.5


def test_the_focal_length_is_found_too() -> None:
    true, matches = scene_of(6, noise_px=0.2, wrong_share=0.1)
    start = perturbed(true, 0.02)
    found, _ = adjust_to_matches(JointCameras(start.R, start.centres, 0.85), *matches, TYPICAL)
    assert found.focal == pytest.approx(FOCAL, rel=0.03)
    assert worst_deg(found, true) < 1.0


def test_camera_0_and_the_unit_of_length_stay() -> None:
    true, matches = scene_of(4, noise_px=0.3, wrong_share=0.0)
    rough = perturbed(true, 0.03)
    found, _ = adjust_to_matches(rough, *matches, None)
    assert np.array_equal(found.R[0], rough.R[0])
    assert np.allclose(found.centres[0], rough.centres[0])
    sizes = [np.linalg.norm(c.centres - c.centres[0], axis=1).mean() for c in (rough, found)]
    assert sizes[0] == pytest.approx(sizes[1])


def test_rows_that_only_fill_up_do_not_count() -> None:
    true, (a, b, places, is_match) = scene_of(3, noise_px=0.3, wrong_share=0.0)
    rough = perturbed(true, 0.03)
    padded = np.concatenate([places, np.full((len(a), 40, 4), 0.3)], axis=1)
    counts = np.concatenate([is_match, np.zeros((len(a), 40), bool)], axis=1)
    found, _ = adjust_to_matches(rough, a, b, places, is_match, None)
    again, distances_px = adjust_to_matches(rough, a, b, padded, counts, None)
    assert np.allclose(found.R, again.R, atol=1e-9)
    assert not distances_px[:, -40:].any()
