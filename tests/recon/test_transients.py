"""Who walks through one photo is found; what others show as well, or what nobody can judge, is not."""

from dataclasses import replace

import numpy as np
import pytest
from textured_wall import DISTANCE, HEIGHT, WIDTH, wall_views

from recon.scene import DepthMap, View
from recon.transients import find_transients

BODY = np.zeros((HEIGHT, WIDTH), bool)
BODY[30:100, 60:90] = True


def _painted(view: View, depth_map: DepthMap, where: np.ndarray) -> tuple[View, DepthMap]:
    """Something in front of the wall, whose depth no other photo confirms."""
    rgb = np.where(where[..., None], np.array([230, 200, 20], np.uint8), view.rgb)
    return replace(view, rgb=rgb), replace(depth_map, depth=np.where(where, 0, depth_map.depth).astype(np.float32))


def test_a_passer_by_in_one_photo_is_found_where_he_is() -> None:
    views, depth_maps = wall_views()
    views[1], depth_maps[1] = _painted(views[1], depth_maps[1], BODY)
    found = find_transients(views, depth_maps)
    assert found[1][BODY].mean() > 0.95
    assert found[1][~BODY].mean() < 0.05  # the margin around him
    assert not any(found[i].any() for i in (0, 2, 3))


def test_a_thing_that_stands_in_all_photos_is_kept_though_stereo_missed_it() -> None:
    views, depth_maps = wall_views()
    near = DISTANCE / 2
    for index in range(len(views)):
        shift = round(150.0 * 0.1 * (index - 1) / near)
        views[index], depth_maps[index] = _painted(views[index], depth_maps[index], np.roll(BODY, -shift, 1))
    depth_maps[0] = replace(depth_maps[0], depth=np.full_like(depth_maps[0].depth, DISTANCE))  # the wall behind it
    assert not any(mask.any() for mask in find_transients(views, depth_maps))


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_photos_cannot_tell(count: int) -> None:
    views, depth_maps = wall_views(count)
    views[0], depth_maps[0] = _painted(views[0], depth_maps[0], BODY)
    assert not any(mask.any() for mask in find_transients(views, depth_maps))


def test_a_clean_wall_has_no_passer_by() -> None:
    assert not any(mask.any() for mask in find_transients(*wall_views()))
