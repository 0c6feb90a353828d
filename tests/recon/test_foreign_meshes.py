"""Meshes of other programs: read as they were meant, or refused in a sentence."""

import io
import json
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from recon.glb import linear_to_srgb
from recon.mesh_files import read_mesh, write_mesh
from recon.scene import Mesh

MAX_BYTES = 100 << 20
RED, GREEN, BLUE, GOLD = (250, 0, 0), (0, 250, 0), (0, 0, 250), (200, 150, 10)


def quarters() -> Image.Image:
    """Red and green above, blue and gold below."""
    corners = np.array([[RED, GREEN], [BLUE, GOLD]], np.uint8)
    return Image.fromarray(corners.repeat(32, axis=0).repeat(32, axis=1))


def png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def glb(tree: dict[str, Any], *arrays: Any) -> bytes:
    """A file with a buffer view, and for arrays an accessor, for each of what it is to hold."""
    kinds = {"f4": 5126, "u1": 5121, "u2": 5123, "i2": 5122}
    parts = [data if isinstance(data, bytes) else data.tobytes() for data in arrays]
    parts = [part + b"\0" * (-len(part) % 4) for part in parts]
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    tree["bufferViews"] = [
        {"buffer": 0, "byteOffset": start, "byteLength": len(part)} for start, part in zip(starts, parts, strict=False)
    ]
    tree["accessors"] = [
        {
            "bufferView": i,
            "componentType": kinds[data.dtype.str[1:]],
            "normalized": data.dtype.kind != "f",
            "count": len(data),
            "type": "SCALAR" if data.ndim == 1 else f"VEC{data.shape[1]}",
        }
        for i, data in enumerate(array for array in arrays if not isinstance(array, bytes))
    ]
    tree |= {"asset": {"version": "2.0"}, "scene": 0, "buffers": [{"byteLength": starts[-1]}]}
    text, binary = json.dumps(tree).encode(), b"".join(parts)
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
PLACES = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32)  # of the corners, in a picture: y down
ROWS = np.array([0, 1, 2, 2, 1, 3], np.uint16)


def square(**changes: Any) -> dict[str, Any]:
    """The description of a square with the picture in view 3."""
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    tree: dict[str, Any] = {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
    }
    return tree | changes


def colors_at(mesh: Mesh, points: list[tuple[float, float]]) -> list[tuple[int, ...]]:
    """What the texture shows at x, y of points on the mesh, seen from +z."""
    assert mesh.texture is not None
    texture, found = mesh.texture, []
    height, width = texture.rgb.shape[:2]
    for point in points:
        for face, rows in zip(mesh.faces, texture.faces, strict=True):
            a, b, c = mesh.vertices[face, :2].astype(float)
            s, t = np.linalg.solve(np.stack([b - a, c - a], axis=1), np.array(point) - a)
            if s >= 0 and t >= 0 and s + t <= 1:
                u, v = texture.uv[rows[0]] * (1 - s - t) + texture.uv[rows[1]] * s + texture.uv[rows[2]] * t
                found.append(tuple(int(x) for x in texture.rgb[int(v * height), int(u * width)]))
                break
    return found


QUARTERS = [(0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25)]


def read_tree(folder: Path, tree: dict[str, Any], *arrays: Any) -> Mesh:
    (folder / "a.glb").write_bytes(glb(tree, *arrays))
    return read_mesh(folder / "a.glb")


def test_an_embedded_picture_lies_on_the_square_the_right_way_up(tmp_path: Path) -> None:
    mesh = read_tree(tmp_path, square(), CORNERS, PLACES, ROWS, png(quarters()))
    assert colors_at(mesh, QUARTERS) == [RED, GREEN, BLUE, GOLD]
    assert np.array_equal(mesh.vertices, CORNERS)


