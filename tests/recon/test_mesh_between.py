"""Depth from between the photos: seen from halfway, and only where points that photos agree on confirm it."""

from dataclasses import replace

import numpy as np
import torch
from analytic_depth import SIX_SIDES, camera_at, sphere_depth, sphere_view

from recon.fusion import FusionView
from recon.mesh_between import MAX_BETWEEN, between_views, confirmed, halfway_cameras
from splatting.gaussians import Gaussians
from splatting.rasterizer import create


def sphere_of_gaussians(num: int = 3000) -> Gaussians:
    directions = np.random.default_rng(0).standard_normal((num, 3))
    means = torch.tensor(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=torch.float32)
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(num, 1)
    return Gaussians(means, torch.full((num, 3), -3.5), quats, torch.full((num,), 4.0), torch.zeros(num, 1, 3))


def scaled(view: FusionView, scale: float) -> FusionView:
    return replace(view, depth=view.depth * np.float32(scale))


def test_cameras_lie_halfway_between_each_and_its_nearest() -> None:
    cameras = [camera_at((3 * np.cos(angle), 0.2, 3 * np.sin(angle))) for angle in (0.0, 0.3, 0.8, 1.25)]
    between = halfway_cameras(cameras)
    expected = [(cameras[i].center + cameras[j].center) / 2 for i, j in ((0, 1), (2, 3), (1, 2), (0, 2), (1, 3))]
    np.testing.assert_allclose([camera.center for camera in between], expected, atol=1e-9)
    for camera in between:
        np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-9)
        direction = camera.R[2]
        assert direction @ -camera.center / np.linalg.norm(camera.center) > 0.99  # they look where the others look
    assert halfway_cameras(cameras[:1]) == []
    assert halfway_cameras([]) == []


def test_depth_counts_only_beside_points_that_lie_as_deep() -> None:
    camera = camera_at((0, 0, 3))
    depth = sphere_depth(camera)
    row, column = np.argwhere(depth > 0)[500]
    pixel = np.array([[column + 0.5, row + 0.5]])
    on_it = camera.unproject(pixel, depth[row, column][None].astype(float))
    behind = camera.unproject(pixel, 1.05 * depth[row, column][None].astype(float))
    kept = confirmed(depth, camera, on_it)
    assert kept[row, column] == depth[row, column]
    assert 1 <= (kept > 0).sum() <= 9
    assert not confirmed(depth, camera, behind).any()
    assert not confirmed(depth, camera, -5 * on_it).any()  # behind the camera or out of the picture


def test_confirmed_gaussians_are_seen_from_between_and_refuted_ones_are_not() -> None:
    views = [sphere_view(eye) for eye in ((0, 0, 3), (1.2, 0, 2.7), (2.2, 0, 2))]
    made = between_views(sphere_of_gaussians(), views, create("cpu"), weight=0.25)
    assert len(made) == 3
    for view in made:
        shown = view.depth > 0
        assert shown.mean() > 0.5 * (sphere_depth(view.camera) > 0).mean()
        xyz = view.camera.unproject(np.argwhere(shown)[:, ::-1] + 0.5, view.depth[shown].astype(float))
        assert np.abs(np.linalg.norm(xyz, axis=1) - 1).max() < 0.07
        assert 0 < view.weight.max() <= 0.25
    refuted = between_views(sphere_of_gaussians(), [scaled(view, 1.1) for view in views], create("cpu"), weight=0.25)
    assert sum((view.depth > 0).sum() for view in refuted) < 0.02 * sum((view.depth > 0).sum() for view in made)


def test_there_is_nothing_between_where_nothing_was_verified() -> None:
    empty = [scaled(sphere_view(eye), 0) for eye in SIX_SIDES]
    assert between_views(sphere_of_gaussians(10), empty, create("cpu"), weight=0.25) == []
    assert between_views(sphere_of_gaussians(10), [], create("cpu"), weight=0.25) == []
    none = sphere_of_gaussians(10).select(torch.zeros(10, dtype=torch.bool))
    assert between_views(none, [sphere_view(eye) for eye in SIX_SIDES], create("cpu"), weight=0.25) == []


def test_no_view_is_made_inside_what_opposite_photos_show() -> None:
    assert halfway_cameras([camera_at(eye) for eye in SIX_SIDES]) == []


def test_many_photos_get_a_bounded_number_of_views_between() -> None:
    views = [sphere_view((3 * np.cos(a), 0.1, 3 * np.sin(a))) for a in np.linspace(0, 6, 30)]
    made = between_views(sphere_of_gaussians(200), views, create("cpu"), weight=0.25)
    assert len(made) == MAX_BETWEEN
