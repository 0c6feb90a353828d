"""Guesses continue what is seen: beyond the frame, behind edges, and never where another photo looks through."""

import numpy as np
import pytest

from recon.guesses import BEYOND_OPACITY, BEYOND_SHARE, guessed_seeds
from recon.scene import DepthMap, PointCloud, View
from recon.seeds import Seeds
from splatting.camera import Camera

WIDTH, HEIGHT, FOCAL = 96, 64, 80.0
NEAR, FAR = 2.0, 4.0
RED, GREEN = (200, 20, 20), (20, 200, 20)
NO_POINTS = PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32), ())
SQUARE = (slice(20, 44), slice(36, 60))


def a_view(x: float = 0.0, *, mask: np.ndarray | None = None) -> View:
    """A red square 2 before a green wall 4 away."""
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x
    rgb = np.full((HEIGHT, WIDTH, 3), GREEN, np.uint8)
    rgb[SQUARE] = RED
    return View(f"{x}.jpg", Camera(K, cam_from_world, WIDTH, HEIGHT), rgb, np.ones((HEIGHT, WIDTH), bool), mask)


def its_depth(*, square: float = NEAR) -> DepthMap:
    depth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    depth[SQUARE] = square
    return DepthMap(depth, np.ones_like(depth), np.ones((HEIGHT, WIDTH), np.uint8))


def pixels_of(seeds: Seeds, view: View) -> tuple[np.ndarray, np.ndarray]:
    pixels, _ = view.camera.project(seeds.xyz)
    inside = (pixels[:, 0] >= 0) & (pixels[:, 0] < WIDTH) & (pixels[:, 1] >= 0) & (pixels[:, 1] < HEIGHT)
    return pixels, inside


def test_the_wall_goes_on_beyond_the_frame_and_behind_the_square() -> None:
    view = a_view()
    seeds = guessed_seeds([view], [its_depth()], NO_POINTS)[0]
    pixels, inside = pixels_of(seeds, view)
    assert inside.any()
    assert (~inside).any()
    np.testing.assert_allclose(seeds.xyz[:, 2], FAR, rtol=0.05)
    assert (seeds.rgb[:, 1] > seeds.rgb[:, 0]).all()  # green like the wall, not red like the square
    # everything is verified, so what lies within the frame hides behind the square
    (top, bottom), (left, right) = ((part.start, part.stop) for part in SQUARE)
    assert (pixels[inside] >= (left, top)).all()
    assert (pixels[inside] <= (right, bottom)).all()


def test_what_another_view_shows_is_not_guessed_beyond_the_frame() -> None:
    views = [a_view(0.0), a_view(3.0)]
    seeds = guessed_seeds(views, [its_depth(square=FAR)] * 2, NO_POINTS)[0]
    assert len(seeds.xyz)
    assert not any(pixels_of(seeds, view)[1].any() for view in views)


def test_guesses_beyond_the_frame_fade_to_nothing() -> None:
    view = a_view()
    seeds = guessed_seeds([view], [its_depth(square=FAR)], NO_POINTS)[0]
    pixels, inside = pixels_of(seeds, view)
    assert not inside.any()
    past = np.linalg.norm(np.maximum(np.maximum(-pixels, pixels - (WIDTH, HEIGHT)), 0), axis=1)
    by_distance = seeds.opacity[np.argsort(past.round())]
    assert past.max() <= BEYOND_SHARE * WIDTH + 1
    assert by_distance[0] > 0.6 * BEYOND_OPACITY
    assert by_distance[-1] < 0.1 * BEYOND_OPACITY
    assert (np.diff(by_distance) <= 0.1).all()


def test_masked_objects_have_nothing_beyond_the_frame() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[SQUARE] = True
    view = a_view(mask=mask)
    seeds = guessed_seeds([view], [its_depth()], NO_POINTS)[0]
    assert not len(seeds.xyz)


def test_a_guess_that_another_view_looks_through_moves_back_to_what_that_sees() -> None:
    near, far = its_depth(square=NEAR), its_depth(square=FAR)
    near.depth[:, WIDTH // 2 :] = 0  # only its left half is verified: the right half of the square is a guess
    views = [a_view(0.0), a_view(0.1)]
    alone = guessed_seeds(views[:1], [near], NO_POINTS)[0]
    beside = guessed_seeds(views, [near, far], NO_POINTS)[0]
    seen = pixels_of(beside, views[1])[1]
    assert alone.xyz[:, 2].min() < 0.7 * FAR
    assert beside.xyz[seen, 2].min() > 0.98 * FAR
    # they stay on the rays of their pixels and are as large in the photo as before
    pixels, inside = pixels_of(beside, views[0])
    size_px = beside.scale * FOCAL / beside.xyz[:, 2]
    assert size_px[inside].max() <= alone.scale.max() * FOCAL / alone.xyz[:, 2].min()
    assert np.abs(pixels[inside] % 1 - 0.5).max() < 1e-6


def test_a_guess_of_another_colour_than_a_view_shows_is_not_left_before_it() -> None:
    # View b is green where it verified nothing: a red guess of view a can only stand behind what b guesses there.
    views = [a_view(0.0), a_view(0.0)]
    green = a_view(0.0)
    green.rgb[:] = GREEN
    square, wall = its_depth(square=NEAR), its_depth(square=FAR)
    square.depth[SQUARE][:, 6:18] = 0  # its middle is a guess
    wall.depth[:, 20:] = 0
    shown = guessed_seeds(views, [square, wall], NO_POINTS)[0]
    not_shown = guessed_seeds([views[0], green], [square, wall], NO_POINTS)[0]
    red, red_too = (seeds.xyz[seeds.rgb[:, 0] > seeds.rgb[:, 1] + 0.2] for seeds in (shown, not_shown))
    assert np.median(red[:, 2]) == pytest.approx(NEAR, rel=0.1)
    assert not (red_too[:, 2] < 0.9 * FAR).any()
