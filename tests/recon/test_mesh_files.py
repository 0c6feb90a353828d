"""Mesh files: valid, exact, whole or not at all."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from recon.mesh_files import glb_bytes, linear_to_srgb, read_mesh, srgb_to_linear, vertex_normals, write_mesh
from recon.scene import Mesh


def icosphere() -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    rgb = np.random.default_rng(0).integers(0, 256, (len(sphere.vertices), 3)).astype(np.uint8)
    return Mesh(sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32), rgb)


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
    normals = vertex_normals(mesh)
    np.testing.assert_allclose(np.einsum("ij,ij->i", normals, mesh.vertices), 1, atol=1e-3)
    folded = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2], [0, 2, 1]], np.int32), np.zeros((3, 3), np.uint8))
    np.testing.assert_allclose(np.linalg.norm(vertex_normals(folded), axis=1), 1)


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
        with pytest.raises(ValueError, match="GLB"):
            read_mesh(tmp_path / f"{name}.glb")
    (tmp_path / "a.ply").write_bytes(b"\x00\x01nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        read_mesh(tmp_path / "a.ply")
    with pytest.raises(FileNotFoundError):
        read_mesh(tmp_path / "absent.ply")


def test_a_foreign_glb_is_refused_not_misread(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(trimesh.creation.box().export(file_type="glb"))
    with pytest.raises(ValueError, match="layout"):
        read_mesh(tmp_path / "a.glb")
