"""Closed meshes: watertight whatever the field, true where something was seen, cut by silhouettes."""

import numpy as np
import pytest
import trimesh
from analytic_depth import SIX_SIDES, sphere_view

from recon.mesh_closing import close_mesh, diffuse, zero_level
from recon.scene import Mesh

GREY = Mesh(np.zeros((1, 3), np.float32), np.zeros((0, 3), np.int32), np.full((1, 3), 77, np.uint8))
BOX = (np.full(3, -1.1), np.full(3, 1.1))


def solid(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def test_the_zero_level_is_watertight_even_of_noise() -> None:
    field = np.pad(np.random.default_rng(0).normal(size=(18, 18, 18)).astype(np.float32), 1, constant_values=1)
    vertices, faces = zero_level(field)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0


def test_the_zero_level_of_a_ball_is_the_ball_facing_outwards() -> None:
    distance = np.linalg.norm(np.indices((30, 30, 30)) - 14.3, axis=0) - 10
    mesh = trimesh.Trimesh(*zero_level(distance.astype(np.float32)), process=False)
    # Chords of cells of a tenth of the radius: (1 / 10)^2 / 8 and its like.
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)


def test_diffusion_keeps_what_is_known_and_is_straight_between() -> None:
    field = np.zeros((12, 3, 3), np.float32)
    field[0], field[-1] = -1, 1
    is_known = np.zeros(field.shape, bool)
    is_known[[0, -1]] = True
    filled = diffuse(field, is_known)
    assert (filled[0] == -1).all()
    np.testing.assert_allclose(filled[:, 1, 1], np.linspace(-1, 1, 12), atol=0.15)


def test_a_half_seen_sphere_is_closed_true_in_front_and_within_its_budget() -> None:
    mesh = close_mesh(GREY, [sphere_view((0, 0, 3)), sphere_view((2, 0, 2.3))], BOX, side_voxels=48, max_faces=20_000)
    assert solid(mesh).is_watertight
    assert len(mesh.faces) <= 20_000
    assert (mesh.vertex_rgb == 77).all()
    front = mesh.vertices[mesh.vertices[:, 2] > 0.6]
    assert np.quantile(np.abs(np.linalg.norm(front, axis=1) - 1), 0.9) < 0.04


def test_silhouettes_cut_the_made_up_side() -> None:
    views = [sphere_view((0, 0, 3))]
    side = sphere_view((3, 0, 0))
    free = solid(close_mesh(GREY, views, BOX, side_voxels=32)).volume
    cut = solid(close_mesh(GREY, views, BOX, side_voxels=32, silhouettes=[(side.camera, side.depth > 0)]))
    assert cut.is_watertight
    assert cut.volume < 0.95 * free
    assert np.linalg.norm(cut.vertices[:, [1, 2]], axis=1).max() < 1.35  # the shadow of a ball in a camera at 3 radii


def test_an_empty_box_is_refused() -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES]
    with pytest.raises(ValueError, match="nothing"):
        close_mesh(GREY, views, (np.full(3, 1.3), np.full(3, 1.6)), side_voxels=16)
