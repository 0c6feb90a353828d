import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from recon.camera_files import image_name, read_cameras, write_cameras_json, write_colmap
from recon.errors import ReconError
from recon.scene import PointCloud, Reconstruction, View
from tests.synthetic import arc_of_cameras, exact_scene


def small_scene() -> Reconstruction:
    """Three views; even points are seen by the first two, odd ones by all."""
    cameras = arc_of_cameras(3, size=(64, 48))
    rgb, valid = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), bool)
    views = tuple(View(f"photo_{i}.jpg", camera, rgb, valid) for i, camera in enumerate(cameras))
    xyz = exact_scene(cameras, num_points=20).xyz
    tracks = tuple((0, 1) if point % 2 == 0 else (0, 1, 2) for point in range(20))
    num_views = np.array([len(track) for track in tracks], np.int32)
    colours = np.arange(60, dtype=np.uint8).reshape(20, 3)
    return Reconstruction(views, PointCloud(xyz, colours, num_views, np.full(20, 0.25, np.float32), tracks), ())


def test_cameras_json_comes_back_exactly(tmp_path: Path) -> None:
    scene = small_scene()
    write_cameras_json(scene.views, tmp_path / "cameras.json")
    found = read_cameras(tmp_path / "cameras.json")
    assert list(found) == [view.name for view in scene.views]
    for view in scene.views:
        np.testing.assert_array_equal(found[view.name].camera.K, view.camera.K)
        np.testing.assert_array_equal(found[view.name].camera.cam_from_world, view.camera.cam_from_world)
        assert not found[view.name].distortion.any()


def test_cameras_json_has_the_documented_fields(tmp_path: Path) -> None:
    write_cameras_json(small_scene().views, tmp_path / "cameras.json")
    document = json.loads((tmp_path / "cameras.json").read_text())
    assert set(document) == {"convention", "frame", "images"}
    assert document["convention"] == "opencv"
    keys = {"file", "width", "height", "fx", "fy", "cx", "cy", "distortion", "w2c"}
    assert all(set(image) == keys for image in document["images"])
    assert np.shape(document["images"][0]["w2c"]) == (3, 4)


def test_colmap_reads_the_model_that_we_write(tmp_path: Path) -> None:
    """Against pycolmap's own reader: cameras, colours, and tracks that reproject to nothing."""
    scene = small_scene()
    write_colmap(scene, tmp_path)
    model = pycolmap.Reconstruction(tmp_path)
    assert (model.num_reg_images(), model.num_points3D()) == (3, 20)
    assert model.compute_num_observations() == int(scene.points.num_views.sum())
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 1e-3  # pixels are written with four digits
    np.testing.assert_array_equal(model.points3D[3].color, scene.points.rgb[2])
    assert sorted(e.image_id for e in model.points3D[2].track.elements) == [1, 2, 3]
    for view, image_id in zip(scene.views, (1, 2, 3), strict=True):
        image = model.image(image_id)
        assert image.name == view.name
        np.testing.assert_allclose(image.cam_from_world().matrix(), view.camera.cam_from_world[:3], atol=1e-12)
        np.testing.assert_allclose(image.camera.calibration_matrix(), view.camera.K)


def test_a_written_model_comes_back(tmp_path: Path) -> None:
    """Also with blanks in a name, at which COLMAP's own reader stops."""
    scene = small_scene()
    views = tuple(replace(view, name=view.name.replace("_", " ")) for view in scene.views)
    write_colmap(replace(scene, views=views), tmp_path)
    found = read_cameras(tmp_path)
    assert list(found) == ["photo 0.jpg", "photo 1.jpg", "photo 2.jpg"]
    for view in views:
        np.testing.assert_allclose(found[view.name].camera.cam_from_world, view.camera.cam_from_world, atol=1e-12)
        np.testing.assert_array_equal(found[view.name].camera.K, view.camera.K)


