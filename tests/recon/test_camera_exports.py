"""Exported cameras, read by COLMAP itself, by arithmetic from the specifications, and by our own readers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import trimesh

from recon.camera_exports import export_cameras, export_colmap, export_colmap_binary, export_transforms
from recon.camera_files import read_cameras, write_cameras_json, write_colmap
from recon.colmap_binary import write_binary_model
from recon.errors import ReconError
from recon.scene import Reconstruction
from tests.recon.test_camera_files import small_scene

FOLDERS = (export_colmap, export_colmap_binary, export_transforms)


@pytest.fixture
def scene() -> Reconstruction:
    return small_scene()


@pytest.fixture
def project(tmp_path: Path, scene: Reconstruction) -> Path:
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    for view in scene.views:
        (folder / "images" / view.name).write_bytes(b"picture")
    write_colmap(scene, folder / "cameras")
    write_cameras_json(scene.views, folder / "cameras.json", is_upright=True, unit="m")
    return folder


@pytest.mark.parametrize("export", FOLDERS)
def test_our_reader_finds_the_same_cameras_in_every_export(
    project: Path, scene: Reconstruction, tmp_path: Path, export: Callable[[Path, Path], None]
) -> None:
    export(project, tmp_path / "new" / "export")
    found = read_cameras(tmp_path / "new" / "export")
    assert list(found) == [view.name for view in scene.views]
    for view in scene.views:
        camera = found[view.name].camera
        np.testing.assert_allclose(camera.cam_from_world, view.camera.cam_from_world, atol=1e-12)
        np.testing.assert_allclose(camera.K, view.camera.K, atol=1e-12)
        assert (camera.width, camera.height) == (64, 48)
    assert {path.name for path in (tmp_path / "new" / "export" / "images").iterdir()} == set(found)


def test_colmap_reads_the_binary_model_as_it_reads_the_text(
    project: Path, scene: Reconstruction, tmp_path: Path
) -> None:
    export_colmap_binary(project, tmp_path / "bin")
    text, binary = pycolmap.Reconstruction(project / "cameras"), pycolmap.Reconstruction(tmp_path / "bin/sparse/0")
    assert binary.num_reg_images() == 3
    for image_id in (1, 2, 3):
        a, b = text.image(image_id), binary.image(image_id)
        assert a.name == b.name == scene.views[image_id - 1].name
        np.testing.assert_array_equal(a.cam_from_world().matrix(), b.cam_from_world().matrix())
        np.testing.assert_array_equal(text.camera(a.camera_id).params, binary.camera(b.camera_id).params)
        np.testing.assert_array_equal([p.xy for p in a.points2D], [p.xy for p in b.points2D])
        assert [p.point3D_id for p in a.points2D] == [p.point3D_id for p in b.points2D]
    for point_id, point in text.points3D.items():
        other = binary.points3D[point_id]
        np.testing.assert_array_equal(point.xyz, other.xyz)
        np.testing.assert_array_equal(point.color, other.color)
        assert point.error == other.error
        track, same = (
            [(e.image_id, e.point2D_idx) for e in elements] for elements in (point.track.elements, other.track.elements)
        )
        assert track == same


def test_binary_models_hold_names_with_blanks_and_points_of_nobody(project: Path, tmp_path: Path) -> None:
    path = project / "cameras" / "images.txt"
    lines = path.read_text().split("\n")
    lines[2] = lines[2].replace("photo_0.jpg", "my photo é.jpg")
    lines[3] += " 1.5 2.5 -1"
    path.write_text("\n".join(lines), encoding="utf-8")
    write_binary_model(project / "cameras", tmp_path)
    image = pycolmap.Reconstruction(tmp_path).image(1)
    assert image.name == "my photo é.jpg"
    assert not image.points2D[-1].has_point3D()


def test_known_points_project_where_the_specification_of_transforms_says(
    project: Path, scene: Reconstruction, tmp_path: Path
) -> None:
    """By hand: x right, y up, looking along -z; u = cx + fl_x x / -z, v = cy - fl_y y / -z."""
    export_transforms(project, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    assert document["camera_model"] == "OPENCV"
    for frame, view in zip(document["frames"], scene.views, strict=True):
        assert (tmp_path / "out" / frame["file_path"]).is_file()
        assert [frame[key] for key in ("k1", "k2", "p1", "p2")] == [0, 0, 0, 0]
        matrix = np.array(frame["transform_matrix"])
        expected, depth = view.camera.project(scene.points.xyz)
        for xyz, pixel, z in zip(scene.points.xyz, expected, depth, strict=True):
            right, up, back = (matrix[:3, axis] @ (xyz - matrix[:3, 3]) for axis in range(3))
            assert -back == pytest.approx(z)
            u, v = frame["cx"] + frame["fl_x"] * right / -back, frame["cy"] - frame["fl_y"] * up / -back
            np.testing.assert_allclose([u, v], pixel, atol=1e-9)
    cloud = trimesh.load(tmp_path / "out" / document["ply_file_path"])
    np.testing.assert_allclose(cloud.vertices, scene.points.xyz, atol=1e-6)
    np.testing.assert_array_equal(cloud.visual.vertex_colors[:, :3], scene.points.rgb)


def test_our_own_file_is_copied_with_its_frame(project: Path, tmp_path: Path) -> None:
    export_cameras(project, tmp_path / "deep" / "my.json")
    assert (tmp_path / "deep" / "my.json").read_bytes() == (project / "cameras.json").read_bytes()
    assert json.loads((tmp_path / "deep" / "my.json").read_text())["frame"] == {"up": "+y", "unit": "m"}


@pytest.mark.parametrize("export", FOLDERS)
def test_exports_replace_exports_but_nothing_else(
    project: Path, tmp_path: Path, export: Callable[[Path, Path], None]
) -> None:
    for _ in range(2):
        export(project, tmp_path / "out")
    (tmp_path / "out" / "thesis.txt").write_text("all of it")
    with pytest.raises(ReconError, match="holds something else"):
        export(project, tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").is_file()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("export", [*FOLDERS, export_cameras])
def test_a_project_without_cameras_is_told_of(tmp_path: Path, export: Callable[[Path, Path], None]) -> None:
    with pytest.raises(ReconError, match="no cameras yet"):
        export(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "content"), [("cameras.txt", "1 FISHEYE 4 4 1\n"), ("points3D.txt", "1 2 3\n")])
def test_a_damaged_model_is_told_of_and_leaves_nothing(project: Path, tmp_path: Path, name: str, content: str) -> None:
    (project / "cameras" / name).write_text(content)
    with pytest.raises(ReconError, match="cannot be read"):
        export_colmap_binary(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()
