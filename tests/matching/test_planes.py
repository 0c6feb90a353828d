import numpy as np
import pytest
from synthetic_stereo import intrinsics, looking_at, plane, render, sphere

from matching.planes import continue_planes, estimate_normals

WIDTH, HEIGHT = 160, 120
K = intrinsics(WIDTH, HEIGHT, 180.0)
AHEAD = looking_at((0, 0, 0), (0, 0, 2))
NORMAL = np.array([0.5, 0.2, -1.0]) / np.linalg.norm([0.5, 0.2, -1.0])


def depth_of(*shapes):
    return render(shapes, K, AHEAD, WIDTH, HEIGHT)[1]


def degrees_between(a, b):
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def test_a_plane_is_continued_over_a_hole():
    truth = depth_of(plane((0, 0, 2), NORMAL))
    holed = truth.copy()
    holed[50:62, 70:82] = 0
    filled = continue_planes(holed, 10)
    assert (filled[holed > 0] == 0).all()
    # The slopes are damped by a hundredth on purpose.
    np.testing.assert_allclose(filled[50:62, 70:82], truth[50:62, 70:82], rtol=2e-3)


def test_nothing_is_made_up_far_from_what_is_known():
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[:, :20] = 2
    filled = continue_planes(depth, 6)
    assert (filled[:, 20:24] > 0).all()
    assert (filled[:, 26:] == 0).all()
    assert not continue_planes(np.zeros_like(depth), 6).any()


def test_normals_of_a_plane_are_exact_and_face_the_camera():
    normals = estimate_normals(depth_of(plane((0, 0, 2), NORMAL)), K)
    assert degrees_between(normals, NORMAL).max() < 1  # the damping of slopes


def test_normals_of_a_ball_point_from_its_centre():
    depth = depth_of(sphere((0, 0, 2.3), 0.6))
    normals = estimate_normals(depth, K)
    rows, columns = np.nonzero(depth)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1) @ np.linalg.inv(K).T
    outward = rays * depth[rows, columns, None] - [0, 0, 2.3]
    error = degrees_between(normals[rows, columns], outward / np.linalg.norm(outward, axis=1, keepdims=True))
    assert np.median(error) < 2
    assert (normals[depth == 0] == 0).all()


def test_normals_stay_sharp_where_two_planes_meet():
    left, right = np.array([0.6, 0, -0.8]), np.array([-0.6, 0, -0.8])
    depth = np.minimum(depth_of(plane((0, 0, 2), left)), depth_of(plane((0, 0, 2), right)))
    normals = estimate_normals(depth, K)
    error = np.minimum(degrees_between(normals, left), degrees_between(normals, right))
    assert (error < 3).mean() > 0.98


def test_turning_the_camera_does_not_change_where_normals_point_in_the_world():
    turned = looking_at((0, 0, 0), (0.4, 0.1, 2))
    shape = plane((0, 0, 2), NORMAL)
    normals = estimate_normals(render([shape], K, turned, WIDTH, HEIGHT)[1], K)
    assert degrees_between(normals @ turned[:3, :3], NORMAL).max() < 1.5


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[H, W\]"):
        estimate_normals(np.zeros((3, 4, 5), np.float32), K)
