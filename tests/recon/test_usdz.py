"""USDZ files: aligned as the format demands, and read by the library of the format where it is installed."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recon.glb import srgb_to_linear
from recon.mesh_files import write_mesh
from recon.scene import Mesh, Texture


def tetrahedron() -> Mesh:
    """Each face with a place of its own in a picture of four colours, so that all vertices lie on seams."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1 / 3]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    rgb = np.array([[255, 0, 0], [0, 188, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
    uv = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    picture = rgb.reshape(2, 2, 3).repeat(16, axis=0).repeat(16, axis=1)
    return Mesh(vertices, faces, rgb, Texture(picture, uv, np.arange(12, dtype=np.int32).reshape(4, 3)))


def test_nothing_is_compressed_and_everything_starts_at_a_multiple_of_64_bytes(tmp_path: Path) -> None:
    write_mesh(tetrahedron(), tmp_path / "a.usdz")
    write_mesh(tetrahedron(), tmp_path / "b.usdz")
    data = (tmp_path / "a.usdz").read_bytes()
    assert data == (tmp_path / "b.usdz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.usdz") as archive:
        assert archive.namelist() == ["scene.usda", "photos.jpg"]
        for entry in archive.infolist():
            content = archive.read(entry)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert data.index(content, entry.header_offset) % 64 == 0
        with Image.open(archive.open("photos.jpg")) as picture:
            assert picture.size == (32, 32)


@pytest.fixture
def usd() -> Any:
    return pytest.importorskip("pxr", reason="needs usd-core, in an environment of its own")


def test_the_library_of_the_format_reads_the_shape_the_places_and_the_frame(tmp_path: Path, usd: Any) -> None:
    from pxr import Usd, UsdGeom, UsdShade

    mesh = tetrahedron()
    write_mesh(mesh, tmp_path / "a.usdz")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdz"))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    corners = np.array(shape.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    assert np.array_equal(np.array(shape.GetPointsAttr().Get())[corners], mesh.vertices[mesh.faces])
    places = np.array(UsdGeom.PrimvarsAPI(shape).GetPrimvar("st").Get())[corners]
    assert mesh.texture is not None
    assert np.allclose(places * [1, -1] + [0, 1], mesh.texture.uv[mesh.texture.faces], atol=1e-6)
    material = UsdShade.MaterialBindingAPI(shape).ComputeBoundMaterial()[0]
    surface = material.ComputeSurfaceSource()[0]
    source = surface.GetInput("diffuseColor").GetConnectedSources()[0][0].source
    picture = UsdShade.Shader(source.GetPrim()).GetInput("file").Get()
    assert picture.resolvedPath.endswith("a.usdz[photos.jpg]")


def test_without_a_texture_it_holds_linear_colours_of_the_vertices(tmp_path: Path, usd: Any) -> None:
    from pxr import Usd, UsdGeom

    mesh = replace(tetrahedron(), texture=None)
    write_mesh(mesh, tmp_path / "a.usdz")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdz"))
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    colors = np.array(UsdGeom.PrimvarsAPI(shape).GetPrimvar("displayColor").Get())
    assert np.array_equal(colors, srgb_to_linear(mesh.vertex_rgb))


def test_the_validators_of_the_format_find_no_fault(tmp_path: Path, usd: Any) -> None:
    from pxr import Usd, UsdValidation

    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    for name, mesh in {"a.usdz": tetrahedron(), "b.usdz": replace(tetrahedron(), texture=None)}.items():
        write_mesh(mesh, tmp_path / name)
        stage = Usd.Stage.Open(str(tmp_path / name))
        assert [error.GetMessage() for error in context.Validate(stage)] == []
