"""Mesh files: GLB, PLY, OBJ and STL, written whole or not at all."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from recon.scene import Mesh
from recon.whole_files import write_whole

FORMATS = (".glb", ".ply", ".obj", ".stl")
_FLOAT, _UINT = 5126, 5125  # glTF component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Write a mesh in the format that the file name ends with; STL holds no colours.

    The world frame (+Y up, right-handed) is that of glTF, so positions stay as they are.

    Raises:
        ValueError: no such format, or the mesh has no faces, indices out of range or values that are not finite.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"mesh files end in {', '.join(FORMATS)}, got {path.name}")
    _check(mesh)
    if suffix == ".glb":
        data: Any = glb_bytes(mesh)
    else:
        colored = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.vertex_rgb, process=False)
        data = colored.export(file_type=suffix[1:])
    write_whole(path, data)


def read_mesh(path: Path) -> Mesh:
    """Read a mesh: GLB as `write_mesh` writes it, exactly; PLY, OBJ and STL through trimesh, grey where colourless.

    Raises:
        ValueError: the file is damaged, holds no triangles, or is a GLB of another layout.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".glb":
        return _parse_glb(path.read_bytes(), str(path))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        loaded = trimesh.load(path, process=False)
    except Exception as error:  # trimesh raises whatever its parsers meet in a damaged file
        raise ValueError(f"{path}: cannot be read as a mesh: {error}") from error
    if not isinstance(loaded, trimesh.Trimesh) or len(loaded.faces) == 0:
        raise ValueError(f"{path}: holds no triangles")
    rgb = np.full((len(loaded.vertices), 3), 128, np.uint8)
    if isinstance(loaded.visual, trimesh.visual.ColorVisuals) and loaded.visual.kind == "vertex":
        rgb = np.asarray(loaded.visual.vertex_colors)[:, :3].astype(np.uint8)
    return Mesh(loaded.vertices.astype(np.float32), loaded.faces.astype(np.int32), rgb)


def vertex_normals(mesh: Mesh) -> NDArray[np.float32]:
    """Unit normals [V, 3], faces weighted by area; +Y where they cancel out, because glTF wants unit length."""
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack(
        [
            np.bincount(mesh.faces.ravel(), np.repeat(face_normals[:, axis], 3), minlength=len(mesh.vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), [0.0, 1.0, 0.0]).astype(np.float32)


def srgb_to_linear(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light in [0, 1] of sRGB-coded bytes; IEC 61966-2-1."""
    coded = rgb / 255.0
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Inverse of `srgb_to_linear`, rounded."""
    light = np.clip(linear, 0, 1).astype(np.float64)
    coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)


def glb_bytes(mesh: Mesh) -> bytes:
    """A binary glTF 2.0 file with normals and vertex colours.

    glTF wants colours in linear light. They are float32, since 8 linear bits show bands in the dark and trimesh
    misreads 16; trimesh, unlike viewers, does not code them back to sRGB on loading. The light is already in the
    photos, so the material is unlit where a viewer knows that extension, and matt where not; seen from both sides,
    because open surfaces have two.
    """
    buffers = [
        mesh.vertices.astype("<f4").tobytes(),
        vertex_normals(mesh).astype("<f4").tobytes(),
        srgb_to_linear(mesh.vertex_rgb).astype("<f4").tobytes(),
        mesh.faces.astype("<u4").tobytes(),
    ]
    offsets = np.cumsum([0, *map(len, buffers)])
    targets = [_VERTEX_BUFFER] * 3 + [_INDEX_BUFFER]
    num_vertices = len(mesh.vertices)
    bounds = {"min": mesh.vertices.min(axis=0).tolist(), "max": mesh.vertices.max(axis=0).tolist()}
    vectors = [{"bufferView": i, "componentType": _FLOAT, "count": num_vertices, "type": "VEC3"} for i in range(3)]
    indices = {"bufferView": 3, "componentType": _UINT, "count": mesh.faces.size, "type": "SCALAR"}
    matt = {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 1}
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}, "indices": 3, "material": 0}
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Handful"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "scene"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": matt, "doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}],
        "accessors": [{**vectors[0], **bounds}, vectors[1], vectors[2], indices],
        "bufferViews": [
            {"buffer": 0, "byteOffset": int(offset), "byteLength": len(data), "target": target}
            for offset, data, target in zip(offsets, buffers, targets, strict=False)
        ],
        "buffers": [{"byteLength": int(offsets[-1])}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    binary = b"".join(buffers)  # every part is a multiple of four bytes
    total = 12 + 8 + len(text) + 8 + len(binary)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, total) + chunks


def _parse_glb(data: bytes, name: str) -> Mesh:
    """The mesh in a file made by `glb_bytes`."""
    try:
        magic, version, total, text_length, kind = struct.unpack_from("<4sIII4s", data)
        if (magic, version, kind) != (b"glTF", 2, b"JSON") or total != len(data):
            raise ValueError(f"{name}: is no GLB file, or is cut off")
        tree = json.loads(data[20 : 20 + text_length])
        start = 20 + text_length + 8

        def column(accessor: dict[str, Any], dtype: str, width: int) -> NDArray[Any]:
            view = tree["bufferViews"][accessor["bufferView"]]
            values = np.frombuffer(data, dtype, accessor["count"] * width, start + view["byteOffset"])
            return values.reshape(-1, 3)

        accessors = tree["accessors"]
        layout = [(accessor["componentType"], accessor["type"]) for accessor in accessors]
        if layout != [(_FLOAT, "VEC3")] * 3 + [(_UINT, "SCALAR")]:
            raise ValueError(f"{name}: is a GLB of another layout than ours")
        vertices, _, linear = (column(accessor, "<f4", 3) for accessor in accessors[:3])
        faces = column(accessors[3], "<u4", 1)
        mesh = Mesh(vertices.astype(np.float32), faces.astype(np.int32), linear_to_srgb(linear))
    except (KeyError, IndexError, TypeError, struct.error, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is a damaged GLB file, or one of another layout than ours") from error
    _check(mesh)
    return mesh


def _check(mesh: Mesh) -> None:
    for values, what in ((mesh.vertices, "vertices"), (mesh.faces, "faces"), (mesh.vertex_rgb, "vertex_rgb")):
        if values.ndim != 2 or values.shape[1] != 3:
            raise ValueError(f"{what} must be [N, 3], got {values.shape}")
    if len(mesh.vertex_rgb) != len(mesh.vertices):
        raise ValueError(f"{len(mesh.vertices)} vertices but {len(mesh.vertex_rgb)} colours")
    if len(mesh.faces) == 0:
        raise ValueError("the mesh has no faces")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise ValueError("a face names a vertex that does not exist")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("a vertex is not finite")
