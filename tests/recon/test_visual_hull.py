"""What some photo shows beside the object is no part of it."""

import numpy as np
from analytic_depth import SIX_SIDES, camera_at, sphere_depth, sphere_view

from recon.visual_hull import cut_to_hull, outside_hull

SILHOUETTES = [(camera, sphere_depth(camera) > 0) for camera in map(camera_at, SIX_SIDES)]


def test_the_hull_of_a_sphere_holds_the_sphere_and_hardly_anything_beside_it() -> None:
    directions = np.random.default_rng(0).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert not outside_hull(0.97 * directions, SILHOUETTES).any()
    assert outside_hull(1.2 * directions, SILHOUETTES).mean() > 0.95
    assert not outside_hull(1.2 * directions, []).any()


def test_depth_behind_the_outline_is_cut_though_it_lies_inside_its_own_mask() -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES]
    rims = [view.depth > np.quantile(view.depth[view.depth > 0], 0.9) for view in views]
    for view, rim in zip(views, rims, strict=True):
        view.depth[rim] *= 1.3
    for view, cut, rim in zip(views, cut_to_hull(views, SILHOUETTES), rims, strict=True):
        assert (cut.depth[rim] == 0).mean() > 0.9
        np.testing.assert_array_equal(cut.depth[~rim], view.depth[~rim])


def test_exact_depth_of_the_object_is_kept() -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES]
    for view, cut in zip(views, cut_to_hull(views, SILHOUETTES), strict=True):
        np.testing.assert_array_equal(cut.depth, view.depth)
