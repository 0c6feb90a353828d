"""Meshes get fewer faces and keep their borders; slivers are turned or dropped, and nothing else."""

from dataclasses import replace

import numpy as np
import trimesh

from recon.mesh_repair import border_loops
from recon.mesh_simplify import Ball, drop_thin, simplify, thickness, turn_slivers
from recon.scene import Mesh


def gray(vertices: object, faces: object) -> Mesh:
    vertices = np.asarray(vertices, np.float32)
    return Mesh(vertices, np.asarray(faces, np.int32), np.full((len(vertices), 3), 90, np.uint8))


def disc(rings: int = 40) -> Mesh:
    """A rough round plate of radius 1 with a round hole of radius .4."""
    n = 6 * rings
    angle, radius = np.meshgrid(np.arange(n) * 2 * np.pi / n, np.linspace(0.4, 1, rings))
    height = np.random.default_rng(0).normal(0, 0.003, angle.size)
    vertices = np.stack([(radius * np.cos(angle)).ravel(), (radius * np.sin(angle)).ravel(), height], axis=1)
    start = (np.arange(rings - 1)[:, None] * n + np.arange(n)).ravel()
    following = start + np.where(start % n == n - 1, 1 - n, 1)
    lower, upper = np.stack([start, following + n, following], 1), np.stack([start, start + n, following + n], 1)
    return gray(vertices, np.concatenate([lower, upper]))


def test_small_meshes_stay_as_they_are() -> None:
    mesh = gray(np.eye(3), [[0, 1, 2]])
    assert simplify(mesh, 100) is mesh


def test_simplifying_keeps_the_borders_of_an_open_mesh() -> None:
    fine = disc()
    coarse = simplify(fine, len(fine.faces) // 8)
    loops = sorted(border_loops(coarse.faces), key=len)
    assert len(loops) == 2
    radii = sorted(np.linalg.norm(coarse.vertices[loop, :2], axis=1).mean() for loop in loops)
    np.testing.assert_allclose(radii, [0.4, 1.0], atol=0.01)
    area = trimesh.Trimesh(coarse.vertices, coarse.faces, process=False).area
    assert abs(area / (np.pi * (1 - 0.4**2)) - 1) < 0.02


def test_contraction_keeps_the_ball_draws_the_rest_near_and_can_be_undone() -> None:
    ball = Ball(np.array([1.0, 2, 3]), 2.0)
    xyz = np.random.default_rng(0).normal(0, 20, (500, 3)) + ball.center
    xyz[:100] = ball.center + (xyz[:100] - ball.center) / 50
    contracted = ball.contract(xyz)
    radii = np.linalg.norm(xyz - ball.center, axis=1) / ball.radius
    inside = radii < 1
    assert 50 < inside.sum() < 450
    np.testing.assert_allclose(contracted[inside], (xyz[inside] - ball.center) / ball.radius)
    np.testing.assert_allclose(np.linalg.norm(contracted[~inside], axis=1), 1 + np.log(radii[~inside]))
    np.testing.assert_allclose(ball.expand(contracted), xyz, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ball.expand(ball.contract(ball.center[None]))[0], ball.center)


def test_faces_go_to_what_lies_in_the_ball() -> None:
    near, far = disc(), disc()
    both = gray(
        np.concatenate([near.vertices, far.vertices * 10 + [0, 0, -20]]),
        np.concatenate([near.faces, far.faces + len(near.vertices)]),
    )
    shares = []
    for ball in (None, Ball(np.zeros(3), 1.5)):
        mesh = simplify(both, len(both.faces) // 10, ball)
        is_near = np.abs(mesh.vertices[:, 2]) < 1
        shares.append(is_near[mesh.faces].all(axis=1).mean())
        if ball is not None:
            far_part = mesh.vertices[~is_near]
            assert np.abs(far_part[:, 2] + 20).max() < 0.12  # the plate is where it was, bumps and all
    assert shares[1] > 0.4 > 0.2 > shares[0]


def test_the_unit_of_length_does_not_matter() -> None:
    fine = disc()
    small, large = (simplify(replace(fine, vertices=fine.vertices * np.float32(k)), 2000) for k in (2**-7, 2**7))
    np.testing.assert_array_equal(small.faces, large.faces)
    np.testing.assert_allclose(small.vertices * 2**14, large.vertices, rtol=1e-6)


def test_a_sliver_is_turned_into_two_good_faces() -> None:
    cap = gray([[0, 0, 0], [2, 0, 0], [1, 0.05, 0], [1, -1, 0]], [[0, 1, 2], [1, 0, 3]])
    turned = turn_slivers(cap)
    assert thickness(cap.vertices, cap.faces).min() < 0.03
    assert thickness(turned.vertices, turned.faces).min() > 0.4
    assert (trimesh.Trimesh(turned.vertices, turned.faces, process=False).face_normals @ [0, 0, 1] > 0.999).all()


def test_no_edge_is_turned_over_a_ridge() -> None:
    ridge = gray([[0, 0, 0], [2, 0, 0], [1, 0.1, 0], [1, 0, 1]], [[0, 1, 2], [1, 0, 3]])
    np.testing.assert_array_equal(turn_slivers(ridge).faces, ridge.faces)


def test_turning_slivers_of_a_closed_surface_keeps_it_closed_and_where_it_was() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(4000, 3))
    hull = trimesh.Trimesh(points / np.linalg.norm(points, axis=1, keepdims=True)).convex_hull
    squeezed = gray(hull.vertices * [1, 1, 0.1], hull.faces)
    turned = turn_slivers(squeezed)
    before, after = (trimesh.Trimesh(mesh.vertices, mesh.faces, process=False) for mesh in (squeezed, turned))
    assert after.is_watertight
    assert after.is_winding_consistent
    assert abs(after.volume / before.volume - 1) < 0.01
    was, now = ((thickness(mesh.vertices, mesh.faces) < 0.1).mean() for mesh in (squeezed, turned))
    assert now < 0.7 * was


def test_faces_without_a_normal_and_slivers_along_the_border_are_dropped() -> None:
    vertices = [[0, 0, 0], [2, 0, 0], [1, 0.02, 0], [1, 1, 0], [5, 5, 5], [6, 5, 5], [5.5, 5, 5]]
    kept = drop_thin(gray(vertices, [[0, 1, 2], [0, 2, 3], [2, 1, 3], [4, 5, 6]]))
    assert len(kept.faces) == 2
    assert len(kept.vertices) == 4
