"""Meshes of binary glTF 2.0 files, of any program: placed by their nodes, with their colours and pictures.

Read: triangles, strips and fans; vertex colours; base colours and their pictures, also of KHR_materials_unlit and of
the old KHR_materials_pbrSpecularGlossiness; KHR_texture_transform; quantised numbers. Left out: all other properties of
materials, vertex colours on top of a picture, animations, skins and morphs. Compressed geometry is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon.glb import linear_to_srgb, srgb_to_linear
from recon.mesh_parts import MeshPart
from recon.mesh_pictures import picture_of
from splatting.formats.gltf_file import GltfFile, read_gltf

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_CLAMP, _MIRROR = 33071, 33648
_GREY = 128
_READ_EXTENSIONS = {
    "KHR_materials_unlit",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_texture_transform",
    "KHR_mesh_quantization",
    "EXT_texture_webp",
}
# One mesh may hang from many nodes: beyond a row for each byte of the file, and these, it is taken for a bomb.
_FREE_ROWS = 1_000_000
_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Material:
    """What a material says of colour.

    Attributes:
        color: [3] linear light, times which everything is; None where it says nothing.
        picture: [H, W, 3] uint8, with the colour in it; None if there is none.
        attribute: the places in the picture.
        uv_from_attribute: [2, 3], applied to them.
        is_clamped: whether the picture ends at its edge, for x and y.
    """

    color: _Floats | None = None
    picture: NDArray[np.uint8] | None = None
    attribute: str = ""
    uv_from_attribute: _Floats | None = None
    is_clamped: tuple[bool, bool] = (False, False)


def read_glb(path: Path) -> list[MeshPart]:
    """The triangles of a file's scene, in glTF's frame, which is ours: +Y up.

    Raises:
        ValueError: it is no GLB file, damaged, holds no triangles or needs something that is not read.
        OSError: it cannot be read.
    """
    file = read_gltf(path)
    _check_extensions(file)
    materials: dict[object, _Material] = {}
    parts, rows_left = [], _FREE_ROWS + path.stat().st_size
    for primitive, world_from_node in file.primitives():
        if primitive.get("mode", _TRIANGLES) not in (_TRIANGLES, _STRIP, _FAN):
            continue
        rows_left -= _promised_rows(file, primitive)
        if rows_left < 0:
            raise ValueError(f"{path}: it promises more triangles than a file of its size holds")
        key = primitive.get("material")
        if not isinstance(key, int | None):
            raise ValueError(f"{path}: a material is none")
        if key not in materials:
            materials[key] = _Material() if key is None else _material(file, file.item("materials", key))
        parts.append(_part(file, primitive, world_from_node, materials[key]))
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        raise ValueError(f"{path}: holds no triangles")
    return parts


def _check_extensions(file: GltfFile) -> None:
    required = file.description.get("extensionsRequired", [])
    missing = [str(name) for name in required if name not in _READ_EXTENSIONS] if isinstance(required, list) else []
    if missing:
        raise ValueError(f"{file.path}: it needs the glTF extension {missing[0][:60]}, which is not read")


def _promised_rows(file: GltfFile, primitive: dict[str, Any]) -> int:
    rows = file.count(_dict(primitive, "attributes", file).get("POSITION"))
    return rows + (file.count(primitive["indices"]) if "indices" in primitive else 0)


def _part(
    file: GltfFile, primitive: dict[str, Any], world_from_node: NDArray[np.float64], material: _Material
) -> MeshPart:
    attributes = _dict(primitive, "attributes", file)
    local = file.accessor(attributes.get("POSITION"), 3, allow_integers=True)
    placed = local if np.array_equal(world_from_node, np.eye(4)) else _placed(local, world_from_node)
    faces = _faces(file, primitive, len(local))
    if np.linalg.det(world_from_node[:3, :3]) < 0:  # mirrored: what was outside would be inside
        faces = faces[:, ::-1]
    part = MeshPart(placed, np.ascontiguousarray(faces, np.int32), _vertex_rgb(file, attributes, material, len(local)))
    if material.picture is None or material.attribute not in attributes:
        return part
    uv = file.accessor(attributes[material.attribute], 2, allow_integers=True)
    if len(uv) != len(local) or not np.isfinite(uv).all():
        raise ValueError(f"{file.path}: places in a texture are missing or not finite")
    if material.uv_from_attribute is not None:
        uv = uv @ material.uv_from_attribute[:, :2].T + material.uv_from_attribute[:, 2]
    for axis, is_clamped in enumerate(material.is_clamped):
        uv[:, axis] = uv[:, axis].clip(0, 1) if is_clamped else uv[:, axis]
    return replace(part, uv=uv, picture=material.picture)


def _placed(local: _Floats, world_from_node: NDArray[np.float64]) -> _Floats:
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later, for every format
        return (local @ world_from_node[:3, :3].T + world_from_node[:3, 3]).astype(np.float32)


def _faces(file: GltfFile, primitive: dict[str, Any], num_vertices: int) -> NDArray[np.int64]:
    """[F, 3]; strips and fans taken apart, in them what is degenerate left out."""
    rows = file.integers(primitive["indices"]) if "indices" in primitive else np.arange(num_vertices)
    if len(rows) and rows.max() >= num_vertices:
        raise ValueError(f"{file.path}: a face names a vertex that does not exist")
    mode = primitive.get("mode", _TRIANGLES)
    if mode == _TRIANGLES:
        if len(rows) % 3:
            raise ValueError(f"{file.path}: {len(rows)} corners make no triangles")
        return rows.reshape(-1, 3)
    if len(rows) < 3:
        return np.zeros((0, 3), np.int64)
    first = np.full(len(rows) - 2, rows[0]) if mode == _FAN else rows[:-2]
    faces = np.stack([first, rows[1:-1], rows[2:]], axis=1)
    if mode == _STRIP:
        faces[1::2] = faces[1::2][:, [0, 2, 1]]  # every second one is wound the other way
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


def _vertex_rgb(file: GltfFile, attributes: dict[str, Any], material: _Material, count: int) -> NDArray[np.uint8]:
    """The colours of the vertices times that of the material; grey where neither says any."""
    if "COLOR_0" not in attributes:
        color = None if material.picture is not None else material.color
        one = np.full(3, _GREY, np.uint8) if color is None else linear_to_srgb(color)
        return np.tile(one, (count, 1))
    linear = file.accessor(attributes["COLOR_0"], 4 if file.width(attributes["COLOR_0"]) == 4 else 3)[:, :3]
    if len(linear) != count or not np.isfinite(linear).all():
        raise ValueError(f"{file.path}: colours of vertices are missing or not finite")
    return linear_to_srgb(linear if material.color is None else linear * material.color)


def _material(file: GltfFile, material: dict[str, Any]) -> _Material:
    gloss = _dict(_dict(material, "extensions", file), "KHR_materials_pbrSpecularGlossiness", file)
    colors = gloss or _dict(material, "pbrMetallicRoughness", file)
    factor, texture = ("diffuseFactor", "diffuseTexture") if gloss else ("baseColorFactor", "baseColorTexture")
    color = _numbers(colors[factor], 4, file)[:3] if factor in colors else None
    if texture not in colors:
        return _Material(color)
    reference = _dict(colors, texture, file)
    found = file.item("textures", reference.get("index"))
    sampler = file.item("samplers", found["sampler"]) if "sampler" in found else {}
    picture = _picture(file, found)
    if color is not None and (color != 1).any():
        codes = linear_to_srgb(srgb_to_linear(np.arange(256, dtype=np.uint8))[:, None] * color)
        picture = np.stack([codes[picture[..., channel], channel] for channel in range(3)], axis=-1)
    moved = _dict(_dict(reference, "extensions", file), "KHR_texture_transform", file)
    wraps = [sampler.get(key) for key in ("wrapS", "wrapT")]
    transform = _transform(moved, file) if moved else None
    for axis, wrap in enumerate(wraps):
        if wrap == _MIRROR:
            picture = np.concatenate([picture, np.flip(picture, 1 - axis)], axis=1 - axis)
            transform = np.eye(2, 3, dtype=np.float32) if transform is None else transform
            transform[axis] /= 2
    attribute = f"TEXCOORD_{moved.get('texCoord', reference.get('texCoord', 0))}"
    return _Material(color, picture, attribute, transform, (wraps[0] == _CLAMP, wraps[1] == _CLAMP))


def _picture(file: GltfFile, texture: dict[str, Any]) -> NDArray[np.uint8]:
    webp = _dict(_dict(texture, "extensions", file), "EXT_texture_webp", file)
    if "source" not in texture and not webp:
        raise ValueError(f"{file.path}: its texture is of a kind that is not read; export it as PNG or JPEG")
    image = file.item("images", webp.get("source", texture.get("source")))
    if "bufferView" not in image:
        raise ValueError(f"{file.path}: its texture lies in another file; export it with textures inside")
    return picture_of(file.view(image["bufferView"]), str(file.path))


def _transform(moved: dict[str, Any], file: GltfFile) -> _Floats:
    """KHR_texture_transform as a matrix [2, 3]: scale, then rotate, then move."""
    angle = _numbers([moved.get("rotation", 0)], 1, file)[0]
    scale = _numbers(moved.get("scale", (1, 1)), 2, file)
    c, s = np.cos(angle), np.sin(angle)
    offset = _numbers(moved.get("offset", (0, 0)), 2, file)
    return np.column_stack([np.array([[c, s], [-s, c]]) * scale, offset]).astype(np.float32)


def _numbers(value: object, count: int, file: GltfFile) -> _Floats:
    if not isinstance(value, Iterable) or isinstance(value, str | dict):
        raise ValueError(f"{file.path}: a material is damaged")
    numbers = [x for x in value if isinstance(x, int | float) and abs(x) < 1e6]
    if len(numbers) != count:
        raise ValueError(f"{file.path}: a material is damaged")
    return np.array(numbers, np.float32)


def _dict(holder: dict[str, Any], key: str, file: GltfFile) -> dict[str, Any]:
    value = holder.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{file.path}: {key} is damaged")
    return value
