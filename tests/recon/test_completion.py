"""Completion extends surfaces straight on and respects colour edges."""

import numpy as np
import pytest

from recon.completion import complete_depth
from recon.scene import DepthMap, PointCloud, View
from splatting.camera import Camera

WIDTH, HEIGHT = 96, 64


def _view(rgb: np.ndarray | None = None) -> View:
    K = np.array([[80.0, 0, WIDTH / 2], [0, 80.0, HEIGHT / 2], [0, 0, 1]])
    rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8) if rgb is None else rgb
    return View("a.jpg", Camera(K, np.eye(4), WIDTH, HEIGHT), rgb, np.ones((HEIGHT, WIDTH), bool))


def _depth_map(depth: np.ndarray) -> DepthMap:
    known = depth > 0
    return DepthMap(depth.astype(np.float32), known.astype(np.float32), known.astype(np.uint8))


def _no_points() -> PointCloud:
    return PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32), ())


def test_a_slanted_plane_with_a_hole_is_filled_with_the_plane() -> None:
    columns = np.arange(WIDTH) + 0.5
    plane = np.tile(1 / (0.2 + 0.002 * columns), (HEIGHT, 1))  # inverse depth is linear in the image on a plane
    depth = plane.copy()
    depth[20:44, 30:66] = 0
    completed = complete_depth(_view(), _depth_map(depth), _no_points(), 0)
    # 2 %: the system lives at a quarter of the size and the far pull bends it slightly.
    np.testing.assert_allclose(completed[20:44, 30:66], plane[20:44, 30:66], rtol=0.02)


def test_depth_does_not_bleed_across_a_colour_edge() -> None:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:, WIDTH // 2 :] = 255
    depth = np.zeros((HEIGHT, WIDTH))
    depth[:, :24] = 2.0
    depth[:, -24:] = 8.0
    completed = complete_depth(_view(rgb), _depth_map(depth), _no_points(), 0)
    assert np.median(completed[:, 38:42]) == pytest.approx(2.0, rel=0.15)
    assert np.median(completed[:, 54:58]) == pytest.approx(8.0, rel=0.3)


def test_a_sparse_point_decides_where_dense_depth_is_silent() -> None:
    depth = np.zeros((HEIGHT, WIDTH))
    depth[:, :20] = 2.0
    view = _view()
    xyz = view.camera.unproject(np.array([[80.0, 32.0]]), np.array([2.0]))
    point = PointCloud(xyz, np.zeros((1, 3), np.uint8), np.array([2], np.int32), np.zeros(1, np.float32), ((0, 1),))
    without = complete_depth(view, _depth_map(depth), _no_points(), 0)[32, 80]
    with_point = complete_depth(view, _depth_map(depth), point, 0)[32, 80]
    assert abs(with_point - 2.0) <= abs(without - 2.0)
    assert with_point == pytest.approx(2.0, rel=0.05)


def test_what_nothing_is_known_of_is_pulled_to_where_far_points_of_other_views_are() -> None:
    depth = np.zeros((HEIGHT, WIDTH))
    depth[:, :20] = 2.0
    depth[:4, :4] = 20.0  # one of 80 cells: too few to matter
    # colour edges everywhere leave hardly any smoothness
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    xyz = np.tile([[0.0, 0.0, 20.0]], (30, 1))
    colour, seen_by = np.zeros((30, 3), np.uint8), np.full(30, 2, np.int32)
    points = PointCloud(xyz, colour, seen_by, np.zeros(30, np.float32), ((1, 2),) * 30)
    alone = complete_depth(_view(rgb), _depth_map(depth), _no_points(), 0)[32, 90]
    beside = complete_depth(_view(rgb), _depth_map(depth), points, 0)[32, 90]
    assert alone < 2.6
    assert beside > 1.5 * alone


def test_a_guess_may_lie_farther_than_all_that_its_view_verified() -> None:
    depth = np.zeros((HEIGHT, WIDTH))
    depth[:, : WIDTH // 2] = 2.0
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:, WIDTH // 2 :] = 255
    xyz = np.tile([[0.0, 0.0, 20.0]], (30, 1))
    colour, seen_by = np.zeros((30, 3), np.uint8), np.full(30, 2, np.int32)
    points = PointCloud(xyz, colour, seen_by, np.zeros(30, np.float32), ((1, 2),) * 30)
    completed = complete_depth(_view(rgb), _depth_map(depth), points, 0)
    assert completed[32, -8] > 3.0
    assert completed.max() <= 1.25 * 20.0 * 1.001
    np.testing.assert_allclose(completed[:, : WIDTH // 2 - 12], 2.0, rtol=0.02)


def test_a_map_that_knows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        complete_depth(_view(), _depth_map(np.zeros((HEIGHT, WIDTH))), _no_points(), 0)
