"""Navigation is plain mathematics: what stays, what moves, and which way."""

import numpy as np
import pytest

from app.viewport_camera import (
    STANDARD_VIEWS,
    ViewCamera,
    between,
    clip_from_camera,
    clip_range,
    looking_at,
    rotation_about,
    rotation_vector,
    through_photo,
)
from splatting.camera import Camera

SIZE = (640, 480)


@pytest.fixture
def view() -> ViewCamera:
    return ViewCamera(looking_at((2.0, 1.0, 3.0), (0.5, 0.2, -0.1)), 3.2)


def pixel(view: ViewCamera, point: np.ndarray) -> np.ndarray:
    return view.to_camera(*SIZE).project(point[None])[0][0]


def test_orbit_keeps_the_pivot_and_the_horizon_and_goes_the_way_it_says(view: ViewCamera) -> None:
    moved = view.orbited(0.3, 0.2)
    assert np.allclose(moved.pivot, view.pivot)
    assert moved.distance == view.distance
    assert abs(moved.R[0, 1]) < 1e-12  # right stays level
    assert view.R[0] @ (view.orbited(0.3, 0).center - view.center) > 0
    assert view.orbited(0, 0.2).center[1] > view.center[1]


def test_orbit_stops_at_the_poles_and_stays_a_rotation(view: ViewCamera) -> None:
    for _ in range(400):
        view = view.orbited(0.1, 0.05)
    assert np.allclose(view.R @ view.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view.R) == pytest.approx(1)
    assert np.rad2deg(np.arcsin(-view.R[2, 1])) == pytest.approx(89)


def test_pan_moves_the_pivot_with_the_mouse(view: ViewCamera) -> None:
    pivot = view.pivot
    assert np.allclose(pixel(view.panned(30, -20, SIZE[1]), pivot), np.add(pixel(view, pivot), [30, -20]))


def test_zoom_keeps_what_is_under_the_cursor(view: ViewCamera) -> None:
    point = view.pivot + 0.4 * view.R[0] - 0.3 * view.R[1]
    closer = view.zoomed(0.5, toward=point)
    assert np.allclose(pixel(closer, point), pixel(view, point))
    assert closer.distance == pytest.approx(view.distance / 2)


def test_fly_and_turn_go_along_the_own_axes(view: ViewCamera) -> None:
    assert np.allclose(view.flown(1, 2, 3).center - view.center, view.R[0] - 2 * view.R[1] + 3 * view.R[2])
    assert np.allclose(view.turned(0.2, 0.1).center, view.center)
    assert view.turned(0.2, 0).R[2] @ view.R[0] > 0
    assert view.turned(0, 0.2).R[2, 1] > view.R[2, 1]


@pytest.mark.parametrize("size", [(640, 480), (300, 900)])
def test_a_framed_sphere_fits_and_touches(view: ViewCamera, size: tuple[int, int]) -> None:
    middle, radius = np.array([1.0, -2.0, 0.5]), 2.5
    framed = view.framing(middle, radius, size[0] / size[1])
    camera = framed.to_camera(*size)
    # The rim that is seen: where lines of sight touch the sphere.
    angles = np.linspace(0, 2 * np.pi, 60)
    reach = radius * np.sqrt(1 - (radius / framed.distance) ** 2)
    rim = middle - framed.R[2] * radius**2 / framed.distance
    rim = rim + reach * (np.cos(angles)[:, None] * framed.R[0] + np.sin(angles)[:, None] * framed.R[1])
    pixels, _ = camera.project(rim)
    assert pixels.min() > -1
    assert (pixels < np.add(size, 1)).all()
    assert np.abs(pixels / size - 0.5).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("size", [(640, 480), (300, 900)])
def test_framed_points_fit_and_touch_the_margin(view: ViewCamera, size: tuple[int, int]) -> None:
    points = np.random.default_rng(0).normal([1, -2, 0.5], [3, 0.2, 1], (40, 3))
    framed = view.framing_points(points, size[0] / size[1], margin=0.1)
    pixels, depth = framed.to_camera(*size).project(points)
    assert np.allclose(framed.R, view.R)
    assert depth.min() > 0
    reach = np.array([pixels.min(axis=0) / size, pixels.max(axis=0) / size])  # [2, 2], of both ends of both axes
    assert reach.min() > 0.1 - 1e-9
    assert reach.max() < 0.9 + 1e-9
    assert np.isclose(reach, [[0.1], [0.9]]).all(axis=0).any()  # one axis is filled from end to end


@pytest.mark.parametrize("name", STANDARD_VIEWS)
def test_standard_views_look_along_an_axis(view: ViewCamera, name: str) -> None:
    seen = view.seen_from(name)
    assert np.allclose(seen.pivot, view.pivot)
    assert np.abs(seen.R[2]).max() > 0.99
    assert np.allclose(seen.R[2], -np.array(STANDARD_VIEWS[name]), atol=2e-3)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1.0, np.pi - 1e-7, np.pi])
def test_rotation_vectors_give_back_their_rotation(angle: float) -> None:
    R = rotation_about(np.array([2.0, -1.0, 2.0]) / 3, angle)
    vector = rotation_vector(R)
    assert np.linalg.norm(vector) == pytest.approx(angle, abs=1e-7)
    assert np.allclose(
        rotation_about(vector / max(np.linalg.norm(vector), 1e-12), np.linalg.norm(vector)), R, atol=1e-6
    )


def test_between_two_views_begins_and_ends_there(view: ViewCamera) -> None:
    end = view.seen_from("back").zoomed(3).panned(40, 5, 480)
    assert np.allclose(between(view, end, 0).cam_from_world, view.cam_from_world)
    assert np.allclose(between(view, end, 1).cam_from_world, end.cam_from_world)
    assert np.allclose(between(view, end, 1 - 1e-9).cam_from_world, end.cam_from_world, atol=1e-6)
    middle = between(view, end, 0.5)
    assert view.distance < middle.distance < end.distance
    assert np.allclose(middle.pivot, (view.pivot + end.pivot) / 2)


def test_a_photo_is_seen_whole_through_its_own_camera() -> None:
    K = np.array([[800.0, 0, 410], [0, 800.0, 290], [0, 0, 1]])
    photo = Camera(K, looking_at((1.0, 2, 3), (0.0, 0, 0)), 800, 600)
    for width, height in ((1000, 500), (500, 1000)):
        camera = through_photo(photo, 2.0, width, height).to_camera(width, height)
        point = photo.unproject(np.array([[0.0, 0.0], [800.0, 600.0]]), np.array([2.0, 2.0]))
        corners = camera.project(point)[0]
        scale = min(width / 800, height / 600)
        assert np.allclose(corners[1] - corners[0], [800 * scale, 600 * scale])
        assert np.allclose(corners.mean(axis=0), [width / 2, height / 2])


def test_clip_space_is_that_of_the_camera(view: ViewCamera) -> None:
    camera = view.to_camera(*SIZE)
    near, far = clip_range(view, view.pivot, 1.0)
    assert near < view.distance - 1 < view.distance + 1 < far
    clip = clip_from_camera(camera, near, far) @ camera.cam_from_world @ np.append(view.pivot + 0.3 * view.R[1], 1)
    x, y, z = clip[:3] / clip[3]
    pixels = camera.project((view.pivot + 0.3 * view.R[1])[None])[0][0]
    assert np.allclose([(x + 1) / 2 * SIZE[0], (1 - y) / 2 * SIZE[1]], pixels)
    assert -1 < z < 1
