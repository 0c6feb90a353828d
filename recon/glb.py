"""Meshes as binary glTF 2.0; `recon.glb_reader` reads them.

By hand rather than through trimesh, which cannot write KHR_materials_unlit, puts colours into 8 bits without making
them linear, and knows no samplers of textures.
"""

import io
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recon.mesh_geometry import vertex_normals
from recon.scene import Mesh

_FLOAT, _UINT = 5126, 5125  # glTF component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963
_SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}  # linear, mipmaps, clamped
_JPEG_QUALITY = 95


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
    """A file with normals and a texture or, without one, vertex colours.

    glTF wants vertex colours in linear light. They are float32, since 8 linear bits show bands in the dark and trimesh
    misreads 16; trimesh, unlike viewers, does not code them back to sRGB on loading. A texture stays sRGB-coded; it is
    a JPEG, and vertices on its seams are repeated. The light is already in the photos, so the material is unlit where a
    viewer knows that extension, and matt where not; seen from both sides, because open surfaces have two.
    """
    normals = vertex_normals(mesh.vertices, mesh.faces)
    if mesh.texture is None:
        columns = {"POSITION": mesh.vertices, "NORMAL": normals, "COLOR_0": srgb_to_linear(mesh.vertex_rgb)}
        return _container(columns, mesh.faces, None)
    texture = mesh.texture
    vertex = np.zeros(len(texture.uv), np.int32)
    vertex[texture.faces] = mesh.faces
    columns = {"POSITION": mesh.vertices[vertex], "NORMAL": normals[vertex], "TEXCOORD_0": texture.uv}
    picture = io.BytesIO()
    Image.fromarray(texture.rgb).save(picture, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return _container(columns, texture.faces, picture.getvalue())


def _container(columns: dict[str, NDArray[Any]], faces: NDArray[np.int32], jpeg: bytes | None) -> bytes:
    """The two chunks of a GLB file."""
    parts = [np.ascontiguousarray(values, "<f4").tobytes() for values in columns.values()]
    parts.append(np.ascontiguousarray(faces, "<u4").tobytes())
    positions = columns["POSITION"]
    accessors: list[dict[str, Any]] = [
        {"bufferView": i, "componentType": _FLOAT, "count": len(values), "type": f"VEC{values.shape[1]}"}
        for i, values in enumerate(columns.values())
    ]
    accessors[0] |= {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    accessors.append({"bufferView": len(columns), "componentType": _UINT, "count": faces.size, "type": "SCALAR"})
    views: list[dict[str, Any]] = [{"target": _VERTEX_BUFFER} for _ in columns] + [{"target": _INDEX_BUFFER}]
    matt: dict[str, Any] = {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 1}
    attributes = {name: index for index, name in enumerate(columns)}
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Handful"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "scene"}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": len(columns), "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": matt, "doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}],
        "accessors": accessors,
    }
    if jpeg is not None:
        matt["baseColorTexture"] = {"index": 0}
        tree["textures"] = [{"sampler": 0, "source": 0}]
        tree["samplers"] = [_SAMPLER]
        tree["images"] = [{"bufferView": len(views), "mimeType": "image/jpeg"}]
        views.append({})
        parts.append(jpeg)
    padded = [part + b"\0" * (-len(part) % 4) for part in parts]
    offsets = np.cumsum([0, *map(len, padded)])
    tree["bufferViews"] = [
        {"buffer": 0, "byteOffset": int(offset), "byteLength": len(part), **view}
        for view, part, offset in zip(views, parts, offsets, strict=False)
    ]
    tree["buffers"] = [{"byteLength": int(offsets[-1])}]
    text = json.dumps(tree, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    binary = b"".join(padded)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
