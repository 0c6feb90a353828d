"""Verified depth that other views look through is left out, unless more of them agree with it."""

from dataclasses import replace

import numpy as np
import pytest

from recon.contradictions import without_looked_through
from recon.scene import DepthMap, PointCloud, View
from splatting.camera import Camera

WIDTH, HEIGHT, FOCAL = 96, 64, 80.0
WALL, GHOST = 4.0, 2.0
PATCH = (slice(20, 44), slice(36, 60))


def a_view(x: float) -> View:
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x
    rgb, valid = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.ones((HEIGHT, WIDTH), bool)
    return View(f"{x}.jpg", Camera(K, cam_from_world, WIDTH, HEIGHT), rgb, valid)


def a_wall() -> DepthMap:
    depth = np.full((HEIGHT, WIDTH), WALL, np.float32)
    return DepthMap(depth, np.ones_like(depth), np.ones((HEIGHT, WIDTH), np.uint8))


def with_ghost(depth: float, *, num_agreeing: int = 1) -> DepthMap:
    found = a_wall()
    found.depth[PATCH], found.num_agreeing[PATCH] = depth, num_agreeing
    return found


def points_at(xyz: list[list[float]], seen_by: list[tuple[int, ...]]) -> PointCloud:
    n = len(xyz)
    where = np.array(xyz, float).reshape(n, 3)
    return PointCloud(where, np.zeros((n, 3), np.uint8), np.full(n, 2), np.zeros(n, np.float32), tuple(seen_by))


def kept_depths(views: list[View], depth_maps: list[DepthMap]) -> list[np.ndarray]:
    return [depth_map.depth for depth_map in without_looked_through(views, depth_maps, points_at([], []))[0]]


VIEWS = [a_view(0.0), a_view(0.2), a_view(-0.2)]


def test_what_a_view_looks_through_goes_and_the_rest_stays() -> None:
    kept = kept_depths(VIEWS, [with_ghost(GHOST), a_wall(), a_wall()])
    assert (kept[0][PATCH] == 0).all()
    kept[0][PATCH] = WALL
    for depth in kept:
        np.testing.assert_array_equal(depth, a_wall().depth)


@pytest.mark.parametrize(("num_agreeing", "stays"), [(1, False), (2, False), (3, True)])
def test_the_majority_decides(num_agreeing: int, stays: bool) -> None:
    kept = kept_depths(VIEWS, [with_ghost(GHOST, num_agreeing=num_agreeing), a_wall(), a_wall()])
    assert (kept[0][PATCH] > 0).all() == stays


def test_only_verified_depth_contradicts() -> None:
    blind = replace(a_wall(), depth=np.zeros((HEIGHT, WIDTH), np.float32))
    kept = kept_depths(VIEWS, [with_ghost(GHOST), blind, blind])
    assert (kept[0][PATCH] == GHOST).all()


def test_depth_within_the_error_of_stereo_and_depth_behind_stay() -> None:
    for depth in (0.98 * WALL, 1.5 * WALL):
        kept = kept_depths(VIEWS, [with_ghost(depth), a_wall(), a_wall()])
        assert (kept[0][PATCH] == np.float32(depth)).all()


def test_odd_sizes_and_empty_maps_come_back_as_they_are() -> None:
    views = [replace(view, camera=replace(view.camera, width=95, height=63)) for view in VIEWS[:2]]
    small = DepthMap(np.full((63, 95), WALL, np.float32), np.ones((63, 95), np.float32), np.ones((63, 95), np.uint8))
    views = [replace(view, rgb=view.rgb[:63, :95], valid=view.valid[:63, :95]) for view in views]
    empty = replace(small, depth=np.zeros_like(small.depth))
    kept = kept_depths(views, [small, empty])
    np.testing.assert_array_equal(kept[0], small.depth)
    np.testing.assert_array_equal(kept[1], empty.depth)


def test_specks_between_what_is_looked_through_go_too() -> None:
    ghost = with_ghost(GHOST)
    ghost.num_agreeing[PATCH][6::6, 6::6] = 3
    kept = kept_depths(VIEWS, [ghost, a_wall(), a_wall()])
    assert (kept[0][PATCH] == 0).all()


def test_sparse_points_that_views_look_through_go() -> None:
    ghost, wall = [0.0, 0.0, GHOST], [0.0, 0.0, WALL]
    points = points_at([ghost, wall, ghost], [(0, 1), (0, 1), (0, 1, 2, 3, 4)])
    _, kept = without_looked_through(VIEWS, [a_wall()] * 3, points)
    np.testing.assert_array_equal(kept.xyz, points.xyz[1:])
    assert kept.view_indices == points.view_indices[1:]  # type: ignore[index]
    without_tracks = replace(points, view_indices=None)
    assert without_looked_through(VIEWS, [a_wall()] * 3, without_tracks)[1] is without_tracks
