"""Measured lengths: how they are said, and how long they are in a scene whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from recon.errors import ReconError
from recon.frame_wish import FrameWish, parse_up
from recon.real_scale import DepthAt, Measure, Spot, depth_around, length_in_scene, parse_measure
from recon.scene import PointCloud, Reconstruction, View
from recon.undistort import distort
from splatting.camera import Camera
from tests.synthetic import arc_of_cameras

XYZ = np.array([[0.3, -0.2, 0.1], [-0.4, 0.25, 0.3]])
SIZES = {"a b.jpg": (1280, 960), "IMG_2.JPG": (1280, 960), "c.png": (1280, 960)}


def scene(distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> Reconstruction:
    views = tuple(
        View(name, camera, np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), bool), removed_distortion=distortion)
        for name, camera in zip(SIZES, arc_of_cameras(3), strict=True)
    )
    points = PointCloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Reconstruction(views, points, ())


def true_depth(cameras: list[Camera]) -> DepthAt:
    """The depth of whichever of the two points projects nearest."""

    def depth_at(idx: int, pixel: np.ndarray) -> float:
        pixels, depth = cameras[idx].project(XYZ)
        distances = np.linalg.norm(pixels - pixel, axis=1)
        assert distances.min() < 0.01
        return float(depth[distances.argmin()])

    return depth_at


@pytest.mark.parametrize(
    ("text", "a", "b", "metres"),
    [
        ("a b.jpg:412,300,a b.jpg:980,310=32cm", ("a b.jpg", (412, 300)), ("a b.jpg", (980, 310)), 0.32),
        ("IMG_2.JPG:4.5,300 , c.png:980,310.25 = 5 in", ("IMG_2.JPG", (4.5, 300)), ("c.png", (980, 310.25)), 0.127),
        ("a.jpg,b.jpg=0.5m", ("a.jpg", None), ("b.jpg", None), 0.5),
        ("a.jpg:1,2,b.jpg=3ft", ("a.jpg", (1, 2)), ("b.jpg", None), 0.9144),
        ("a.jpg,b.jpg:1,2=7mm", ("a.jpg", None), ("b.jpg", (1, 2)), 0.007),
    ],
)
def test_a_length_is_read(text: str, a: tuple, b: tuple, metres: float) -> None:
    measure = parse_measure(text)
    assert (measure.a, measure.b) == (Spot(*a), Spot(*b))
    assert measure.metres == pytest.approx(metres)


def test_shares_are_read() -> None:
    assert parse_measure("a.jpg:20%,5.5%,b.jpg=1m").a == Spot("a.jpg", (0.2, 0.055), is_share=True)


@pytest.mark.parametrize(
    "text",
    [
        "", "a.jpg=1m", "a.jpg,b.jpg", "a.jpg,b.jpg=1", "a.jpg,b.jpg=m", "a.jpg,b.jpg=0m", "a.jpg,b.jpg=1.2.3m",
        "a.jpg,b.jpg=1km", "a.jpg,a.jpg=1m", "a.jpg:1,2%,b.jpg=1m", "a.jpg,b.jpg=-1m", "a.jpg:1.1.1,2,b.jpg=1m",
        "a.jpg,b.jpg=1e999m", "a.jpg:3,4,a.jpg:3,4=1m",
    ],
)  # fmt: skip
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        FrameWish(scale=text)


@pytest.mark.parametrize("distortion", [(0.0, 0.0, 0.0, 0.0), (-0.12, 0.03, 0.002, -0.001)])
@pytest.mark.parametrize("as_shares", [False, True])
def test_picked_points_are_as_far_apart_as_they_are(distortion: tuple[float, ...], as_shares: bool) -> None:
    known = scene(distortion)
    spots = []
    for name, view, xyz in zip(("a b.jpg", "IMG_2"), known.views, XYZ, strict=False):
        K = view.camera.K
        pixel = view.camera.project(xyz[None])[0]
        bent = distort((pixel - K[:2, 2]) / [K[0, 0], K[1, 1]], np.array(distortion))[0]
        in_photo = (bent * [K[0, 0], K[1, 1]] + K[:2, 2]) / [640, 480]  # of the photo, twice as large as the view
        spots.append(Spot(name, tuple(in_photo * (1 if as_shares else [1280, 960])), is_share=as_shares))
    depth_at = true_depth([view.camera for view in known.views])
    length = length_in_scene(Measure(*spots, 1.0, ""), known, SIZES, depth_at)
    assert length == pytest.approx(np.linalg.norm(XYZ[0] - XYZ[1]), rel=1e-6)


def test_cameras_are_as_far_apart_as_they_are() -> None:
    known = scene()
    expected = np.linalg.norm(known.views[0].camera.center - known.views[2].camera.center)
    measure = parse_measure("a b.jpg,c.png=1m")
    assert length_in_scene(measure, known, {}, lambda idx, pixel: None) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("IMG_3.JPG,c.png=1m", "no camera of a photo IMG_3.JPG"),
        ("c.png:2000,3,a b.jpg=1m", "outside the photo"),
        ("c.png:20,30,a b.jpg=1m", "No depth is known at c.png:20,30"),
        ("c.png:2%,3%,a b.jpg=1m", "No depth is known at c.png:2%,3%"),
    ],
)
def test_ends_that_are_not_there_are_told(text: str, said: str) -> None:
    with pytest.raises(ReconError, match=said) as caught:
        length_in_scene(parse_measure(text), scene(), SIZES, lambda idx, pixel: None)
    assert caught.value.hint


def test_two_cameras_at_one_place_are_told() -> None:
    known = scene()
    same = replace(known, views=(known.views[0], replace(known.views[1], camera=known.views[0].camera)))
    with pytest.raises(ReconError, match="at one place"):
        length_in_scene(parse_measure("a b.jpg,IMG_2.JPG=1m"), same, SIZES, lambda idx, pixel: None)


def test_depth_around_a_pixel_is_a_median_that_bridges_holes() -> None:
    depth = np.zeros((40, 40), np.float32)
    depth[18:22, 18:22] = 2.0
    depth[19, 19] = 9.0
    assert depth_around(depth, np.array([20.5, 19.5])) == 2.0
    assert depth_around(depth, np.array([22.5, 22.5])) == 2.0
    assert depth_around(depth, np.array([0.5, 39.9])) is None
    assert depth_around(depth, np.array([40.0, 40.0])) is None


@pytest.mark.parametrize(
    ("text", "direction"),
    [("+z", [0, 0, 1]), ("-y", [0, -1, 0]), ("x", [1, 0, 0]), ("0,0.2,-1", [0, 0.2, -1]), ("-Z", [0, 0, -1])],
)
def test_directions_are_read(text: str, direction: list[float]) -> None:
    np.testing.assert_array_equal(parse_up(text), direction)


@pytest.mark.parametrize("text", ["", "w", "+", "--z", "0,0,0", "1,2", "1,2,nan", "up", "+zz", "z+"])
def test_what_is_no_direction_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be auto, none, an axis"):
        FrameWish(up=text)


def test_a_wish_keeps_what_it_does_not_speak_of() -> None:
    assert FrameWish(up="none").over(FrameWish("auto", "a.jpg,b.jpg=1m")) == FrameWish("none", "a.jpg,b.jpg=1m")