def test_a_picture_that_repeats_is_repeated_and_one_that_is_clamped_is_not(tmp_path: Path) -> None:
    arrays = (CORNERS, 2 * PLACES, ROWS, png(quarters()))
    points = [(x / 2 + dx, y / 2 + dy) for dx in (0, 0.5) for dy in (0, 0.5) for x, y in QUARTERS]
    assert colors_at(read_tree(tmp_path, square(), *arrays), points) == [RED, GREEN, BLUE, GOLD] * 4
    clamped = square(samplers=[{"wrapS": 33071, "wrapT": 33071}], textures=[{"source": 0, "sampler": 0}])
    assert len(set(colors_at(read_tree(tmp_path, clamped, *arrays), [(0.6, 0.2), (0.9, 0.4), (0.99, 0.01)]))) == 1
    mirrored = square(samplers=[{"wrapS": 33648, "wrapT": 10497}], textures=[{"source": 0, "sampler": 0}])
    row = [(x, 0.9) for x in (0.1, 0.4, 0.6, 0.9)]
    assert colors_at(read_tree(tmp_path, mirrored, *arrays), row) == [RED, GREEN, GREEN, RED]


def test_a_transform_of_the_texture_is_applied(tmp_path: Path) -> None:
    tree = square()
    # A quarter turn moves u to -v and v to u, in the y-down picture: what was below left comes to lie above left.
    moved = {"KHR_texture_transform": {"rotation": np.pi / 2, "offset": [0, 1], "scale": [1, 1]}}
    tree["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["extensions"] = moved
    mesh = read_tree(tmp_path, tree, CORNERS, PLACES, ROWS, png(quarters()))
    assert colors_at(mesh, QUARTERS) == [BLUE, RED, GOLD, GREEN]


def test_colours_of_vertices_are_linear_and_times_that_of_the_material(tmp_path: Path) -> None:
    primitive = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}
    linear = np.array([[65535, 0, 0, 65535], [0, 65535, 0, 0], [0, 0, 65535, 9], [32768, 32768, 32768, 9]], np.uint16)
    tree = square(meshes=[{"primitives": [primitive]}])
    tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 1, 1, 1]}}]
    mesh = read_tree(tmp_path, tree, CORNERS, linear, ROWS)
    assert mesh.texture is None
    half, quarter = (int(linear_to_srgb(np.array(light))) for light in (0.5, 0.25))
    assert mesh.vertex_rgb.tolist() == [[half, 0, 0], [0, 255, 0], [0, 0, 255], [quarter, half, half]]


@pytest.mark.parametrize(("mode", "rows"), [(5, [0, 1, 2, 3]), (6, [0, 1, 3, 2]), (5, [0, 1, 2, 2, 2, 1, 3])])
def test_strips_and_fans_are_faces_seen_from_the_same_side(tmp_path: Path, mode: int, rows: list[int]) -> None:
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}
    mesh = read_tree(tmp_path, square(meshes=[{"primitives": [primitive]}]), CORNERS, np.array(rows, np.uint16))
    a, b, c = mesh.vertices[mesh.faces].swapaxes(0, 1)
    assert np.allclose(np.cross(b - a, c - a), [0, 0, 1])
    assert len(mesh.faces) == 2


def scene() -> trimesh.Scene:
    """Two balls with pictures, one of them mirrored, and one with colours of its vertices."""
    made = trimesh.Scene()
    for k, picture in enumerate((quarters(), Image.new("RGB", (16, 8), GOLD), None)):
        ball = trimesh.creation.icosphere(subdivisions=2)
        if picture is None:
            ball.visual.vertex_colors = np.tile((*BLUE, 255), (len(ball.vertices), 1))
        else:
            uv = ball.vertices[:, :2] / 2 + 0.5
            ball.visual = TextureVisuals(uv=uv, material=PBRMaterial(baseColorTexture=picture))
        placed = trimesh.transformations.rotation_matrix(0.3, [1, 2, 3])
        placed[:3, :3] *= (2, -2, 2)[k]
        placed[:3, 3] = 5 * k
        made.add_geometry(ball, transform=placed)
    return made


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_scene_of_several_nodes_is_one_mesh_with_all_pictures(tmp_path: Path, suffix: str) -> None:
    expected = scene()
    if suffix == ".obj":  # trimesh writes the colours of vertices, but as of the material before
        expected.delete_geometry("geometry_2")
    expected.export(tmp_path / f"a{suffix}")
    mesh = read_mesh(tmp_path / f"a{suffix}")
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert whole.is_watertight
    assert [piece.volume for piece in whole.split()] == pytest.approx([4.047 * 8] * len(expected.geometry), rel=1e-3)
    assert whole.bounds == pytest.approx(expected.bounds, abs=1e-5)
    assert mesh.texture is not None
    middles = mesh.texture.uv[mesh.texture.faces].mean(axis=1) * mesh.texture.rgb.shape[1::-1]
    shown = mesh.texture.rgb[middles[:, 1].astype(int), middles[:, 0].astype(int)].astype(int)
    ball = (mesh.vertices[mesh.faces].mean(axis=(1, 2)) / 5).round().astype(int)
    assert np.abs(shown[ball == 1] - GOLD).max() <= 6
    if suffix == ".glb":
        assert np.abs(shown[ball == 2] - linear_to_srgb(np.array(BLUE) / 255)).max() <= 1
    colors, counts = np.unique(shown[ball == 0], axis=0, return_counts=True)
    assert set(map(tuple, colors.tolist())) == {RED, GREEN, BLUE, GOLD}
    assert counts.min() > 50


