"""The next photo is asked for where few photos see, in words that fit the place."""

import numpy as np
import pytest
import torch

from recon.next_photo import FARTHEST_DEG, NEAREST_DEG, suggest_next_photo, words_of_place
from splatting import rasterizer
from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.visibility import num_seeing, visibilities
from tests.synthetic import arc_of_cameras, looking_at


def ball() -> Gaussians:
    """Opaque, of radius 1, around the origin."""
    means = torch.nn.functional.normalize(torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    n = len(means)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    return Gaussians(means, torch.full((n, 3), -3.9), quats, torch.full((n,), 4.0), torch.zeros(n, 1, 3))


def camera_at(azimuth_deg: float) -> Camera:
    """On a circle of radius 4 a little above the ball; seen from above, larger angles are further to the right."""
    angle = np.deg2rad(azimuth_deg)
    center = np.array([4 * np.sin(angle), 1.0, 4 * np.cos(angle)])
    K = np.array([[120.0, 0, 48], [0, 120.0, 36], [0, 0, 1]])
    return Camera(K, looking_at(center, np.zeros(3)), 96, 72)


def test_it_lies_near_a_photo_and_shows_what_few_see() -> None:
    scene, cameras, draw = ball(), [camera_at(0), camera_at(15)], rasterizer.create("cpu")
    shares = visibilities(scene, cameras, draw)
    found = suggest_next_photo(scene, shares, cameras, ["a.jpg", "b.jpg"], draw)
    assert found is not None
    directions = [camera.center / np.linalg.norm(camera.center) for camera in (*cameras, found.camera)]
    angles = np.rad2deg(np.arccos([directions[2] @ direction for direction in directions[:2]]))
    assert NEAREST_DEG - 1 < angles.min() < FARTHEST_DEG + 1
    beside = ["a.jpg", "b.jpg"].index(found.beside)
    assert angles.argmin() == beside
    in_picture, depth = found.camera.project(np.zeros((1, 3)))
    assert depth[0] > 0
    assert (
        np.abs(in_picture[0] - [48, 36]).max() < 20
    )  # towards the middle of what is known, which lies nearer than that of the ball
    weak = (num_seeing(shares) < 2).numpy()
    new = visibilities(scene, [found.camera], draw)[0].numpy()
    assert new[weak].sum() > max(visibilities(scene, [c], draw)[0].numpy()[weak].sum() for c in cameras) * 0.9
    assert 0 < found.weak_share < 1


@pytest.mark.parametrize(
    ("azimuth_deg", "height", "words"),
    [(25.0, 1.0, "25° further to the right"), (-25.0, 1.0, "25° further to the left"), (0.0, 3.0, "higher")],
)
def test_words_say_where_it_lies_from_the_nearest_photo(azimuth_deg: float, height: float, words: str) -> None:
    """Right is where the photographer who looks at the scene has his right hand."""
    angle = np.deg2rad(azimuth_deg)
    center = np.array([4 * np.sin(angle), height, 4 * np.cos(angle)])
    there = Camera(camera_at(0).K, looking_at(center, np.zeros(3)), 96, 72)
    told = words_of_place(there, camera_at(0), "a.jpg", np.zeros(3), np.array([0.0, 1, 0]))
    assert words in told
    if "further" in words:
        in_first = camera_at(0).R @ (center - camera_at(0).center)
        assert (in_first[0] > 0) == ("right" in words)


def test_without_anything_that_two_photos_see_there_is_no_suggestion() -> None:
    scene, draw = ball(), rasterizer.create("cpu")
    cameras = list(arc_of_cameras(1, size=(96, 72)))
    assert suggest_next_photo(scene, visibilities(scene, cameras, draw), cameras, ["a"], draw) is None
