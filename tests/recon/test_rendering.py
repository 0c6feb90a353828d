"""Pictures and films of Gaussians: right pixels, right sizes, nothing half-written."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from analytic_depth import camera_at

from recon.rendering import depth_pictures, normal_picture, render_video, render_views
from splatting.camera import Camera
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Render, create


def one_red_blob() -> Gaussians:
    sh = torch.tensor([[[1.7, -1.7, -1.7]]])
    return Gaussians(
        torch.zeros(1, 3), torch.full((1, 3), -1.0), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1,), 6.0), sh
    )


def flat_gray(splats: Splats, camera: Camera, **options: object) -> Render:
    """Draws a gradient that tells the frames apart by the camera's height."""
    level = 0.2 + 0.1 * float(camera.center[1])
    size = (camera.height, camera.width)
    depth = torch.full(size, 2.0)
    return Render(torch.full((*size, 3), level), torch.ones(size), depth, depth, torch.zeros(len(splats.means)))


def test_pictures_are_what_the_rasterizer_draws(tmp_path: Path) -> None:
    cameras = [camera_at((0, 0, 3), 65, 49, 60), camera_at((3, 0, 0), 65, 49, 60)]
    written = render_views(one_red_blob(), cameras, ["a.JPG", "sub/b.png"], tmp_path / "out", create("torch"))
    assert written == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]
    picture = iio.imread(written[0])
    assert picture.shape == (49, 65, 3)
    assert picture[24, 32, 0] > 200
    assert picture[24, 32, 1] < 20
    assert picture[0, 0].max() == 0


def test_the_background_shows_where_nothing_is(tmp_path: Path) -> None:
    written = render_views(
        one_red_blob(), [camera_at((0, 0, 3), 65, 49, 60)], ["a"], tmp_path, create("torch"), background=torch.ones(3)
    )
    assert (iio.imread(written[0])[0, 0] == 255).all()


def test_depth_is_sixteen_bits_with_its_scale(tmp_path: Path) -> None:
    render_views(one_red_blob(), [camera_at((0, 0, 3), 64, 48)], ["a"], tmp_path, flat_gray, with_depth=True)
    depth = iio.imread(tmp_path / "a_depth.png")
    assert depth.dtype == np.uint16
    assert iio.imread(tmp_path / "a_depth_view.png").shape == (48, 64, 3)
    scale = float((tmp_path / "depth_scale.txt").read_text())
    np.testing.assert_allclose(depth * scale, 2.0, rtol=1e-4)


def test_near_is_red_and_far_is_blue_and_nothing_is_black() -> None:
    depth = np.zeros((4, 6), np.float32)
    depth[:, :3] = 1.0
    depth[:, 3:5] = 4.0
    (picture,) = depth_pictures([depth])
    assert picture[0, 0, 0] > 100 > picture[0, 0, 2]
    assert picture[0, 4, 2] > 40 > picture[0, 4, 1]
    assert picture[0, 5].max() == 0
    assert depth_pictures([]) == []
    assert depth_pictures([np.zeros((2, 2), np.float32)])[0].max() == 0


def test_a_wall_that_faces_the_camera_has_a_blue_normal_and_nothing_a_black_one(tmp_path: Path) -> None:
    """OpenGL's axes, as normal maps have them: towards the camera is +z."""
    render_views(one_red_blob(), [camera_at((0, 0, 3), 64, 48)], ["a"], tmp_path, flat_gray, with_normals=True)
    picture = iio.imread(tmp_path / "a_normal.png").astype(int)
    assert np.abs(picture - [127.5, 127.5, 255]).max() <= 0.5  # 127.5 may be rounded to either side
    assert normal_picture(np.zeros((48, 64), np.float32), camera_at((0, 0, 3), 64, 48)).max() == 0


def test_names_must_fit_the_cameras(tmp_path: Path) -> None:
    camera = camera_at((0, 0, 3), 64, 48)
    with pytest.raises(ValueError, match="names"):
        render_views(one_red_blob(), [camera], [], tmp_path, flat_gray)
    with pytest.raises(ValueError, match="same file"):
        render_views(one_red_blob(), [camera, camera], ["a.jpg", "b/a.jpg"], tmp_path, flat_gray)
    assert [
        path.name for path in render_views(one_red_blob(), [camera] * 2, ["a.jpg", "a.png"], tmp_path, flat_gray)
    ] == [
        "a.jpg.png",
        "a.png.png",
    ]


def test_a_film_has_one_frame_per_camera_and_even_sizes(tmp_path: Path) -> None:
    cameras = [camera_at((0.0, 0.5 * idx, 3.0), 65, 49, 60) for idx in range(6)]
    path = render_video(one_red_blob(), cameras, tmp_path / "new" / "film.mp4", 10, rasterizer=flat_gray)
    frames = iio.imread(path, plugin="pyav")
    assert frames.shape == (6, 48, 64, 3)
    expected = [255 * (0.2 + 0.1 * camera.center[1]) for camera in cameras]
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), expected, atol=4)  # lossy, limited range
    assert iio.immeta(path, plugin="pyav")["fps"] == 10
    assert [p.name for p in path.parent.iterdir()] == ["film.mp4"]


def test_a_cancelled_film_leaves_no_file(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int, message: str) -> None:
        if done == 2:
            raise StopError

    cameras = [camera_at((0, 0, 3), 64, 48)] * 4
    with pytest.raises(StopError):
        render_video(one_red_blob(), cameras, tmp_path / "film.mp4", 10, rasterizer=flat_gray, progress=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "fps", "count"), [("film.avi", 10, 1), ("film.mp4", 0, 1), ("film.mp4", 10, 0)])
def test_absurd_films_are_refused(tmp_path: Path, name: str, fps: int, count: int) -> None:
    with pytest.raises(ValueError):
        render_video(one_red_blob(), [camera_at((0, 0, 3), 64, 48)] * count, tmp_path / name, fps, rasterizer=flat_gray)
