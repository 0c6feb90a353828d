"""Mesh files: valid, exact, whole or not at all."""

import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from recon.glb import glb_bytes, linear_to_srgb, srgb_to_linear
from recon.mesh_files import read_mesh, write_mesh
from recon.mesh_geometry import vertex_normals
from recon.scene import Mesh, Texture


def icosphere() -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    rgb = np.random.default_rng(0).integers(0, 256, (len(sphere.vertices), 3)).astype(np.uint8)
    return Mesh(sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32), rgb)


def textured() -> Mesh:
    """Every face has its own place in a smooth texture, so that all vertices lie on seams."""
    mesh = icosphere()
    random = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64]
    rgb = np.stack([4 * x, 4 * y, 255 - 2 * x - 2 * y], axis=-1).astype(np.uint8)
    uv = random.random((mesh.faces.size, 2)).astype(np.float32)
    return replace(mesh, texture=Texture(rgb, uv, np.arange(mesh.faces.size, dtype=np.int32).reshape(-1, 3), 1.0))


def texture_of(mesh: Mesh) -> Texture:
    assert mesh.texture is not None
    return mesh.texture


@pytest.mark.parametrize(("suffix", "largest_error"), [(".glb", 6), (".obj", 0)])
def test_a_texture_comes_back_on_a_mesh_without_seams(tmp_path: Path, suffix: str, largest_error: int) -> None:
    mesh, path = textured(), tmp_path / f"with space{suffix}"
    write_mesh(mesh, path)
    back = read_mesh(path)
    assert np.array_equal(back.vertices[back.faces], mesh.vertices[mesh.faces])
    assert len(back.vertices) == len(mesh.vertices)
    old, new = texture_of(mesh), texture_of(back)
    np.testing.assert_allclose(new.uv[new.faces], old.uv[old.faces], atol=1e-6)
    assert np.abs(new.rgb.astype(int) - old.rgb).max() <= largest_error  # GLB holds a JPEG
    vertex = np.zeros((len(back.vertices), 3), int)
    vertex[back.faces] = old.rgb[(old.uv[:, 1] * 64).astype(int), (old.uv[:, 0] * 64).astype(int)][old.faces]
    assert np.abs(back.vertex_rgb - vertex).mean() < 100  # one of the places of each vertex, not nothing


def test_trimesh_finds_the_texture_of_a_glb_the_right_way_up(tmp_path: Path) -> None:
    mesh = textured()
    write_mesh(mesh, tmp_path / "a.glb")
    loaded = trimesh.load(tmp_path / "a.glb", process=False).to_mesh()
    picture, texture = loaded.visual.material.baseColorTexture, texture_of(mesh)
    assert picture.size == (64, 64)
    np.testing.assert_allclose(
        loaded.visual.uv[loaded.faces], (texture.uv * [1, -1] + [0, 1])[texture.faces], atol=1e-6
    )
    material = loaded.visual.material
    assert material.metallicFactor == 0
    assert material.doubleSided


def test_an_obj_keeps_seams_out_of_the_shape_and_lies_beside_its_picture(tmp_path: Path) -> None:
    mesh = textured()
    write_mesh(mesh, tmp_path / "a.obj")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mtl", "a.obj", "a.png"]
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == len(mesh.vertices)
    assert "map_Kd a.png" in (tmp_path / "a.mtl").read_text()


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".3mf"])
def test_formats_without_textures_hold_the_whole_shape(tmp_path: Path, suffix: str) -> None:
    mesh = textured()
    write_mesh(mesh, tmp_path / f"a{suffix}")
    back = read_mesh(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(back.vertices[back.faces], mesh.vertices[mesh.faces], atol=1e-6)
    assert back.texture is None
    if suffix == ".ply":
        assert np.array_equal(back.vertex_rgb[back.faces], mesh.vertex_rgb[mesh.faces])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uv": np.full((960, 2), np.nan, np.float32)}, "not finite"),
        ({"faces": np.full((320, 3), 960, np.int32)}, "does not exist"),
        ({"faces": np.zeros((3, 3), np.int32)}, "320 faces but 3"),
        ({"rgb": np.zeros((4, 4), np.uint8)}, "texture must be"),
    ],
)
def test_textures_that_do_not_fit_are_refused(tmp_path: Path, change: dict, reason: str) -> None:
    mesh = textured()
    with pytest.raises(ValueError, match=reason):
        write_mesh(replace(mesh, texture=replace(texture_of(mesh), **change)), tmp_path / "a.glb")
    assert not list(tmp_path.iterdir())


def test_files_that_promise_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\nproperty float x\nproperty float y\n"
    header += b"property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_bytes(header + b"\0" * 100)
    with zipfile.ZipFile(tmp_path / "a.3mf", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", b" " * 20_000_000)
    (tmp_path / "b.3mf").write_bytes(b"PK\x03\x04 no archive")
    data = glb_bytes(textured())
    (tmp_path / "a.glb").write_bytes(data.replace(b'"count":960', b'"count":9e9', 1))
    (tmp_path / "b.glb").write_bytes(data.replace(b'"count":960', b'"count":-10', 1))
    (tmp_path / "c.glb").write_bytes(data.replace(b"\xff\xd8\xff", b"\0\0\0"))  # no JPEG any more
    (tmp_path / "d.glb").write_bytes(data.replace(b'"max":[', b'"max":{', 1))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=path.name) as caught:
            read_mesh(path)
        assert "\n" not in str(caught.value)


