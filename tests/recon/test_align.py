import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.align import moved, similarity_from_points, up_direction, upright
from recon.scene import PointCloud, Reconstruction, View
from splatting.camera import Camera
from tests.synthetic import arc_of_cameras, looking_at

ROTATION = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
SHIFT = np.array([3.0, -2.0, 0.5])


def scene_of(cameras: tuple[Camera, ...], xyz: np.ndarray) -> Reconstruction:
    rgb, valid = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool)
    views = tuple(View(f"{i}.png", camera, rgb, valid) for i, camera in enumerate(cameras))
    n = len(xyz)
    points = PointCloud(xyz, np.zeros((n, 3), np.uint8), np.full(n, 2, np.int32), np.zeros(n, np.float32))
    return Reconstruction(views, points, ())


def random_points(n: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 3))


def test_similarity_is_recovered_exactly() -> None:
    source = random_points(7)
    scale, R, t = similarity_from_points(source, 2.5 * source @ ROTATION.T + SHIFT)
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(R, ROTATION, atol=1e-12)
    np.testing.assert_allclose(t, SHIFT, atol=1e-12)


def test_similarity_of_mirrored_points_is_still_a_rotation() -> None:
    source = random_points(9)
    _, R, _ = similarity_from_points(source, source * [1, 1, -1])
    assert np.linalg.det(R) == pytest.approx(1)


@pytest.mark.parametrize("source", [np.zeros((2, 3)), np.outer(np.arange(5.0), [1, 2, 3]), np.zeros((4, 2))])
def test_undetermined_similarities_are_refused(source: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"similarity|\[N, 3\]"):
        similarity_from_points(source, source)


def test_moving_a_scene_leaves_every_pixel_where_it_was() -> None:
    scene = scene_of(arc_of_cameras(4), random_points())
    after = moved(scene, 0.7, ROTATION, SHIFT)
    for before_view, after_view in zip(scene.views, after.views, strict=True):
        before, depth = before_view.camera.project(scene.points.xyz)
        pixels, moved_depth = after_view.camera.project(after.points.xyz)
        np.testing.assert_allclose(pixels, before, atol=1e-9)
        np.testing.assert_allclose(moved_depth, 0.7 * depth, atol=1e-9)


def test_upright_undoes_any_rotation_of_the_world() -> None:
    scene = scene_of(arc_of_cameras(6), random_points())
    expected = upright(scene)
    result = upright(moved(scene, 12.0, ROTATION, SHIFT))
    ups = [np.array([v.camera.R for v in s.views]) for s in (expected, result)]
    np.testing.assert_allclose(up_direction(ups[0]), [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(up_direction(ups[1]), [0, 1, 0], atol=1e-9)
    heights = [s.points.xyz[:, 1] for s in (expected, result)]
    np.testing.assert_allclose(heights[0], heights[1], atol=1e-9)


def test_upright_sets_the_origin_and_the_unit() -> None:
    result = upright(scene_of(arc_of_cameras(5), random_points() + SHIFT * 0.01))
    np.testing.assert_allclose(np.median(result.points.xyz, axis=0), 0, atol=1e-9)
    distances = [np.linalg.norm(result.points.xyz - v.camera.center, axis=1) for v in result.views]
    assert np.median(np.concatenate(distances)) == pytest.approx(1)


def test_up_is_found_from_photos_taken_from_above() -> None:
    """A ring that looks down by 45 degrees: no single -y axis is up, and a short arc of them does not average to it."""
    arc = [np.array([4 * np.sin(a), 4.0, -4 * np.cos(a)]) for a in np.radians([0, 20, 40, 60])]
    rotations = np.array([looking_at(center, np.zeros(3))[:3, :3] for center in arc])
    angle = np.degrees(np.arccos(up_direction(rotations) @ [0, 1, 0]))
    mean = -rotations[:, 1].mean(axis=0)
    assert np.degrees(np.arccos(mean @ [0, 1, 0] / np.linalg.norm(mean))) > 35  # what the mere mean would give
    assert angle < 10


def test_up_survives_a_minority_of_turned_photos() -> None:
    cameras = arc_of_cameras(7, spread_deg=150)
    turned = [180.0, 90.0, 0, 0, 0, 0, 0]
    rotations = [looking_at(c.center, np.zeros(3), roll_deg=r)[:3, :3] for c, r in zip(cameras, turned, strict=True)]
    assert np.degrees(np.arccos(up_direction(np.array(rotations)) @ [0, 1, 0])) < 8


def test_a_world_that_stands_on_its_head_is_turned_round() -> None:
    """Exactly opposite vectors have no unique smallest rotation between them."""
    scene = scene_of(tuple(Camera(np.eye(3), np.eye(4), 4, 4) for _ in range(2)), random_points() + np.array([0, 0, 5]))
    result = upright(scene)  # identity poses: up is -Y
    np.testing.assert_allclose(-result.views[0].camera.R[1], [0, 1, 0], atol=1e-12)
    assert np.linalg.det(result.views[0].camera.R) == pytest.approx(1)


def test_a_scene_without_points_gets_its_unit_from_the_cameras() -> None:
    result = upright(scene_of(arc_of_cameras(4), np.zeros((0, 3))))
    centers = np.array([view.camera.center for view in result.views])
    assert np.median(np.linalg.norm(centers, axis=1)) == pytest.approx(1)


def test_a_scene_that_is_a_single_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no scale"):
        upright(scene_of((Camera(np.eye(3), np.eye(4), 4, 4),), np.zeros((0, 3))))
