"""Selections by boxes, spheres and outlines."""

import numpy as np
import pytest

from splatting.selection import front_part, in_box, in_outline, in_sphere, rectangle
from tests.synthetic import arc_of_cameras


def test_a_box_holds_its_faces() -> None:
    xyz = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1.01], [0.5, 0.5, 0.5]])
    assert in_box(xyz, (0, 0, 0), (1, 1, 1)).tolist() == [True, True, False, True]
    with pytest.raises(ValueError, match="lower"):
        in_box(xyz, (1, 0, 0), (0, 1, 1))


def test_a_sphere_holds_what_is_within_its_radius() -> None:
    assert in_sphere(np.array([[1.0, 2, 3], [1, 2, 4.1]]), np.array([1, 2, 3.0]), 1.0).tolist() == [True, False]


def test_an_outline_selects_what_projects_into_it_and_nothing_behind_the_camera() -> None:
    camera = arc_of_cameras(1, size=(100, 80))[0]
    pixels = np.random.default_rng(0).uniform([0, 0], [100, 80], (500, 2))
    xyz = camera.unproject(pixels, np.full(500, 2.0))
    is_right = pixels[:, 0] > 50
    half = rectangle((101, 81), (50, -1))
    assert (in_outline(xyz, camera, half) == is_right).all()
    behind = 2 * camera.center - xyz
    assert not in_outline(behind, camera, rectangle((-1000, -1000), (1000, 1000))).any()
    assert not in_outline(xyz, camera, half[:2]).any()


def test_an_outline_may_be_hollow() -> None:
    """A U: what lies between its arms is outside, though within its bounding box."""
    camera = arc_of_cameras(1, size=(100, 80))[0]
    u = np.array([[10, 10], [30, 10], [30, 50], [70, 50], [70, 10], [90, 10], [90, 70], [10, 70]])
    xyz = camera.unproject(np.array([[20, 20], [50, 20], [80, 20], [50, 60.0]]), np.full(4, 1.5))
    assert in_outline(xyz, camera, u).tolist() == [True, False, True, True]


def test_the_front_part_leaves_out_what_the_surface_hides() -> None:
    camera = arc_of_cameras(1, size=(100, 80))[0]
    depth = np.full((40, 50), 2.0, np.float32)
    depth[:, 25:] = 0  # no surface: all is seen
    pixels = np.array([[10, 10], [10, 10], [90, 10.0]])
    xyz = camera.unproject(pixels, np.array([2.05, 2.5, 9.0]))
    assert front_part(xyz, np.ones(3, bool), camera, depth).tolist() == [True, False, True]
    assert not front_part(xyz, np.zeros(3, bool), camera, depth).any()
