"""The distance field against spheres and planes, whose distances are known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from analytic_depth import SIX_SIDES, plane_view, sphere_view

from recon import _native, fusion
from recon.fusion import count_agreement, fuse, surface, surface_blocks

VOXEL, TRUNCATION = 0.04, 0.16


def voxel_positions(volume: fusion.TsdfVolume) -> np.ndarray:
    steps = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(1, 512, 3)
    return volume.voxel_size * (8 * volume.blocks[:, None, :] + steps)


def test_a_plane_seen_head_on_gives_its_exact_distance_along_the_rays() -> None:
    view = plane_view((0, 0, 3))
    volume = fuse([view], VOXEL, TRUNCATION)
    points = voxel_positions(volume)
    to_camera = points - view.camera.center
    # From a point, along the ray through it, to z = 0.
    along_ray = points[..., 2] * np.linalg.norm(to_camera, axis=-1) / -to_camera[..., 2]
    seen = volume.weight > 0
    expected = np.clip(along_ray / TRUNCATION, -1, 1)
    assert seen.sum() > 10_000
    # float32 positions at depth 3: 3e-7 x 3 / 0.16
    np.testing.assert_allclose(volume.distance[seen], expected[seen], atol=2e-5)


def test_nothing_is_known_behind_the_truncation_distance() -> None:
    volume = fuse([plane_view((0, 0, 3))], VOXEL, TRUNCATION)
    deep = voxel_positions(volume)[..., 2] < -TRUNCATION - 1e-5
    assert deep.any()
    assert (volume.weight[deep] == 0).all()


def test_every_voxel_near_a_visible_surface_has_a_block() -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES]
    blocks = {tuple(b) for b in surface_blocks(views, VOXEL, TRUNCATION).tolist()}
    directions = np.random.default_rng(0).standard_normal((2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    needed = np.floor(directions / (8 * VOXEL)).astype(int)
    assert all(tuple(b) in blocks for b in needed.tolist())
    assert len(blocks) < 2000  # near the surface only: the whole cube would have 27,000 at this reach


def test_the_mean_is_weighted() -> None:
    view = plane_view((0, 0, 3))
    shifted = replace(view, depth=view.depth + 0.04, weight=view.weight * 3)
    volume = fuse([view, shifted], VOXEL, TRUNCATION)
    vertices, _, _ = surface(volume)
    # Distances mix 1 : 3, so the surface lies at three quarters of the way; on the axis depth is distance.
    center = np.linalg.norm(vertices[:, :2], axis=1) < 0.2
    np.testing.assert_allclose(vertices[center, 2], -0.03, atol=1e-3)


def test_the_surface_of_a_sphere_is_a_sphere_facing_outwards() -> None:
    vertices, faces, rgb = surface(fuse([sphere_view(eye) for eye in SIX_SIDES], VOXEL, TRUNCATION))
    radius = np.linalg.norm(vertices, axis=1)
    # A depth map at 3 units with 150 px focal has 0.02 units a pixel; silhouettes are half a pixel uncertain.
    assert np.abs(radius - 1).max() < 0.03
    assert np.abs(radius - 1).mean() < 0.004
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a + b + c)
    assert (outward > 0).mean() > 0.999
    # Vertices are means of crossings, and distances along slanted rays too long: both pull inwards by 0.1 voxel.
    assert np.einsum("ij,ij->i", np.cross(a, b), c).sum() / 6 == pytest.approx(4 / 3 * np.pi, rel=0.03)
    assert (np.abs(rgb.astype(int) - [200, 100, 50]) <= 1).all()


def test_a_surface_seen_from_one_side_stays_open() -> None:
    view = sphere_view((0, 0, 3))
    vertices, faces, _ = surface(fuse([view], VOXEL, TRUNCATION))
    # The camera sees the cap z > 1/3; a closed mesh would have faces behind.
    assert vertices[:, 2].min() > 1 / 3 - TRUNCATION
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert (count == 1).sum() > 50


def test_colours_follow_the_photo() -> None:
    vertices, _, rgb = surface(fuse([plane_view((0, 0, 3)), plane_view((1, 0, 3))], VOXEL, TRUNCATION))
    inner = (np.abs(vertices[:, :2]) < 0.7).all(axis=1)
    # Red rises by 60 a unit: 2.4 a voxel; averages across voxels stay within that.
    np.testing.assert_allclose(rgb[inner, 0], 128 + 60 * vertices[inner, 0], atol=3)


def test_a_view_that_looks_through_a_place_can_be_given_less_to_say() -> None:
    sees = plane_view((0, 0, 3))
    looks_through = replace(sees, depth=sees.depth + 1)
    blocks = surface_blocks([sees], VOXEL, TRUNCATION)
    alone = fuse([sees], VOXEL, TRUNCATION, blocks=blocks)
    both = fuse([sees, looks_through], VOXEL, TRUNCATION, free_weight=0.25, blocks=blocks)
    near = (alone.weight > 0) & (np.abs(alone.distance) < 0.2)
    assert near.sum() > 1000
    np.testing.assert_allclose(both.weight[near], 1.25, rtol=1e-6)
    np.testing.assert_allclose(both.distance[near], (alone.distance[near] + 0.25) / 1.25, atol=1e-5)


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES[:3]]
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(fusion, "num_threads", lambda threads=threads: threads)
        volume = fuse(views, VOXEL, TRUNCATION)
        results.append(
            (volume.distance, volume.weight, volume.color_sum, *surface(volume), *count_agreement(views, 0.01)[0])
        )
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_depth_maps_of_one_surface_agree_and_a_nearer_one_conflicts() -> None:
    views = [plane_view((0, 0, 3)), plane_view((1, 0, 3))]
    agreeing, conflicting = count_agreement(views, 0.01)[0]
    center = (60, 90)
    assert agreeing[center] == 1
    assert conflicting.sum() == 0
    nearer = replace(views[0], depth=views[0].depth * 0.9)
    agreeing, conflicting = count_agreement([nearer, views[1]], 0.01)[0]
    assert conflicting[center] == 1
    assert agreeing.sum() == 0
    # Behind what the other sees is hidden, not wrong.
    farther = replace(views[0], depth=views[0].depth * 1.1)
    agreeing, conflicting = count_agreement([farther, views[1]], 0.01)[0]
    assert conflicting.sum() == 0
    assert agreeing.sum() == 0


def test_no_views_and_no_depth_give_an_empty_field() -> None:
    view = plane_view((0, 0, 3))
    for views in ([], [replace(view, weight=np.zeros_like(view.weight))]):
        volume = fuse(views, VOXEL, TRUNCATION)
        vertices, faces, rgb = surface(volume)
        assert len(volume) == len(vertices) == len(faces) == len(rgb) == 0


def test_bad_inputs_are_refused() -> None:
    view = plane_view((0, 0, 3))
    with pytest.raises(ValueError, match="finite"):
        replace(view, depth=np.full_like(view.depth, np.nan))
    with pytest.raises(ValueError, match="depth must be"):
        replace(view, depth=view.depth[:-1])
    with pytest.raises(ValueError, match="positive"):
        fuse([view], 0.0, TRUNCATION)
    with pytest.raises(ValueError, match="too small"):
        fuse([view], 1e-8, 4e-8)
    assert _native.BLOCK_SIZE == 8


def test_progress_may_cancel() -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int, message: str) -> None:
        raise StopError

    with pytest.raises(StopError):
        fuse([plane_view((0, 0, 3))], VOXEL, TRUNCATION, stop)
