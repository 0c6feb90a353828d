"""Binary glTF with the extension KHR_gaussian_splatting: every value as a float, for scenes with other things in them.

A primitive of points: POSITION, and of the extension ROTATION (xyzw), SCALE (linear), OPACITY and one attribute for
each coefficient of the spherical harmonics; COLOR_0 is for viewers that know no splats. +Y is up. Source: the
registry's text of KHR_gaussian_splatting, ratified, and glTF 2.0.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from splatting.formats.arrays import (
    Floats,
    SplatArrays,
    bytes_per_splat,
    check_expansion,
    opacity_codes,
    to_arrays,
    to_bytes,
    to_gaussians,
)
from splatting.formats.gltf_file import GltfFile, read_gltf
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians, concatenate
from splatting.spherical_harmonics import C0
from splatting.transforms import transformed

EXTENSION = "KHR_gaussian_splatting"
_PROPERTIES = {
    "kernel": "ellipse",
    "colorSpace": "srgb_rec709_display",
    "projection": "perspective",
    "sortingMethod": "cameraDistance",
}
_MAX_LOGIT = 17.0  # beyond, a float32 opacity is 0 or 1 and its logit not finite
_MIN_SCALE = 1e-37
_MAX_EXPANSION = 8  # bytes instead of floats make 4
_POINTS = 0
_ARRAY_BUFFER = 34962
_FLOAT, _UBYTE = 5126, 5121
_TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def write_splat_glb(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians in a world with +Y up; the file appears whole or not at all.

    Raises:
        ValueError: there are none, values are not finite, or a scale is beyond float32.
    """
    arrays = to_arrays(gaussians)
    if len(arrays) == 0:
        raise ValueError("a glTF file cannot hold no Gaussians at all")
    attributes = dict(_attributes(arrays))
    description, size = _describe(attributes)
    text = json.dumps(description, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    with whole_file(path) as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + size))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", size, b"BIN\0"))
        for values in attributes.values():
            file.write(np.ascontiguousarray(values).tobytes())


def _attributes(arrays: SplatArrays) -> Iterator[tuple[str, NDArray]]:
    """Names and values [N, 1|3|4]; float32, colours bytes."""
    with np.errstate(over="ignore"):
        scales = np.maximum(np.exp(arrays.log_scales), np.float32(_MIN_SCALE))
    if not np.isfinite(scales).all():
        raise ValueError("scales must be finite to be written in this format")
    rgb = to_bytes((arrays.sh[:, 0] * C0 + 0.5) * 255)
    opacities = 1 / (1 + np.exp(-arrays.opacity_logits.astype(np.float64).clip(-_MAX_LOGIT, _MAX_LOGIT)))
    yield "POSITION", arrays.means
    yield "COLOR_0", np.concatenate([rgb, opacity_codes(arrays.opacity_logits)[:, None]], axis=1)
    yield f"{EXTENSION}:ROTATION", np.roll(arrays.quats_wxyz, -1, axis=1)
    yield f"{EXTENSION}:SCALE", scales
    yield f"{EXTENSION}:OPACITY", opacities.astype("<f4")[:, None]
    for k in range(arrays.sh.shape[1]):
        yield _sh_name(k), arrays.sh[:, k]


def _sh_name(k: int) -> str:
    degree = int(np.sqrt(k))
    return f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{k - degree * degree}"


def _describe(attributes: dict[str, NDArray]) -> tuple[dict[str, object], int]:
    """The JSON part, and the size of the binary part in bytes."""
    views: list[dict[str, int]] = []
    accessors: list[dict[str, object]] = []
    size = 0
    for i, (name, values) in enumerate(attributes.items()):
        views.append({"buffer": 0, "byteOffset": size, "byteLength": values.nbytes, "target": _ARRAY_BUFFER})
        accessor: dict[str, object] = {"bufferView": i, "count": len(values), "type": _TYPES[values.shape[1]]}
        accessor["componentType"] = _UBYTE if values.dtype == np.uint8 else _FLOAT
        if values.dtype == np.uint8:
            accessor["normalized"] = True
        if name == "POSITION":
            accessor["min"], accessor["max"] = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        accessors.append(accessor)
        size += values.nbytes
    primitive = {
        "mode": _POINTS,
        "attributes": {name: i for i, name in enumerate(attributes)},
        "extensions": {EXTENSION: _PROPERTIES},
    }
    return {
        "asset": {"version": "2.0", "generator": "handful"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "splats"}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": size}],
    }, size


