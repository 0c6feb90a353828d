import numpy as np
import pytest
from synthetic_stereo import intrinsics, looking_at, plane, render, sphere

from matching import _native
from matching.consistency import check_consistency, project_depth

SHAPES = [sphere((0, 0, 2.3), 0.5), plane((0, 0, 3), (0.2, 0, -1))]
SIZES = [(160, 120), (160, 120), (200, 140)]
CENTRES = [(0, 0, 0), (0.4, 0, 0), (-0.3, 0.2, 0.1)]


def scene():
    """Depth maps, cameras and scores of three views; the third has another size."""
    depths, cameras = [], []
    for (width, height), centre in zip(SIZES, CENTRES, strict=True):
        K, T = intrinsics(width, height, 1.1 * width), looking_at(centre, (0, 0, 2.5))
        depths.append(render(SHAPES, K, T, width, height, samples=1)[1])
        cameras.append((K, T))
    return depths, cameras, [np.ones_like(depth) for depth in depths]


def visible_in(view, other, depths, cameras, border=2):
    """Where the surface point of each pixel is seen by the other view, from exact depth; edges of shapes left out."""
    (K, T), (K_other, T_other), depth = cameras[view], cameras[other], depths[view]
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    in_camera = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T * depth[..., None]
    in_other = (in_camera - T[:3, 3]) @ T[:3, :3] @ T_other[:3, :3].T + T_other[:3, 3]
    p = in_other @ K_other.T
    u, v = p[..., 0] / p[..., 2], p[..., 1] / p[..., 2]
    rows, columns = depths[other].shape
    inside = (u > border) & (v > border) & (u < columns - border) & (v < rows - border)
    nearest = depths[other][np.clip(v.astype(int), 0, rows - 1), np.clip(u.astype(int), 0, columns - 1)]
    return inside & (np.abs(nearest - in_other[..., 2]) < 0.01 * nearest)


@pytest.mark.parametrize("view", [0, 1, 2])
def test_exact_depth_agrees_wherever_it_is_visible(view):
    depths, cameras, scores = scene()
    fused, num_agreeing = check_consistency(depths, cameras, scores)[view]
    others = [other for other in range(3) if other != view]
    visible = sum(visible_in(view, other, depths, cameras).astype(int) for other in others)
    known = visible > 0
    assert known.mean() > 0.6
    # Rays beside an edge of the ball interpolate across it.
    assert (num_agreeing[known] >= visible[known]).mean() > 0.99
    np.testing.assert_allclose(fused[known], depths[view][known], rtol=0.01)
    assert np.median(np.abs(fused / depths[view] - 1)[known]) < 1e-4


def test_what_no_other_view_sees_has_no_agreement():
    depths, cameras, scores = scene()
    hidden = ~visible_in(0, 1, depths, cameras, 0) & ~visible_in(0, 2, depths, cameras, 0)
    _, num_agreeing = check_consistency(depths, cameras, scores)[0]
    assert hidden.mean() > 0.01
    assert (num_agreeing[hidden] == 0).mean() > 0.85  # a ray beside an edge may agree with a neighbouring pixel


def test_a_wrong_map_is_rejected_by_the_others():
    depths, cameras, scores = scene()
    depths[1] = depths[1] * np.float32(1.08)
    checked = check_consistency(depths, cameras, scores)
    assert (checked[1][1] == 0).mean() > 0.97
    assert (checked[0][1] <= 1).mean() > 0.97
    assert (checked[0][1] == 1).mean() > 0.5  # view 2 still agrees


def test_fused_depth_is_the_mean_in_inverse_depth():
    K = intrinsics(60, 40, 60.0)
    T = np.eye(4)
    near, far = np.full((40, 60), 2.0, np.float32), np.full((40, 60), 2.01, np.float32)
    fused, num_agreeing = check_consistency([near, far], [(K, T), (K, T)], [np.ones_like(near)] * 2)[0]
    assert (num_agreeing == 1).all()
    np.testing.assert_allclose(fused, 2 / (1 / 2.0 + 1 / 2.01), rtol=1e-6)


def test_low_scores_take_no_part():
    depths, cameras, scores = scene()
    scores[1] = np.zeros_like(scores[1])
    checked = check_consistency(depths, cameras, scores)
    assert (checked[1][0] == 0).all()
    assert (checked[1][1] == 0).all()
    assert checked[0][1].max() == 1


def test_holes_stay_holes():
    depths, cameras, scores = scene()
    depths[0] = depths[0].copy()
    depths[0][10:20] = 0
    fused, num_agreeing = check_consistency(depths, cameras, scores)[0]
    assert (fused[10:20] == 0).all()
    assert (num_agreeing[10:20] == 0).all()


def test_one_view_agrees_with_nobody():
    depths, cameras, scores = scene()
    ((fused, num_agreeing),) = check_consistency(depths[:1], cameras[:1], scores[:1])
    assert (num_agreeing == 0).all()
    np.testing.assert_allclose(fused, depths[0], rtol=1e-6)


def test_no_views_give_no_maps():
    assert check_consistency([], [], []) == []


def test_threads_and_instruction_sets_change_nothing_that_matters():
    depths, cameras, scores = scene()
    one = check_consistency(depths, cameras, scores, num_threads=1)
    three = check_consistency(depths, cameras, scores, num_threads=3)
    for (fused, count), (other_fused, other_count) in zip(one, three, strict=True):
        np.testing.assert_array_equal(fused, other_fused)
        np.testing.assert_array_equal(count, other_count)
    views = [
        _native.CheckedView(d, np.ascontiguousarray(K), np.linalg.inv(K), np.ascontiguousarray(T))
        for d, (K, T) in zip(depths, cameras, strict=True)
    ]
    for isa in _native.instruction_sets():
        fused, count = np.empty_like(depths[0]), np.empty(depths[0].shape, np.uint8)
        _native.check_view(
            views,
            0,
            max_error_px=1.0,
            max_relative_depth=0.01,
            max_disparity_px=0.7,
            fused=fused,
            num_agreeing=count,
            num_threads=1,
            isa=isa,
        )
        assert (count == one[0][1]).mean() > 0.999  # rounding at the thresholds


def test_lengths_must_fit():
    depths, cameras, scores = scene()
    with pytest.raises(ValueError, match="do not fit"):
        check_consistency(depths, cameras[:2], scores)


def test_depth_put_into_another_view_is_the_depth_that_view_has():
    depths, cameras, _ = scene()
    height, width = depths[2].shape
    projected = project_depth(depths[0], cameras[0], cameras[2], (width, height))
    seen = visible_in(2, 0, depths, cameras)
    assert (projected[seen] > 0).mean() > 0.98
    # A pixel shows the nearest of what lands in it: up to a pixel of slope off, more at the ball's edge.
    assert (np.abs(projected / depths[2] - 1)[seen & (projected > 0)] < 0.01).mean() > 0.97


def test_nothing_lands_in_a_view_that_looks_away():
    depths, cameras, _ = scene()
    K, T = cameras[1]
    away = np.diag([-1.0, 1, -1, 1]) @ T
    assert not project_depth(depths[0], cameras[0], (K, away), SIZES[1]).any()
    with pytest.raises(ValueError, match="cameras"):
        project_depth(depths[0], cameras[0], (K, T[:3]), SIZES[1])
