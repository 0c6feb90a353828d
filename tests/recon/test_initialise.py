"""Gaussians start on the surface, as wide as their pixels, and guesses stay out of free space."""

import numpy as np
import pytest

from recon.dense_depth import choose_sources
from recon.errors import ReconError
from recon.initialise import InitialiseConfig, initialise
from recon.scene import DepthMap, PointCloud, View
from splatting.camera import Camera

WIDTH, HEIGHT, FOCAL, DISTANCE = 64, 48, 60.0, 4.0


def _view(name: str, x: float, *, mask: np.ndarray | None = None) -> View:
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x
    rgb = np.random.default_rng(0).integers(100, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)  # texture, no edges
    return View(name, Camera(K, cam_from_world, WIDTH, HEIGHT), rgb, np.ones((HEIGHT, WIDTH), bool), mask)


def _plane_depth(known: np.ndarray) -> DepthMap:
    depth = np.where(known, DISTANCE, 0).astype(np.float32)
    return DepthMap(depth, known.astype(np.float32), known.astype(np.uint8))


def _no_points() -> PointCloud:
    return PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32), ())


def _everywhere() -> np.ndarray:
    return np.ones((HEIGHT, WIDTH), bool)


def _left_half() -> np.ndarray:
    known = _everywhere()
    known[:, WIDTH // 2 :] = False
    return known


def _start(known: np.ndarray, **config: object):  # type: ignore[no-untyped-def]
    views = [_view("a.jpg", 0.0), _view("b.jpg", 0.2)]
    maps = [_plane_depth(known), _plane_depth(known)]
    return initialise(views, maps, _no_points(), InitialiseConfig(**config), seed=0)  # type: ignore[arg-type]


def test_verified_gaussians_lie_on_the_surface_with_their_pixels_colour() -> None:
    gaussians, is_verified = _start(_everywhere(), num_gaussians=100_000, complete_unverified=False)
    assert is_verified.all()
    assert len(gaussians) == 2 * WIDTH * HEIGHT
    np.testing.assert_allclose(gaussians.means[:, 2].numpy(), DISTANCE, rtol=1e-5)
    first = gaussians.sh[0, 0].numpy() * 0.28209479 + 0.5
    np.testing.assert_allclose(first, _view("a.jpg", 0).rgb[0, 0] / 255, atol=1e-4)


def test_verified_scales_are_at_least_a_pixel_and_at_most_four() -> None:
    gaussians, is_verified = _start(_everywhere(), num_gaussians=300)
    scales_px = gaussians.log_scales.exp().numpy()[is_verified] * FOCAL / DISTANCE
    assert scales_px.min() >= 1 - 1e-4
    assert scales_px.max() <= 4 + 1e-4
    assert np.median(scales_px) > 1.1  # 300 of two views on 3,300 pixels stand three pixels apart


def test_sampling_keeps_to_the_wanted_number_and_its_seed() -> None:
    first, is_verified = _start(_everywhere(), num_gaussians=500)
    again, _ = _start(_everywhere(), num_gaussians=500)
    assert 450 <= is_verified.sum() <= 500
    assert (first.means == again.means).all()


def test_unverified_areas_get_few_large_marked_gaussians_on_the_continued_surface() -> None:
    gaussians, is_verified = _start(_left_half(), num_gaussians=100_000)
    guessed = gaussians.select(~np.array(is_verified))  # type: ignore[arg-type]
    assert 0 < len(guessed) < is_verified.sum() / 3
    np.testing.assert_allclose(guessed.means[:, 2].numpy(), DISTANCE, rtol=0.1)
    assert guessed.log_scales.exp().min() * FOCAL / DISTANCE > 1.1


def test_without_completion_everything_is_verified() -> None:
    _, is_verified = _start(_left_half(), complete_unverified=False)
    assert is_verified.all()


def test_no_guess_stands_in_the_free_space_of_another_view() -> None:
    # View b verified a far surface everywhere; a guess of view a at the near surface would float before it.
    near = _plane_depth(_left_half())
    far = DepthMap(
        np.full((HEIGHT, WIDTH), 3 * DISTANCE, np.float32), np.ones((HEIGHT, WIDTH), np.float32), near.num_agreeing
    )
    views = [_view("a.jpg", 0.0), _view("b.jpg", 0.2)]
    gaussians, is_verified = initialise(views, [near, far], _no_points(), InitialiseConfig(), seed=0)
    guessed = gaussians.means.numpy()[~is_verified]
    pixels, _ = views[1].camera.project(guessed.astype(float))
    inside = (pixels[:, 0] > 0) & (pixels[:, 0] < WIDTH) & (pixels[:, 1] > 0) & (pixels[:, 1] < HEIGHT)
    assert (guessed[inside, 2] > 0.98 * 3 * DISTANCE).all()


def test_a_scene_that_nothing_confirms_is_refused_with_advice() -> None:
    with pytest.raises(ReconError, match="confirmed by two photos") as caught:
        _start(np.zeros((HEIGHT, WIDTH), bool))
    assert caught.value.hint


def test_stereo_partners_share_points_at_a_useful_angle() -> None:
    xyz = np.random.default_rng(1).uniform([-1, -1, 4], [1, 1, 5], (200, 3))
    views = [_view("a.jpg", 0.0), _view("b.jpg", 0.01), _view("c.jpg", 0.95), _view("d.jpg", 6.0)]
    everyone = tuple((0, 1, 2, 3) for _ in xyz)
    points = PointCloud(
        xyz, np.zeros((200, 3), np.uint8), np.full(200, 4, np.int32), np.zeros(200, np.float32), everyone
    )
    assert choose_sources(0, views, points, 1) == [2]  # 12 degrees, neither .1 nor 53
    assert len(choose_sources(0, views, points, 9)) == 3
