"""Turntables: closed, smooth, upright, and never far from the photos."""

import numpy as np
import pytest

from recon.align import moved_camera, rotation_between
from recon.camera_paths import angular_range, look_at, scene_center, subject_center, turning_seconds, turntable
from splatting.camera import Camera

TARGET = np.array([0.3, -0.2, 0.5])


def ring(degrees: list[float], radius: float = 3.0, height: float = 1.0) -> list[Camera]:
    K = np.array([[500.0, 0, 300], [0, 500, 210], [0, 0, 1]])
    cameras = []
    for angle in np.deg2rad(degrees):
        eye = TARGET + np.array([radius * np.sin(angle), height, radius * np.cos(angle)])
        cameras.append(Camera(K, look_at(eye, TARGET), 640, 480))
    return cameras


def azimuths(cameras: list[Camera]) -> np.ndarray:
    offsets = np.stack([camera.center for camera in cameras]) - TARGET
    return np.rad2deg(np.unwrap(np.arctan2(offsets[:, 0], offsets[:, 2])))


def test_look_at_shows_the_target_in_the_middle_with_up_above() -> None:
    camera = ring([20.0])[0]
    pixels, depth = camera.project(np.stack([TARGET, TARGET + np.array([0, 0.1, 0])]))
    np.testing.assert_allclose(pixels[0], [300, 210], atol=1e-9)
    assert pixels[1, 1] < pixels[0, 1]  # up in the world is up in the image, whose y runs down
    assert pixels[1, 0] == pytest.approx(pixels[0, 0])
    assert (depth > 0).all()
    np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.R) == pytest.approx(1)


