"""Camera paths through key views: they meet them, in time, smoothly, and closed ones have no seam."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.camera_files import write_cameras_json
from recon.errors import ReconError
from recon.key_views import KeyViews, along, read_key_views
from recon.scene import View
from splatting.camera import Camera
from tests.synthetic import looking_at

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])


def keys_on_a_ring(count: int, *, radius: float = 3.0) -> tuple[Camera, ...]:
    angles = np.arange(count) * 2 * np.pi / count
    centers = np.stack([radius * np.sin(angles), 0.5 * np.cos(2 * angles), radius * np.cos(angles)], axis=1)
    return tuple(Camera(K, looking_at(center, np.zeros(3)), 640, 480) for center in centers)


def turns_deg(path: list[Camera]) -> np.ndarray:
    return np.array([
        np.rad2deg(Rotation.from_matrix(b.R @ a.R.T).magnitude()) for a, b in pairwise(path)
    ])  # fmt: skip


def test_the_path_meets_every_key_view_at_its_time() -> None:
    cameras = keys_on_a_ring(5)
    cameras = (cameras[0], replace(cameras[1], K=K * [[2], [2], [1]] + 0), *cameras[2:])
    times = np.array([0, 1, 1.5, 3, 4.0])
    path = along(KeyViews(cameras, times), 41)  # ten frames a second
    for camera, t in zip(cameras, times, strict=True):
        frame = path[round(t * 10)]
        np.testing.assert_allclose(frame.cam_from_world, camera.cam_from_world, atol=1e-9)
        np.testing.assert_allclose(frame.K, camera.K, rtol=1e-9)


def test_closed_paths_have_no_seam() -> None:
    cameras = keys_on_a_ring(6)
    path = along(KeyViews(cameras, is_closed=True), 120)
    round_again = [*path, path[0], path[1]]
    centers = np.array([camera.center for camera in round_again])
    steps = np.diff(centers, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.max() < 1.5 * lengths.min()
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.15 * lengths.mean()
    turns = turns_deg(round_again)
    assert turns.max() < 1.5 * turns.min()


def test_open_paths_start_and_stop_gently_and_go_evenly_between() -> None:
    cameras = tuple(Camera(K, looking_at(np.array([x, 0, -4.0]), np.array([x, 0, 0])), 640, 480) for x in (0, 1, 4.0))
    centers = np.array([camera.center for camera in along(KeyViews(cameras), 201)])
    speed = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    np.testing.assert_allclose(centers[[0, -1]], [cameras[0].center, cameras[2].center], atol=1e-9)
    assert speed[0] < 0.1 * speed.max() > speed[-1]
    assert speed[60:140].max() < 1.05 * speed[60:140].min()
    assert (np.diff(centers[:, 0]) > 0).all()


def test_two_views_that_differ_in_direction_only_are_turned_between() -> None:
    a = Camera(K, np.eye(4), 640, 480)
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("y", 40, degrees=True).as_matrix()
    path = along(KeyViews((a, replace(a, cam_from_world=turned))), 21)
    assert turns_deg(path).sum() == pytest.approx(40)
    assert np.abs([camera.center for camera in path]).max() == 0


def test_one_key_view_stands_still_and_equal_ones_do_no_harm() -> None:
    (camera,) = keys_on_a_ring(1)
    assert along(KeyViews((camera,)), 3) == [camera] * 3
    for frame in along(KeyViews((camera, camera, camera)), 5):
        np.testing.assert_allclose(frame.cam_from_world, camera.cam_from_world, atol=1e-9)
    with pytest.raises(ValueError, match="num_frames"):
        along(KeyViews((camera,)), 0)


def write_path(path: Path, cameras: tuple[Camera, ...], **extra: object) -> Path:
    views = [
        View(f"{i}.png", camera, np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool))
        for i, camera in enumerate(cameras)
    ]
    write_cameras_json(views, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **extra}))
    return path


def with_times(path: Path, times: list[object]) -> Path:
    document = json.loads(path.read_text())
    for image, t in zip(document["images"], times, strict=False):
        image["t"] = t
        del image["file"]  # key views need no photo
    path.write_text(json.dumps(document))
    return path


def test_files_hold_key_views_their_times_and_whether_they_close(tmp_path: Path) -> None:
    cameras = keys_on_a_ring(3)
    keys = read_key_views(write_path(tmp_path / "keys.json", cameras, closed=True))
    assert (len(keys.cameras), keys.times, keys.is_closed, keys.seconds) == (3, None, True, None)
    keys = read_key_views(with_times(tmp_path / "keys.json", [2, 3.5, 4]))
    np.testing.assert_array_equal(keys.times, [0, 1.5, 2])  # type: ignore[arg-type]
    assert keys.seconds == 3
    np.testing.assert_array_equal(keys.cameras[1].cam_from_world, cameras[1].cam_from_world)


@pytest.mark.parametrize("times", [[0, 1], [0, 2, 1], [0, 1, "soon"], [0, 1, float("nan")]])
def test_times_that_make_no_film_are_told_of(tmp_path: Path, times: list[object]) -> None:
    path = with_times(write_path(tmp_path / "keys.json", keys_on_a_ring(3)), times)
    with pytest.raises(ReconError, match="does not hold a camera path"):
        read_key_views(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": 3}', '{"images": []}', '{"images": [{}]}'])
def test_what_is_no_path_is_told_of(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(ReconError):
        read_key_views(tmp_path / "keys.json")


def test_key_views_of_other_sizes_are_scaled_and_of_other_proportions_refused(tmp_path: Path) -> None:
    a, b = keys_on_a_ring(2)
    keys = read_key_views(write_path(tmp_path / "keys.json", (a, b.resized(320, 240))))
    np.testing.assert_allclose(keys.cameras[1].K, K)
    with pytest.raises(ReconError, match="proportions"):
        read_key_views(write_path(tmp_path / "keys.json", (a, b.resized(480, 640))))
