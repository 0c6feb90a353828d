import numpy as np
import pytest
from synthetic_stereo import intrinsics, looking_at, plane, render, sphere

from matching.warps import warp_between

WIDTH, HEIGHT = 160, 120
K = intrinsics(WIDTH, HEIGHT, 180.0)
A, B = looking_at((0, 0, 0), (0, 0, 2)), looking_at((0.5, 0, 0), (0, 0, 2))
BALL = [sphere((0, 0, 1.6), 0.3), plane((0, 0, 3), (0, 0, -1))]


def depth_of(T):
    return render(BALL, K, T, WIDTH, HEIGHT)[1]


def test_a_warp_onto_itself_stays_and_is_certain():
    warp = warp_between(depth_of(A), (K, A), depth_of(A), (K, A))
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    np.testing.assert_allclose(warp.pixels, np.stack([x, y], axis=-1), atol=1e-3)
    assert warp.certainty.min() > 0.999


def test_pixels_land_where_the_point_projects_and_hidden_ones_are_uncertain():
    depth = depth_of(A)
    warp = warp_between(depth, (K, A), depth_of(B), (K, B))
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    xyz = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(K).T * depth[..., None]
    onto = B @ np.linalg.inv(A)
    seen = (xyz @ onto[:3, :3].T + onto[:3, 3]) @ K.T
    expected = seen[..., :2] / seen[..., 2:]
    np.testing.assert_allclose(warp.pixels, expected, atol=1e-2)
    # Hidden from B: the ray from B to the point of the wall hits the ball first.
    centre = np.array([0.5, 0, 0])
    towards = (np.linalg.inv(A)[:3, :3] @ xyz[..., None])[..., 0] - centre
    length = np.linalg.norm(towards, axis=-1, keepdims=True)
    direction, to_ball = towards / length, np.array([0, 0, 1.6]) - centre
    along = direction @ to_ball
    gap = np.sqrt(np.maximum(to_ball @ to_ball - along**2, 0))
    is_wall = depth > 2.5
    hidden, clear = is_wall & (gap < 0.27), is_wall & (gap > 0.35)
    inside = (expected >= 1).all(-1) & (expected <= [WIDTH - 1, HEIGHT - 1]).all(-1)
    assert hidden.sum() > 200
    assert warp.certainty[hidden & inside].max() < 0.01
    assert warp.certainty[clear & inside].min() > 0.9
    assert (warp.certainty[(expected < 0).any(-1)] == 0).all()


def test_unknown_depth_has_no_certainty():
    depth_a, depth_b = depth_of(A), depth_of(B)
    depth_a[:30], depth_b[90:] = 0, 0
    warp = warp_between(depth_a, (K, A), depth_b, (K, B))
    assert (warp.certainty[:30] == 0).all()
    assert (warp.certainty[(depth_a > 0) & (warp.pixels[..., 1] > 91)] == 0).all()


def test_wrong_depth_lowers_the_certainty():
    depth_a, depth_b = depth_of(A), depth_of(B)
    shares = [
        warp_between((1 + error) * depth_a, (K, A), depth_b, (K, B)).certainty.mean() for error in (0, 0.01, 0.03)
    ]
    assert shares[0] > shares[1] > shares[2]


def test_a_sigma_of_nothing_is_refused():
    with pytest.raises(ValueError, match="sigma_px"):
        warp_between(depth_of(A), (K, A), depth_of(B), (K, B), sigma_px=0)