def test_looking_straight_down_is_a_rotation_too() -> None:
    R = look_at(np.array([0, 5.0, 0]), np.zeros(3))[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    with pytest.raises(ValueError, match="same point"):
        look_at(TARGET, TARGET)


def test_the_scene_center_is_what_the_photos_show_in_their_middle() -> None:
    random = np.random.default_rng(0)
    subject = TARGET + random.normal(0, 0.1, (200, 3))
    far = TARGET + np.array([4.0, 0, 0]) + random.normal(0, 0.1, (2000, 3))
    center = scene_center(np.concatenate([far, subject]), ring([-20, 0, 30]))
    np.testing.assert_allclose(center, TARGET, atol=0.05)


def test_cameras_that_look_the_same_way_show_the_surface_in_front_of_them() -> None:
    """Their axes meet nowhere: a film of a flower once looked past it."""
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    cameras = [Camera(K, look_at(np.array([x, 0, 5.0]), np.array([x, 0, 0.0])), 640, 480) for x in (0.0, 0.2, 0.4)]
    wall = np.random.default_rng(0).uniform([-3, -3, -0.1], [3, 3, 0.1], (2000, 3))
    np.testing.assert_allclose(scene_center(wall, cameras), [0.2, 0, 0], atol=0.15)


def test_the_subject_is_what_stands_on_the_table_not_the_table() -> None:
    random = np.random.default_rng(0)
    table = TARGET + random.uniform([-1, 0, -1], [1, 0.01, 1], (4000, 3))
    thing = TARGET + random.uniform([-0.1, 0, -0.1], [0.1, 0.6, 0.1], (800, 3))
    both, up = np.concatenate([table, thing]), np.array([0.0, 1.0, 0.0])
    assert scene_center(both, ring([-20, 0, 30]))[1] == pytest.approx(TARGET[1], abs=0.06)
    center = subject_center(both, ring([-20, 0, 30]), up, TARGET[1])
    np.testing.assert_allclose(center, TARGET + np.array([0, 0.33, 0]), atol=0.05)
    only = subject_center(table, ring([-20, 0, 30]), up, TARGET[1])
    np.testing.assert_allclose(only, scene_center(table, ring([-20, 0, 30])))


def test_a_turntable_follows_the_up_that_it_is_told() -> None:
    cameras = ring([-40, -10, 15, 50])
    turn = rotation_between(np.array([0.0, 1.0, 0.0]), np.array([0.6, 0.0, 0.8]))
    expected = turntable(cameras, TARGET, 12)
    turned = [moved_camera(camera, 1.0, turn, np.zeros(3)) for camera in cameras]
    for a, b in zip(expected, turntable(turned, turn @ TARGET, 12, up=turn[:, 1]), strict=True):
        np.testing.assert_allclose(moved_camera(a, 1.0, turn, np.zeros(3)).cam_from_world, b.cam_from_world, atol=1e-9)
    assert turning_seconds(cameras, TARGET, np.array([0, 1.0, 0])) == pytest.approx(2 * 90 / 25)
    assert turning_seconds(ring([0, 1]), TARGET, np.array([0, 1.0, 0])) == 4
    assert turning_seconds(ring(list(range(0, 360, 45))), TARGET, np.array([0, 1.0, 0])) == pytest.approx(360 / 25)


def test_without_points_or_cameras_there_is_no_center() -> None:
    with pytest.raises(ValueError, match="needed"):
        scene_center(np.zeros((0, 3)), ring([0]))
    with pytest.raises(ValueError, match="needed"):
        scene_center(np.zeros((1, 3)), [])


def test_cameras_on_one_side_are_swept_to_and_fro() -> None:
    path = turntable(ring([-40, -10, 15, 50]), TARGET, 100)
    angles = azimuths(path)
    assert angles.min() == pytest.approx(-40, abs=1)
    assert angles.max() == pytest.approx(50, abs=1)
    # Forth in the first half and back in the second.
    assert (np.diff(angles[:51]) > -1e-9).all()
    assert (np.diff(angles[50:]) < 1e-9).all()


def test_cameras_across_the_back_direction_are_one_range() -> None:
    angles = azimuths(turntable(ring([150, 170, -170, -150]), TARGET, 60))
    assert np.ptp(angles) == pytest.approx(60, abs=1)


def test_cameras_all_around_are_circled_once() -> None:
    path = turntable(ring(list(range(0, 360, 60))), TARGET, 90)
    steps = np.diff(azimuths(path))
    np.testing.assert_allclose(steps, 4, atol=1e-6)


@pytest.mark.parametrize("degrees", [[-40, -10, 15, 50], list(range(0, 360, 45))])
def test_the_path_is_closed_and_smooth(degrees: list[float]) -> None:
    rng = np.random.default_rng(0)
    cameras = [camera for d in degrees for camera in ring([d], 3 + rng.uniform(-0.5, 0.5), 1 + rng.uniform(-0.3, 0.3))]
    centers = np.stack([camera.center for camera in turntable(cameras, TARGET, 240)])
    steps = np.roll(centers, -1, axis=0) - centers
    length = np.linalg.norm(steps, axis=1)
    assert length.max() < 3 * length.mean()
    jerk = np.linalg.norm(np.roll(steps, -1, axis=0) - steps, axis=1)
    assert jerk.max() < 0.35 * length.max()


def test_radius_and_height_stay_within_those_of_the_photos() -> None:
    cameras = [*ring([-30], 2.5, 0.5), *ring([0], 3.0, 1.0), *ring([30], 3.5, 1.5)]
    offsets = np.stack([camera.center for camera in turntable(cameras, TARGET, 80)]) - TARGET
    radius = np.hypot(offsets[:, 0], offsets[:, 2])
    assert radius.min() > 2.49
    assert radius.max() < 3.51
    assert offsets[:, 1].min() > 0.49
    assert offsets[:, 1].max() < 1.51


def test_one_camera_stays_where_it_is() -> None:
    camera = ring([25.0])[0]
    for frame in turntable([camera], TARGET, 5):
        np.testing.assert_allclose(frame.center, camera.center, atol=1e-6)
        assert (frame.width, frame.height) == (640, 480)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="num_frames"):
        turntable(ring([0]), TARGET, 0)
    with pytest.raises(ValueError, match="one camera"):
        turntable([], TARGET)
    with pytest.raises(ValueError, match="center"):
        turntable(ring([0]), np.zeros(2))


def test_angular_range_starts_after_the_widest_gap() -> None:
    start, extent, is_circle = angular_range(np.deg2rad([350.0, 10.0, 40.0]))
    assert np.rad2deg(start) == pytest.approx(350)
    assert np.rad2deg(extent) == pytest.approx(50)
    assert not is_circle
