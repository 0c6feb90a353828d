"""Clicks in the finished scene become the words that the command line understands."""

from dataclasses import replace

import numpy as np
import pytest

from recon.frame import AS_IT_IS, Frame
from recon.frame_wish import parse_up
from recon.framing import depths_of_stereo
from recon.picked_frame import length_between, up_of_points
from recon.real_scale import length_in_scene, parse_measure
from tests.recon.test_align_project import scene_on_a_table

TURNED = Frame(
    2.0, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1.0, 2, 3]), None, True, "Turned.", "Arbitrary."
)


def in_frame(xyz: np.ndarray, frame: Frame) -> np.ndarray:
    return frame.scale * xyz @ frame.R.T + frame.t


@pytest.mark.parametrize("frame", [AS_IT_IS, TURNED])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_three_points_of_a_table_give_its_normal_towards_the_cameras(frame: Frame, order: tuple[int, ...]) -> None:
    scene, _, _, _ = scene_on_a_table()
    points = in_frame(np.array([[0, -0.5, 0], [0.5, -0.46, 0.1], [0.2, -0.484, 0.6]]), frame)
    cameras = [in_frame(view.camera.center, frame) for view in scene.views]
    wish = up_of_points([points[i] for i in order], cameras, frame)
    up = parse_up(str(wish.up))
    assert isinstance(up, np.ndarray)
    assert up == pytest.approx(np.array([-0.08, 1, 0]) / np.hypot(0.08, 1), abs=1e-5)


def test_points_on_a_line_are_refused() -> None:
    with pytest.raises(ValueError, match="on a line"):
        up_of_points([np.zeros(3), np.ones(3), 2 * np.ones(3)], [np.ones(3)], AS_IT_IS)
    with pytest.raises(ValueError, match="three points"):
        up_of_points([np.zeros(3)], [np.ones(3)], AS_IT_IS)


@pytest.mark.parametrize("frame", [AS_IT_IS, TURNED])
@pytest.mark.parametrize("distortion", [(0.0, 0.0, 0.0, 0.0), (-0.1, 0.02, 0.001, -0.002)])
def test_two_points_and_a_length_measure_what_lies_between_them(frame: Frame, distortion: tuple[float, ...]) -> None:
    scene, dense, _, _ = scene_on_a_table()
    scene = replace(scene, views=tuple(replace(view, removed_distortion=distortion) for view in scene.views))
    a, b = np.array([-0.3, -0.524, 0.0]), np.array([0.4, -0.468, 0.0])
    wish = length_between(in_frame(a, frame), in_frame(b, frame), "32,5 cm", scene.views, frame, dense.depth_maps)
    measure = parse_measure(str(wish.scale))
    assert measure.metres == pytest.approx(0.325)
    found = length_in_scene(measure, scene, {}, depths_of_stereo(scene, dense.depth_maps))
    # depths are looked up around the pixel, in pictures of 64 x 48
    assert found == pytest.approx(np.linalg.norm(a - b), rel=0.05)


def test_what_no_photo_shows_and_no_length_are_refused() -> None:
    scene, dense, _, _ = scene_on_a_table()
    behind = scene.views[0].camera.center - 3 * scene.views[0].camera.R[2]
    with pytest.raises(ValueError, match="no photo shows"):
        length_between(behind, behind + 0.1, "1m", scene.views, AS_IT_IS, dense.depth_maps)
    inside = np.array([0.1, -0.492, 0.0]), np.array([0.5, -0.46, 0.3])
    with pytest.raises(ValueError, match="a length is a number"):
        length_between(*inside, "long", scene.views, AS_IT_IS, dense.depth_maps)
