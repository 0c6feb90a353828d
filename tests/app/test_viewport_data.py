"""Preparing scenes and running jobs for the viewport: no Qt, no OpenGL."""

import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from app.viewport_camera import looking_at
from app.viewport_data import PhotoFrustum, prepare_points, prepare_splats
from app.viewport_pace import FEWEST_SPLATS, FIRST_SPLATS, FRAME_S, Pace
from app.viewport_picking import pick_splats
from app.viewport_scene import ShownScene
from app.viewport_sorting import ViewSorter
from app.viewport_worker import LatestWorker
from splatting.camera import Camera
from splatting.gaussians import Gaussians


def _gaussians(n: int = 400) -> Gaussians:
    g = torch.Generator().manual_seed(1)
    return Gaussians(
        torch.randn(n, 3, generator=g),
        torch.randn(n, 3, generator=g) - 3,
        torch.randn(n, 4, generator=g),
        torch.randn(n, generator=g),
        torch.randn(n, 4, 3, generator=g),
    )


def test_prepared_splats_are_the_same_gaussians_in_another_order() -> None:
    gaussians = _gaussians()
    prepared = prepare_splats(gaussians)
    assert sorted(prepared.rows) == list(range(len(gaussians)))
    assert np.array_equal(prepared.means, gaussians.means.numpy()[prepared.rows])
    assert np.allclose(prepared.places[:, 3], gaussians.opacity_logits.sigmoid()[prepared.rows])
    # The covariance and its shortest axis: an eigenvector of the smallest eigenvalue.
    xx, xy, xz, yy, yz, zz, u, v = prepared.shapes.astype(np.float64).T
    covariances = np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), 2, 0)
    expected = np.sort(gaussians.log_scales.numpy()[prepared.rows], axis=1)
    assert np.allclose(np.log(np.linalg.eigvalsh(covariances)) / 2, expected, atol=2e-2)
    axis = np.stack([u, v, 1 - np.abs(u) - np.abs(v)], axis=1)
    below = axis[:, 2] < 0
    axis[below, :2] = (1 - np.abs(axis[below, 1::-1])) * np.where(axis[below, :2] >= 0, 1, -1)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    lengths = np.einsum("ni,nij,nj->n", axis, covariances, axis)
    assert np.allclose(np.log(lengths) / 2, expected[:, 0], atol=2e-2)


def test_a_prefix_samples_all_places_prefers_what_covers_more_and_is_drawn_larger() -> None:
    prepared = prepare_splats(_gaussians(4000))
    assert np.abs(prepared.means[:1000].mean(axis=0)).max() < 0.15
    assert 0.35 < prepared.covered[999] / prepared.covered[-1] < 0.8
    assert 1 < prepared.enlargement(2500) < prepared.enlargement(1000) <= 2
    assert prepared.enlargement(4000) == prepared.enlargement(9999) == 1


def test_the_order_of_a_subset_is_part_of_that_of_all() -> None:
    prepared = prepare_splats(_gaussians())
    matrix = np.eye(4)
    matrix[2, 3] = 10
    sorter = ViewSorter()
    everything, subset = sorter.sort(prepared, matrix, 400), sorter.sort(prepared, matrix, 150)
    assert np.array_equal(everything.only_first(150), subset.order)
    near, far = everything.depth_range
    assert 7.5 < near < 9 < 11 < far < 12.5


def test_points_are_picked_from_near_by_and_the_nearest_first() -> None:
    xyz = np.array([[0, 0, 2.0], [0.005, 0, 1.0], [1, 1, 1.0]])
    points = prepare_points(xyz, np.full((3, 3), 200, np.uint8))
    camera = Camera(np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]]), np.eye(4), 100, 100)
    point = pick_splats(points, camera, (51.0, 50.0))
    assert point is not None
    assert np.allclose(point, xyz[1])
    assert pick_splats(points, camera, (20.0, 20.0)) is None


def test_a_worker_runs_the_newest_job_of_each_name_and_delivers_errors() -> None:
    got: list[tuple[str, Any]] = []
    begun, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def deliver(name: str, result: Any) -> None:
        got.append((name, result))
        if name == "last":
            finished.set()

    worker = LatestWorker(deliver, "test")

    def slow() -> str:
        begun.set()
        go_on.wait(10)
        return "slow"

    worker.request("a", slow)
    assert begun.wait(10)
    for number in range(5):
        worker.request("a", lambda number=number: number)
    worker.request("b", lambda: 1 / 0)
    worker.request("last", lambda: None)
    go_on.set()
    assert finished.wait(10)
    worker.stop()
    assert [name for name, _ in got] == ["a", "a", "b", "last"]
    assert [got[0][1], got[1][1]] == ["slow", 4]
    assert isinstance(got[2][1], ZeroDivisionError)


def test_the_number_of_splats_follows_whole_frames_and_no_single_one() -> None:
    pace = Pace()
    for frame_s in (0.04, 0.5, 0.04):  # another program took the processor once
        pace.learn(pace.count, frame_s)
    assert pace.count == FIRST_SPLATS
    for _ in range(60):  # 12 ms whatever is drawn and 1 ms for a thousand splats
        pace.learn(pace.count, 0.012 + 1e-6 * pace.count)
    assert FRAME_S * 0.75 < 0.012 + 1e-6 * pace.count < FRAME_S * 1.34
    for _ in range(60):  # hopeless: not none at all
        pace.learn(pace.count, 1.0)
    assert pace.count == FEWEST_SPLATS
    for _ in range(60):  # a scene of few splats says nothing about more
        pace.learn(1000, 0.001)
    assert pace.count == FEWEST_SPLATS


def test_photos_stand_in_their_frames_when_the_scene_comes_after_them() -> None:
    scene = ShownScene()
    K = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
    poses = [looking_at((x, 0.0, 3.0), (x, 0.0, 0.0)) for x in (-0.5, 0.5)]
    scene.set_photos([PhotoFrustum(f"{index}.jpg", Camera(K, pose, 100, 100)) for index, pose in enumerate(poses)])
    scene.take(prepare_points(np.float32([[0, 0, 0], [0.1, 0, 0]]), np.zeros((2, 3), np.uint8)))
    ends = scene.photo_lines[0].ends.reshape(-1, 3)
    assert ends[:, 2].min() == pytest.approx(3 - scene.photo_depth, abs=1e-5)


def test_a_worker_that_waits_keeps_nothing_of_its_last_job() -> None:
    given = _gaussians()
    is_gone, done = weakref.ref(given), threading.Event()
    worker = LatestWorker(lambda name, result: done.set(), "test")
    worker.request("splats", lambda given=given: given)
    del given
    assert done.wait(10)
    end = time.monotonic() + 10
    while is_gone() is not None and time.monotonic() < end:
        time.sleep(0.01)
    worker.stop()
    assert is_gone() is None
