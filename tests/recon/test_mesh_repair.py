"""Pinholes are filled and noise is smoothed; openings, borders and sizes stay."""

import numpy as np
import trimesh

from recon.mesh_repair import border_loops, fill_holes, smooth
from recon.scene import Mesh


def sphere(remove: tuple[int, ...] = ()) -> Mesh:
    """A sphere of radius 1 without the faces around some vertices."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    keep = ~np.isin(ball.faces, remove).any(axis=1)
    rgb = np.full((len(ball.vertices), 3), 90, np.uint8)
    return Mesh(ball.vertices.astype(np.float32), ball.faces[keep].astype(np.int32), rgb)


def test_a_border_runs_once_around_each_hole() -> None:
    assert border_loops(sphere().faces) == []
    loops = border_loops(sphere(remove=(100, 2000)).faces)
    assert sorted(map(len, loops)) == [6, 6]


def test_a_pinhole_is_filled_outwards_and_watertight() -> None:
    torn = sphere(remove=(100, 2000))
    whole = fill_holes(torn, lambda xyz: np.full(len(xyz), 0.3))
    made = trimesh.Trimesh(whole.vertices, whole.faces, process=False)
    made.remove_unreferenced_vertices()
    assert made.is_watertight
    assert made.is_winding_consistent
    assert made.volume > 0.99 * 4 / 3 * np.pi * 0.99
    assert (whole.vertex_rgb[-1] == 90).all()


def test_an_opening_wider_than_asked_and_the_rim_of_a_flake_stay_open() -> None:
    torn = sphere(remove=(100,))
    assert len(fill_holes(torn, lambda xyz: np.full(len(xyz), 0.05)).faces) == len(torn.faces)
    flake = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.zeros((4, 3), np.uint8),
    )
    assert len(fill_holes(flake, lambda xyz: np.full(len(xyz), 100.0)).faces) == 2


def test_smoothing_takes_the_noise_and_leaves_size_and_border() -> None:
    rough = sphere(remove=(100,))
    noise = np.random.default_rng(0).normal(0, 0.01, rough.vertices.shape).astype(np.float32)
    rough = Mesh(rough.vertices + noise, rough.faces, rough.vertex_rgb)
    fair = smooth(rough, 10)
    used = np.unique(rough.faces)
    before, after = (np.linalg.norm(mesh.vertices[used], axis=1) for mesh in (rough, fair))
    assert after.std() < 0.6 * before.std()
    assert abs(after.mean() - 1) < 0.003  # plain Laplacian smoothing shrinks the sphere
    (loop,) = border_loops(rough.faces)
    np.testing.assert_array_equal(fair.vertices[loop], rough.vertices[loop])
    assert smooth(rough, 0) is rough
