"""Levels of detail: far things get wide voxels, and no part of space falls between two levels."""

from dataclasses import replace

import numpy as np
from analytic_depth import plane_view, sphere_view

from recon.fusion import FusionView
from recon.mesh_config import MeshConfig
from recon.mesh_levels import Levels, footprints, level_blocks, split_by_level
from recon.meshing import mesh_from_depths


def levels_of(views: list[FusionView], num_levels: int = 4) -> Levels:
    return Levels(tuple(view.camera for view in views), 0.02, 0.03, num_levels)


def test_a_footprint_is_the_distance_over_the_focal_length_of_the_nearest_camera() -> None:
    views = [plane_view((0, 0, 3)), plane_view((0, 0, 1))]
    focal = views[0].camera.K[0, 0]
    np.testing.assert_allclose(footprints(np.zeros((1, 3)), levels_of(views).cameras), 1 / focal)


def test_every_point_lies_in_one_level_or_in_the_overlap_of_two() -> None:
    levels = levels_of([plane_view((0, 0, 3)), plane_view((1, 0, 2))])
    xyz = np.random.default_rng(0).normal(scale=30, size=(5000, 3))
    member = np.stack([levels.contains(footprints(xyz, levels.cameras), level) for level in range(levels.num_levels)])
    count = member.sum(0)
    assert count.min() == 1
    assert count.max() == 2
    assert (count == 2).mean() < 0.1
    assert member.any(1).all()


def test_a_far_background_takes_few_blocks_beside_the_foreground() -> None:
    near = sphere_view((0, 0, 3))
    depth = np.where(near.depth > 0, near.depth, 60.0).astype(np.float32)  # a wall twenty times as far
    view = replace(near, depth=depth, weight=np.ones_like(depth))
    levels = Levels((view.camera,), 0.02, 0.02, 6)
    blocks = level_blocks(split_by_level([view], levels), levels, 4)
    assert sum(map(len, blocks[1:])) < 3 * len(blocks[0])
    single = replace(levels, num_levels=1)
    uniform = level_blocks(split_by_level([view], single), single, 4)
    assert sum(map(len, blocks)) < 0.1 * len(uniform[0])


def test_foreground_and_far_wall_are_both_meshed_true() -> None:
    near = sphere_view((0, 0, 3))
    depth = np.where(near.depth > 0, near.depth, 12.0).astype(np.float32)
    view = replace(near, depth=depth, weight=np.ones_like(depth))
    mesh = mesh_from_depths([view], MeshConfig(max_faces=200_000, min_component_share=0))
    radius = np.linalg.norm(mesh.vertices, axis=1)
    on_sphere = radius < 1.2
    assert on_sphere.sum() > 2000
    assert np.quantile(np.abs(radius[on_sphere] - 1), 0.9) < 0.02
    wall = mesh.vertices[radius > 5]
    assert len(wall) > 300
    assert np.quantile(np.abs(wall[:, 2] + 9), 0.9) < 0.1
