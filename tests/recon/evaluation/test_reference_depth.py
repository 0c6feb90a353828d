from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon.benchmark_scenes import BenchScene, read_scene
from recon.errors import ReconError
from recon.evaluation.reference_depth import (
    ReferenceDepths,
    as_seen_in,
    covered_pixels,
    reference_depths,
)
from recon.progress import no_progress
from recon.scene import View
from recon.undistort import DistortedCamera, distort
from splatting.camera import Camera
from tests.recon.evaluation.ray_cast_set import HEIGHT, WIDTH, ray_cast_set

K = np.array([[100.0, 0, 50], [0, 100.0, 40], [0, 0, 1]])


def _beside(x: float) -> Camera:
    """A camera at (x, 0, 0) that looks along z."""
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x
    return Camera(K, cam_from_world, 100, 80)


def _wall(names_and_places: dict[str, float], depth: float = 4.0) -> ReferenceDepths:
    depths = {name: np.full((80, 100), depth, np.float32) for name in names_and_places}
    return ReferenceDepths(depths, {name: _beside(x) for name, x in names_and_places.items()}, is_given=True)


def test_a_pixel_is_covered_when_two_training_photos_see_its_point() -> None:
    reference = _wall({"test": 0.0, "left": -1.0, "right": 1.0, "far": 30.0})
    covered = covered_pixels(reference, "test", ["left", "right"])
    # At depth 4 a step of 1 is 25 px: a strip of 25 px at either side is seen by one of them only.
    assert covered[:, 26:74].all()
    assert not covered[:, :24].any()
    assert not covered[:, 76:].any()
    assert not covered_pixels(reference, "test", ["left", "far"]).any()


def test_what_stands_before_the_point_in_a_training_photo_takes_it_away() -> None:
    reference = _wall({"test": 0.0, "left": -1.0, "right": 1.0})
    reference.depths["left"][20:40, 60:70] = 2.0  # hides columns 35 to 45 of the test photo
    covered = covered_pixels(reference, "test", ["left", "right"])
    assert not covered[21:39, 36:44].any()
    assert covered[42:, 26:74].all()


def test_pixels_without_depth_are_not_covered_except_in_tiny_holes() -> None:
    reference = _wall({"test": 0.0, "left": -0.1, "right": 0.1})
    reference.depths["test"][10:20] = 0
    reference.depths["test"][40:42, 50:52] = 0
    covered = covered_pixels(reference, "test", ["left", "right"])
    assert not covered[10:20].any()
    assert covered[38:44, 48:54].all()


@pytest.fixture(scope="module")
def with_depth(tmp_path_factory: pytest.TempPathFactory) -> BenchScene:
    return read_scene(ray_cast_set(tmp_path_factory.mktemp("sets") / "ball", with_depth=True))


def test_depth_that_comes_with_the_set_is_taken_and_kept(with_depth: BenchScene, tmp_path: Path) -> None:
    reference = reference_depths(with_depth, 192, tmp_path, no_progress)
    assert reference.is_given
    assert 2 < float(np.median(reference.depths["1.png"])) < 4.5
    (kept,) = tmp_path.iterdir()
    changed = kept.stat().st_mtime_ns
    again = reference_depths(with_depth, 192, tmp_path, no_progress)
    assert kept.stat().st_mtime_ns == changed
    np.testing.assert_array_equal(again.depths["3.png"], reference.depths["3.png"])
    half = reference_depths(with_depth, 96, tmp_path, no_progress)
    assert half.depths["1.png"].shape == (HEIGHT // 2, WIDTH // 2)
    np.testing.assert_allclose(half.cameras["1.png"].K[0, 0] * 2, reference.cameras["1.png"].K[0, 0])


def test_depth_of_a_wrong_kind_is_refused(tmp_path: Path) -> None:
    scene = read_scene(ray_cast_set(tmp_path / "ball", with_depth=True))
    (tmp_path / "ball" / "depth" / "2.png").write_bytes((tmp_path / "ball" / "images" / "2.png").read_bytes())
    with pytest.raises(ReconError, match=r"depth of 2\.png is no picture of 16 bits"):
        reference_depths(scene, 192, tmp_path, no_progress)


@pytest.mark.weights
def test_without_depth_stereo_over_all_photos_covers_much_the_same(with_depth: BenchScene, tmp_path: Path) -> None:
    without = read_scene(ray_cast_set(tmp_path / "ball", with_depth=False))
    given = reference_depths(with_depth, 192, tmp_path, no_progress)
    found = reference_depths(without, 192, tmp_path, no_progress)
    assert not found.is_given
    known = found.depths["1.png"] > 0
    assert known.mean() > 0.5
    error = np.abs(found.depths["1.png"] / given.depths["1.png"] - 1)[known]
    assert np.quantile(error, 0.9) < 0.02
    by_depth = covered_pixels(given, "1.png", ["0.png", "2.png", "4.png"])
    by_stereo = covered_pixels(found, "1.png", ["0.png", "2.png", "4.png"])
    assert (by_depth & by_stereo).sum() > 0.95 * by_stereo.sum()
    assert by_stereo.sum() > 0.6 * by_depth.sum()


def _view(distortion: tuple[float, ...], focal: float) -> View:
    lens = np.array([[focal, 0, 50], [0, focal, 40], [0, 0, 1]])
    blank = np.zeros((80, 100, 3), np.uint8)
    return View("a.png", Camera(lens, np.eye(4), 100, 80), blank, blank[..., 0] == 0, removed_distortion=distortion)


def test_a_mask_is_the_same_in_a_view_with_the_true_lens_and_moves_with_another() -> None:
    truth = DistortedCamera(Camera(K, np.eye(4), 100, 80), np.array([0.1, 0.0, 0.0, 0.0]))
    mask = np.zeros((80, 100), bool)
    mask[20:60, 30:80] = True
    same = as_seen_in(_view((0.1, 0.0, 0.0, 0.0), 100.0), mask, truth)
    np.testing.assert_array_equal(same, mask)
    # A pinhole of the same focal length shows the photo as it is: the mask's corner lies where the lens put it.
    bent = as_seen_in(_view((0.0, 0.0, 0.0, 0.0), 100.0), mask, truth)
    corner = distort(np.array([0.295, 0.195]), truth.distortion) * 100 + [50, 40]
    row, column = np.argwhere(bent).max(axis=0)
    assert abs(column - corner[0]) < 1
    assert abs(row - corner[1]) < 1
    doubled = as_seen_in(_view((0.1, 0, 0, 0), 100.0), mask, replace(truth, camera=truth.camera.resized(200, 160)))
    np.testing.assert_array_equal(doubled, mask)