def test_ascii_and_binary_ply_keep_colours_and_cut_polygons(tmp_path: Path) -> None:
    header = (
        "ply\nformat {} 1.0\ncomment made elsewhere\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    order = (0, 1, 3, 2)
    lines = [" ".join(map(str, (*CORNERS[i], *(RED, GREEN, BLUE, GOLD)[i]))) for i in range(4)]
    (tmp_path / "text.ply").write_text("\n".join([header.format("ascii") + lines[0], *lines[1:], "4 0 1 3 2\n"]))
    data = b"".join(struct.pack("<3f3B", *CORNERS[i], *(RED, GREEN, BLUE, GOLD)[i]) for i in range(4))
    binary = header.format("binary_little_endian").encode() + data + struct.pack("<B4i", 4, *order)
    (tmp_path / "binary.ply").write_bytes(binary)
    for name in ("text.ply", "binary.ply"):
        mesh = read_mesh(tmp_path / name)
        assert trimesh.Trimesh(mesh.vertices, mesh.faces).area == pytest.approx(1)
        assert mesh.vertex_rgb.tolist() == [list(color) for color in (RED, GREEN, BLUE, GOLD)]


def test_an_obj_takes_pictures_from_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.png").write_bytes(png(quarters()))
    (tmp_path / "in" / "inside.png").write_bytes(png(quarters()))
    lines = [f"v {x} {y} {z}" for x, y, z in CORNERS] + [f"vt {u} {1 - v}" for u, v in PLACES]
    lines += ["usemtl m", "f 1/1 2/2 3/3", "f 3/3 2/2 4/4", "mtllib a.mtl"]
    for name, is_found in (("inside.png", True), ("C:\\pictures\\inside.png", True), ("../out.png", False)):
        (tmp_path / "in" / "a.obj").write_text("\n".join(["mtllib a.mtl", *lines]))
        (tmp_path / "in" / "a.mtl").write_text(f"newmtl m\nKd 1 1 1\nmap_Kd {name}\n")
        mesh = read_mesh(tmp_path / "in" / "a.obj")
        assert (mesh.texture is not None) == is_found, name
        if is_found:
            assert colors_at(mesh, QUARTERS) == [RED, GREEN, BLUE, GOLD]


def test_stl_of_text_and_bytes_and_3mf_with_placed_parts_hold_their_shape(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    (tmp_path / "a.stl").write_text(ball.export(file_type="stl_ascii"))
    (tmp_path / "b.stl").write_bytes(ball.export(file_type="stl"))
    for name in ("a.stl", "b.stl"):
        mesh = read_mesh(tmp_path / name)
        assert len(mesh.vertices) == len(ball.vertices)
        assert trimesh.Trimesh(mesh.vertices, mesh.faces).volume == pytest.approx(ball.volume, rel=1e-5)
    scene().export(tmp_path / "a.3mf")
    mesh = read_mesh(tmp_path / "a.3mf")
    assert trimesh.Trimesh(mesh.vertices, mesh.faces).bounds == pytest.approx(scene().bounds, abs=1e-5)


def model(objects: str, build: str) -> str:
    head = '<model xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"><resources>'
    return f"{head}{objects}</resources><build>{build}</build></model>"


def three_mf(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", text)


def hostile_files(folder: Path) -> None:
    """Small files that ask for very much, or for what is none of theirs."""
    twenty = "".join('<component objectid="{}"/>' for _ in range(20))
    corners = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in CORNERS)
    shape = f"<mesh><vertices>{corners}</vertices><triangles><triangle v1='0' v2='1' v3='2'/></triangles></mesh>"
    doubling = f'<object id="0">{shape}</object>' + "".join(
        f'<object id="{i + 1}"><components>{twenty.replace("{}", str(i))}</components></object>' for i in range(10)
    )
    three_mf(folder / "bomb.3mf", model(doubling, '<item objectid="10"/>'))
    loop = '<object id="1"><components><component objectid="1"/></components></object>'
    three_mf(folder / "loop.3mf", model(loop, '<item objectid="1"/>'))
    laughs = '<!DOCTYPE m [<!ENTITY a "0000000000"><!ENTITY b "' + "&a;" * 1000 + '">]>'
    three_mf(folder / "laughs.3mf", laughs + model(f'<object id="1" name="{"&b;" * 1000}">{shape}</object>', ""))
    nodes = [{"mesh": 0} for _ in range(50_000)]
    many = square(nodes=nodes, scenes=[{"nodes": list(range(len(nodes)))}], meshes=square()["meshes"] * 1)
    del many["meshes"][0]["primitives"][0]["material"]
    places = np.zeros((4000, 3), np.float32)
    (folder / "many.glb").write_bytes(glb(many, places, PLACES, np.zeros(60_000, np.uint16)))
    (folder / "loop.glb").write_bytes(glb(square(nodes=[{"children": [0]}]), CORNERS, PLACES, ROWS, b""))
    large = png(Image.new("1", (30_000, 30_000)))
    (folder / "picture.glb").write_bytes(glb(square(), CORNERS, PLACES, ROWS, large))
    (folder / "postscript.glb").write_bytes(glb(square(), CORNERS, PLACES, ROWS, b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9))
    outside = square(images=[{"uri": "../../../../etc/passwd"}])
    (folder / "outside.glb").write_bytes(glb(outside, CORNERS, PLACES, ROWS))
    draco = square(extensionsRequired=["KHR_draco_mesh_compression"])
    (folder / "draco.glb").write_bytes(glb(draco, CORNERS, PLACES, ROWS))
    far = np.full_like(PLACES, 1e30)
    (folder / "far.glb").write_bytes(glb(square(), CORNERS, far, ROWS, png(quarters())))
    (folder / "count.stl").write_bytes(b"\0" * 80 + struct.pack("<I", 0xFFFFFFFF) + b"\0" * 500)
    (folder / "far.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99999999999999999999\n")
    (folder / "nan.obj").write_text("v nan 0 0\nv 1 0 inf\nv 0 1 0\nf 1 2 3\n")
    (folder / "points.ply").write_text("ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n")
    lists = "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    lists += "property float z\nelement face 2000000000\nproperty list uint uint vertex_indices\nend_header\n"
    (folder / "lists.ply").write_bytes(lists.encode() + b"\0" * 36 + b"\xff" * 40)


def test_files_that_ask_for_too_much_are_refused_in_a_sentence_and_take_no_memory(tmp_path: Path) -> None:
    hostile_files(tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 15
    for path in paths:
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=path.name) as caught:
                read_mesh(path)
            assert tracemalloc.get_traced_memory()[1] < MAX_BYTES, path.name
        finally:
            tracemalloc.stop()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl", ".3mf"])
def test_damaged_meshes_are_read_or_refused_but_nothing_else(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"a{suffix}"
    scene().export(source) if suffix == ".glb" else write_mesh(read_box(tmp_path), source)
    data, chance, path = source.read_bytes(), random.Random(0), tmp_path / f"b{suffix}"
    tracemalloc.start()
    try:
        for trial in range(60):
            damaged = bytearray(data[: chance.randrange(len(data))] if trial % 3 == 0 else data)
            for _ in range(chance.choice((0, 1, 3)) if damaged else 0):
                place = chance.randrange(chance.choice((len(damaged), min(300, len(damaged)))))
                damaged[place] = chance.choice((0, 255, 45, 57, chance.randrange(256)))
            path.write_bytes(bytes(damaged))
            refusal = ""
            try:
                read_mesh(path)
            except (ValueError, OSError) as error:
                refusal = str(error)
            assert "\n" not in refusal
            assert len(refusal) < 400
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()


def read_box(folder: Path) -> Mesh:
    trimesh.creation.box().export(folder / "box.glb")
    return read_mesh(folder / "box.glb")
