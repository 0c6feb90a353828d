"""Gains of the photos are those that they were multiplied by, and photos that agree are left alone."""

from dataclasses import replace

import numpy as np
from textured_wall import wall_views

from recon.exposure import evened, photo_gains


def test_the_gains_that_photos_were_multiplied_by_are_found() -> None:
    views, depth_maps = wall_views()
    gains = np.array([[1.2, 1.15, 1.1], [1, 1, 1.05], [0.85, 0.9, 0.95], [1, 0.95, 0.9]])
    gains /= np.exp(np.log(gains).mean(0))
    changed = [
        replace(view, rgb=np.round(view.rgb * gain).astype(np.uint8)) for view, gain in zip(views, gains, strict=True)
    ]
    found = photo_gains(changed, depth_maps)
    np.testing.assert_allclose(found, gains, rtol=0.01)  # colours are rounded to 1/255
    for view, even in zip(views, evened(changed, found), strict=True):
        assert np.abs(view.rgb.astype(int) - even.rgb).mean() < 2


def test_photos_that_agree_stay_what_they_are() -> None:
    views, depth_maps = wall_views()
    assert all(a is b for a, b in zip(views, evened(views, photo_gains(views, depth_maps)), strict=True))


def test_a_photo_that_nothing_is_compared_with_keeps_its_colours() -> None:
    views, depth_maps = wall_views()
    depth_maps[3] = replace(depth_maps[3], depth=np.zeros_like(depth_maps[3].depth))
    brighter = [replace(views[0], rgb=np.round(views[0].rgb * 1.2).astype(np.uint8)), *views[1:]]
    gains = photo_gains(brighter, depth_maps)
    np.testing.assert_allclose(gains[0] / gains[1], 1.2, rtol=0.01)
    assert np.abs(np.log(gains[3])).max() < 0.05
