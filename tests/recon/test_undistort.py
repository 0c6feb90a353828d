from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from recon.undistort import DistortedCamera, distort, straighten, undistort_pixels, undistorted_view
from tests.synthetic import arc_of_cameras, write_photos

DISTORTION = np.array([-0.15, 0.06, 0.002, -0.003])
CAMERA = replace(arc_of_cameras(2)[0], K=np.array([[560.0, 0, 331], [0, 570, 236], [0, 0, 1]]))


def grid() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 640, 17), np.linspace(0, 480, 13))
    return np.stack([x.ravel(), y.ravel()], axis=1)


def test_distortion_is_that_of_opencv() -> None:
    flat = (grid() - CAMERA.K[:2, 2]) / CAMERA.K[[0, 1], [0, 1]]
    rays = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
    expected = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), DISTORTION)[0][:, 0]
    np.testing.assert_allclose(distort(flat, DISTORTION), expected, atol=1e-12)


def test_straighten_undoes_distort() -> None:
    flat = (grid() - CAMERA.K[:2, 2]) / CAMERA.K[[0, 1], [0, 1]]
    np.testing.assert_allclose(straighten(distort(flat, DISTORTION), DISTORTION), flat, atol=1e-10)


def test_no_pixels_stay_no_pixels() -> None:
    assert undistort_pixels(np.zeros((0, 2)), DistortedCamera(CAMERA, DISTORTION)).shape == (0, 2)


def test_a_photo_without_distortion_is_only_shrunk(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, (CAMERA,))[0]
    view = undistorted_view(photo, DistortedCamera(CAMERA, np.zeros(4)), 320, is_heldout=True)
    np.testing.assert_array_equal(view.rgb, photo.pixels(320))
    np.testing.assert_allclose(view.camera.K[:2], CAMERA.K[:2] / 2)
    assert view.valid.all()
    assert view.is_heldout


def test_photos_are_not_enlarged(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, (CAMERA,))[0]
    view = undistorted_view(photo, DistortedCamera(CAMERA, np.zeros(4)), 5000, is_heldout=False)
    assert (view.camera.width, view.camera.height) == (640, 480)
    np.testing.assert_allclose(view.camera.K, CAMERA.K)


@pytest.mark.parametrize("strength", [-1.0, 1.0])
def test_a_view_shows_each_pixel_where_undistortion_puts_it(tmp_path: Path, strength: float) -> None:
    """The photo codes its coordinates as colours, so that a view reads like a map; half a pixel would show."""
    photo = write_photos(tmp_path, (CAMERA,))[0]
    x, y = np.meshgrid(np.arange(640) + 0.5, np.arange(480) + 0.5)
    ramp = np.stack([x * 255 / 640, y * 255 / 480, 0 * x], axis=-1)
    Image.fromarray(np.round(ramp).astype(np.uint8)).save(photo.path)
    lens = DistortedCamera(CAMERA, strength * DISTORTION)
    view = undistorted_view(photo, lens, 640, is_heldout=False)
    shown = view.rgb[..., :2] * [640 / 255, 480 / 255]  # where in the photo each pixel of the view comes from
    landed = undistort_pixels(shown[view.valid], lens)
    error = landed - np.stack([x, y], axis=-1)[view.valid]
    assert np.abs(np.median(error, axis=0)).max() < 0.2  # colours are rounded to 1/255 of the size, on both sides
    assert np.abs(error).max() < 4.0  # 1.5 steps of 2.5 px


def test_pixels_that_the_photo_never_had_are_not_valid(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, (CAMERA,))[0]
    pincushion = undistorted_view(photo, DistortedCamera(CAMERA, np.array([0.2, 0, 0, 0])), 640, is_heldout=False)
    barrel = undistorted_view(photo, DistortedCamera(CAMERA, np.array([-0.2, 0, 0, 0])), 640, is_heldout=False)
    assert not pincushion.valid[0, 0]
    assert not pincushion.valid[-1, -1]
    assert pincushion.valid[240, 320]
    assert barrel.valid.all()


def test_corners_where_the_lens_polynomial_folds_back_are_not_valid(tmp_path: Path) -> None:
    wide = replace(CAMERA, K=np.array([[260.0, 0, 320], [0, 260, 240], [0, 0, 1]]))
    photo = write_photos(tmp_path, (wide,))[0]
    view = undistorted_view(photo, DistortedCamera(wide, np.array([-0.3, 0, 0, 0])), 640, is_heldout=False)
    assert not view.valid[0, 0]
    assert view.valid[240, 80]
    assert view.valid[0, 320]


def test_masks_move_with_the_pixels(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, (CAMERA,))[0]
    painted = np.zeros((480, 640), np.uint8)
    painted[100:160, 120:200] = 255
    Image.fromarray(painted).save(tmp_path / "mask.png")
    photo = replace(photo, mask_path=tmp_path / "mask.png")
    lens = DistortedCamera(CAMERA, np.array([-0.3, 0, 0, 0]))
    view = undistorted_view(photo, lens, 640, is_heldout=False)
    lines, columns = np.nonzero(view.mask)
    corners = undistort_pixels(np.array([[120.0, 100.0], [200.0, 160.0]]), lens)
    assert columns.min() == pytest.approx(corners[0, 0], abs=4)  # the edges are bent by a few pixels
    assert lines.max() == pytest.approx(corners[1, 1], abs=4)
    assert abs(corners[0, 0] - 120) > 8  # it did move


def test_a_camera_of_another_size_is_refused(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, (CAMERA,))[0]
    with pytest.raises(ValueError, match="320 x 240"):
        undistorted_view(photo, DistortedCamera(CAMERA.resized(320, 240), np.zeros(4)), 640, is_heldout=False)