def read_splat_glb(path: Path) -> Gaussians:
    """Read all Gaussians of the scene of a binary glTF file, placed where its nodes place them.

    Raises:
        ValueError: the file is no binary glTF, is damaged, holds no Gaussians, or some in a way that is not read:
            linear colours, a node that is skewed, mirrored or unevenly scaled, different degrees of harmonics.
        OSError: it cannot be read.
    """
    gltf, size = read_gltf(path), path.stat().st_size
    parts: list[Gaussians] = []
    unpacked_bytes = 0
    for primitive, world_from_node in gltf.primitives():
        extension = primitive.get("extensions", {})
        if isinstance(extension, dict) and EXTENSION in extension:
            parts.append(_placed(_primitive(gltf, primitive, path), world_from_node, path))
            # Primitives may share their data: a small file could otherwise unpack to any size.
            unpacked_bytes += len(parts[-1]) * bytes_per_splat(parts[-1].sh.shape[1])
            check_expansion(unpacked_bytes, size, path, _MAX_EXPANSION)
    if not parts:
        raise ValueError(f"{path}: holds no Gaussians, at least none of {EXTENSION}")
    if len({part.sh_degree for part in parts}) > 1:
        raise ValueError(f"{path}: its parts have spherical harmonics of different degrees")
    return concatenate(parts)


def _primitive(gltf: GltfFile, primitive: dict, path: Path) -> Gaussians:
    properties = primitive["extensions"][EXTENSION]
    attributes = primitive.get("attributes")
    if not isinstance(properties, dict) or not isinstance(attributes, dict):
        raise ValueError(f"{path}: the description of its Gaussians is damaged")
    for name in ("kernel", "colorSpace"):
        if properties.get(name, _PROPERTIES[name]) != _PROPERTIES[name]:
            raise ValueError(f"{path}: Gaussians with {name} {properties[name]!r} are not read")

    def values(name: str, width: int) -> Floats:
        if name not in attributes:
            raise ValueError(f"{path}: the attribute {name} is missing")
        return gltf.accessor(attributes[name], width)

    count = next((k for k in range(16) if _sh_name(k) not in attributes), 16)
    if count not in (1, 4, 9, 16):
        raise ValueError(f"{path}: {count} coefficients fit no degree of spherical harmonics up to 3")
    means = values("POSITION", 3)
    columns = [values(f"{EXTENSION}:{name}", width) for name, width in (("SCALE", 3), ("ROTATION", 4), ("OPACITY", 1))]
    sh = [values(_sh_name(k), 3) for k in range(count)]
    if any(len(column) != len(means) for column in (*columns, *sh)):
        raise ValueError(f"{path}: the attributes of its Gaussians differ in length")
    scales, quats_xyzw, opacities = columns
    if not (scales >= 0).all() or not ((opacities >= 0) & (opacities <= 1)).all():
        raise ValueError(f"{path}: a scale is negative, or an opacity outside [0, 1]")
    log_scales = np.log(np.maximum(scales, np.float32(_MIN_SCALE)))
    opacity = opacities[:, 0].astype(np.float64)
    with np.errstate(divide="ignore"):
        logits = np.clip(np.log(opacity) - np.log1p(-opacity), -_MAX_LOGIT, _MAX_LOGIT)
    arrays = SplatArrays(means, log_scales, np.roll(quats_xyzw, 1, axis=1), logits, np.stack(sh, axis=1))
    return to_gaussians(arrays, path)


def _placed(gaussians: Gaussians, world_from_node: NDArray[np.float64], path: Path) -> Gaussians:
    if np.array_equal(world_from_node, np.eye(4)):
        return gaussians
    scale = np.cbrt(max(np.linalg.det(world_from_node[:3, :3]), 0.0))
    try:
        moved = transformed(gaussians, float(scale), world_from_node[:3, :3] / (scale or 1), world_from_node[:3, 3])
    except ValueError as error:
        raise ValueError(f"{path}: a node is skewed, mirrored or unevenly scaled, which is not read") from error
    if not all(bool(torch.isfinite(values).all()) for values in (moved.means, moved.log_scales)):
        raise ValueError(f"{path}: a node places its Gaussians at infinity")
    return moved