def test_values_that_are_not_finite_are_refused_on_reading(tmp_path: Path) -> None:
    mesh = icosphere()
    whole = trimesh.Trimesh(np.where(mesh.vertices > 0.9, np.nan, mesh.vertices), mesh.faces, process=False)
    (tmp_path / "a.stl").write_bytes(whole.export(file_type="stl"))
    with pytest.raises(ValueError, match="finite"):
        read_mesh(tmp_path / "a.stl")


def test_glb_round_trip_is_exact(tmp_path: Path) -> None:
    mesh = icosphere()
    write_mesh(mesh, tmp_path / "a.glb")
    back = read_mesh(tmp_path / "a.glb")
    for name in ("vertices", "faces", "vertex_rgb"):
        assert np.array_equal(getattr(back, name), getattr(mesh, name)), name
        assert getattr(back, name).dtype == getattr(mesh, name).dtype
    assert [p.name for p in tmp_path.iterdir()] == ["a.glb"]


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_other_formats_keep_the_shape(tmp_path: Path, suffix: str) -> None:
    mesh = icosphere()
    write_mesh(mesh, tmp_path / f"a{suffix}")
    back = read_mesh(tmp_path / f"a{suffix}")
    corners, expected = back.vertices[back.faces], mesh.vertices[mesh.faces]
    np.testing.assert_allclose(corners, expected, atol=1e-6)  # OBJ writes decimals
    if suffix != ".stl":
        colors, expected_colors = back.vertex_rgb[back.faces].astype(int), mesh.vertex_rgb[mesh.faces].astype(int)
        assert np.abs(colors - expected_colors).max() <= 1


def test_trimesh_reads_the_glb_with_outward_faces_and_linear_colours(tmp_path: Path) -> None:
    mesh = icosphere()
    write_mesh(mesh, tmp_path / "a.glb")
    loaded = trimesh.load(tmp_path / "a.glb", process=False).to_mesh()
    assert np.array_equal(loaded.faces, mesh.faces)
    assert loaded.is_watertight
    assert loaded.volume > 0


def test_glb_obeys_the_specification() -> None:
    mesh = icosphere()
    data = glb_bytes(mesh)
    magic, version, total, text_length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    assert text_length % 4 == 0
    assert total % 4 == 0
    tree = json.loads(data[20 : 20 + text_length])
    binary_length, kind = struct.unpack_from("<I4s", data, 20 + text_length)
    assert kind == b"BIN\0"
    assert binary_length == tree["buffers"][0]["byteLength"] == total - 28 - text_length
    views = tree["bufferViews"]
    ends = [view["byteOffset"] + view["byteLength"] for view in views]
    assert [view["byteOffset"] for view in views] == [0, *ends[:-1]]
    assert ends[-1] == binary_length
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    position = tree["accessors"][attributes["POSITION"]]
    assert position["min"] == mesh.vertices.min(axis=0).tolist()
    assert position["max"] == mesh.vertices.max(axis=0).tolist()
    assert tree["accessors"][attributes["COLOR_0"]]["count"] == len(mesh.vertices)


def test_normals_have_unit_length_even_where_faces_cancel_out() -> None:
    mesh = icosphere()
    normals = vertex_normals(mesh.vertices, mesh.faces)
    np.testing.assert_allclose(np.einsum("ij,ij->i", normals, mesh.vertices), 1, atol=1e-3)
    folded = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2], [0, 2, 1]], np.int32), np.zeros((3, 3), np.uint8))
    np.testing.assert_allclose(np.linalg.norm(vertex_normals(folded.vertices, folded.faces), axis=1), 1)


def test_colours_survive_linear_light_and_follow_the_standard() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(linear_to_srgb(srgb_to_linear(codes)), codes)
    # IEC 61966-2-1: the code 188 is half the light, 0.5029.
    assert srgb_to_linear(np.array([0, 188, 255], np.uint8)) == pytest.approx([0, 0.5029, 1], abs=1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"faces": np.zeros((0, 3), np.int32)}, "no faces"),
        ({"faces": np.array([[0, 1, 9999]], np.int32)}, "does not exist"),
        ({"vertex_rgb": np.zeros((3, 3), np.uint8)}, "colours"),
        ({"vertices": np.full((162, 3), np.nan, np.float32)}, "finite"),
    ],
)
def test_meshes_that_are_none_are_refused_and_leave_no_file(tmp_path: Path, change: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        write_mesh(replace(icosphere(), **change), tmp_path / "a.glb")
    assert not list(tmp_path.iterdir())


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="glb"):
        write_mesh(icosphere(), tmp_path / "a.fbx")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    data = glb_bytes(icosphere())
    for name, content in {"cut": data[:-10], "empty": b"", "text": b"hello there, this is no GLB" * 3}.items():
        (tmp_path / f"{name}.glb").write_bytes(content)
        with pytest.raises(ValueError, match=r"binary glTF|damaged"):
            read_mesh(tmp_path / f"{name}.glb")
    (tmp_path / "a.ply").write_bytes(b"\x00\x01nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        read_mesh(tmp_path / "a.ply")
    with pytest.raises(FileNotFoundError):
        read_mesh(tmp_path / "absent.ply")