def test_binary_models_read_like_text_models(tmp_path: Path) -> None:
    write_colmap(small_scene(), tmp_path / "text")
    (tmp_path / "binary").mkdir()
    pycolmap.Reconstruction(tmp_path / "text").write_binary(tmp_path / "binary")
    text, binary = read_cameras(tmp_path / "text"), read_cameras(tmp_path / "binary")
    assert list(text) == list(binary)
    np.testing.assert_array_equal(text["photo_1.jpg"].camera.K, binary["photo_1.jpg"].camera.K)


def test_a_scene_without_points_is_still_a_model(tmp_path: Path) -> None:
    scene = small_scene()
    no_xyz, no_rgb = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    nothing = PointCloud(no_xyz, no_rgb, np.zeros(0, np.int32), np.zeros(0, np.float32), ())
    write_colmap(Reconstruction(scene.views, nothing, ()), tmp_path)
    assert len(read_cameras(tmp_path)) == 3


def test_distorted_colmap_lenses_are_understood(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("7 RADIAL 640 480 500 320 240 -0.1 0.02\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 2 7 folder/a.jpg\n\n")
    (tmp_path / "points3D.txt").write_text("")
    found = read_cameras(tmp_path)["a.jpg"]
    np.testing.assert_allclose(found.distortion, [-0.1, 0.02, 0, 0])
    np.testing.assert_allclose(found.camera.center, [0, 0, -2])


def test_fisheye_lenses_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("7 OPENCV_FISHEYE 640 480 500 500 320 240 0 0 0 0\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 2 7 a.jpg\n\n")
    (tmp_path / "points3D.txt").write_text("")
    with pytest.raises(ReconError, match="OPENCV_FISHEYE"):
        read_cameras(tmp_path)


def test_transforms_json_is_turned_to_our_axes(tmp_path: Path) -> None:
    """OpenGL cameras look along -z with y up: one at z = 3 without rotation sees the origin 3 in front of it."""
    world_from_camera = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]
    frame = {"file_path": "./images/a.png", "transform_matrix": world_from_camera}
    document = {"w": 640, "h": 480, "fl_x": 500, "fl_y": 510, "cx": 300, "cy": 250, "k1": 0.1, "frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    found = read_cameras(tmp_path)["a.png"]
    pixels, depth = found.camera.project(np.array([[0, 0, 0.0], [0, 1, 0.0]]))
    np.testing.assert_allclose(depth, 3)
    np.testing.assert_allclose(pixels, [[300, 250], [300, 250 - 510 / 3]])  # up in the world is up in the image
    np.testing.assert_allclose(found.distortion, [0.1, 0, 0, 0])


def test_transforms_json_may_tell_only_the_field_of_view(tmp_path: Path) -> None:
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    document = {"w": 640, "h": 480, "camera_angle_x": np.pi / 2, "frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    np.testing.assert_allclose(read_cameras(tmp_path)["a.png"].camera.K, [[320, 0, 320], [0, 320, 240], [0, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"images": [{"file": "a.jpg", "w2c": [[1, 0, 0, 0]]}]}',
        '{"images": [{"file": "a.jpg", "width": 4, "height": 4, "fx": 1, "fy": 1, "cx": 2, "cy": 2,'
        ' "w2c": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]}]}',
        '{"images": [{"file": "a.jpg", "width": 4, "height": 4, "fx": NaN, "fy": 1, "cx": 2, "cy": 2,'
        ' "w2c": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}]}',
    ],
)
def test_damaged_camera_files_are_refused_with_a_hint(tmp_path: Path, text: str) -> None:
    (tmp_path / "cameras.json").write_text(text)
    with pytest.raises(ReconError, match=r"cameras\.json") as refused:
        read_cameras(tmp_path / "cameras.json")
    assert refused.value.hint


def test_missing_camera_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="cannot be read"):
        read_cameras(tmp_path / "absent.json")
    with pytest.raises(ReconError, match="no cameras"):
        read_cameras(tmp_path)


def test_images_keep_the_photos_name_unless_hardly_any_program_reads_its_kind() -> None:
    view = small_scene().views[0]
    names = {name: image_name(replace(view, name=name)) for name in ("a.JPG", "b.webp", "c.heic", "d.e.avif")}
    assert names == {"a.JPG": "a.JPG", "b.webp": "b.webp", "c.heic": "c.png", "d.e.avif": "d.e.png"}
