"""Photos of one surface come to one exposure, and photos that agree are left alone."""

from dataclasses import replace

import numpy as np
from textured_wall import wall_views

from recon.exposure import evened


def test_photos_that_were_made_brighter_and_warmer_look_alike_again() -> None:
    views, depth_maps = wall_views()
    gains = np.array([[1.2, 1.15, 1.1], [1, 1, 1.05], [0.85, 0.9, 0.95], [1, 0.95, 0.9]])
    gains /= np.exp(np.log(gains).mean(0))
    changed = [
        replace(view, rgb=np.round(view.rgb * gain).astype(np.uint8)) for view, gain in zip(views, gains, strict=True)
    ]
    for view, even in zip(views, evened(changed, depth_maps), strict=True):
        assert np.abs(view.rgb.astype(int) - even.rgb).mean() < 1


def test_photos_that_agree_stay_what_they_are() -> None:
    views, depth_maps = wall_views()
    assert all(a is b for a, b in zip(views, evened(views, depth_maps), strict=True))


def test_a_photo_that_nothing_is_compared_with_keeps_its_colours() -> None:
    views, depth_maps = wall_views()
    depth_maps[3] = replace(depth_maps[3], depth=np.zeros_like(depth_maps[3].depth))
    brighter = [replace(views[0], rgb=np.round(views[0].rgb * 1.2).astype(np.uint8)), *views[1:]]
    even = evened(brighter, depth_maps)
    assert np.abs(even[3].rgb.astype(int) - views[3].rgb).max() <= 1
    assert (
        np.abs(even[0].rgb.astype(int) - even[1].rgb).mean() < np.abs(brighter[0].rgb.astype(int) - views[1].rgb).mean()
    )
