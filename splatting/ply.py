"""3DGS PLY files: Gaussians as the original implementation stores them, exactly.

Little-endian float32 properties in the order x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0.. (all coefficients of red,
then green, then blue), opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz). Source: `save_ply` of
Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, 2023.
"""

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from splatting.gaussians import Gaussians

_MAX_HEADER_BYTES = 1 << 16
_MAX_LINE_BYTES = 1024
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4",
    "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
    "float": "<f4", "double": "<f8", "float32": "<f4", "float64": "<f8",
}  # fmt: skip


def _rest_names(count: int) -> list[str]:
    return [f"f_rest_{i}" for i in range(count)]


_POSITION = ["x", "y", "z"]
_NORMAL = ["nx", "ny", "nz"]
_DC = ["f_dc_0", "f_dc_1", "f_dc_2"]
_SCALE = ["scale_0", "scale_1", "scale_2"]
_ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]


def write_ply(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians to a 3DGS PLY; the file appears whole or not at all."""
    parts = gaussians.detach()
    n = len(parts)
    rest = parts.sh[:, 1:].transpose(1, 2).flatten(1)  # [N, 3 (S - 1)], channel by channel
    names = [*_POSITION, *_NORMAL, *_DC, *_rest_names(rest.shape[1]), "opacity", *_SCALE, *_ROTATION]
    columns = [parts.means, torch.zeros(n, 3), parts.sh[:, 0], rest, parts.opacity_logits[:, None], parts.log_scales]
    values = torch.cat([*columns, parts.quats_wxyz], dim=1).float().numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {n}"]
    header += [f"property float {name}" for name in names] + ["end_header"]
    aside = path.with_name(path.name + ".partial")
    try:
        with aside.open("wb") as file:
            file.write(("\n".join(header) + "\n").encode("ascii"))
            file.write(values.tobytes())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians from a 3DGS PLY; properties may come in any order, normals may be absent.

    Raises:
        ValueError: the file is no 3DGS PLY, is damaged, or holds values that are no Gaussians.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        count, layout = _read_header(file, path)
        available = os.fstat(file.fileno()).st_size - file.tell()
        if count * layout.itemsize > available:
            raise ValueError(f"{path}: {count} Gaussians of {layout.itemsize} bytes promised, {available} bytes there")
        data = np.frombuffer(file.read(count * layout.itemsize), layout)

    def columns(names: list[str]) -> NDArray[np.float32]:
        values = np.empty((count, len(names)), np.float32)
        for i, name in enumerate(names):
            values[:, i] = data[name]
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: values of {names[0]} are not finite")
        return values

    num_rest = sum(name.startswith("f_rest_") for name in layout.names or ())
    rest = columns(_rest_names(num_rest)).reshape(count, 3, num_rest // 3).transpose(0, 2, 1) if num_rest else None
    sh = columns(_DC)[:, None, :]
    sh = sh if rest is None else np.concatenate([sh, rest], axis=1)
    quats = columns(_ROTATION)
    if (quats == 0).all(axis=1).any():
        raise ValueError(f"{path}: a rotation is zero")
    tensors = (columns(_POSITION), columns(_SCALE), quats, columns(["opacity"])[:, 0], sh)
    return Gaussians(*(torch.from_numpy(np.ascontiguousarray(values)) for values in tensors))


def _read_header(file: BinaryIO, path: Path) -> tuple[int, np.dtype]:
    """Number of Gaussians and the layout of one; leaves the file at the first."""
    lines = _header_lines(file, path)
    if lines[1:2] != ["format binary_little_endian 1.0"]:
        raise ValueError(f"{path}: only binary little-endian PLY files hold Gaussians here")
    count: int | None = None
    properties: list[tuple[str, str]] = []
    is_vertex = False
    for line in lines[2:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            if count is None and words[1] != "vertex":
                raise ValueError(f"{path}: the first element is {words[1]}, not vertex")
            is_vertex = count is None
            count = int(words[2]) if is_vertex else count
        elif words[0] == "property" and is_vertex and len(words) == 3 and words[1] in _TYPES:
            properties.append((words[2], _TYPES[words[1]]))
        elif words[0] != "property" or is_vertex:
            raise ValueError(f"{path}: cannot understand the header line {line!r}")
    _check_properties([name for name, _ in properties], path)
    if count is None:
        raise ValueError(f"{path}: holds no vertices")
    return count, np.dtype(properties)


def _header_lines(file: BinaryIO, path: Path) -> list[str]:
    if file.readline(16).rstrip(b"\r\n") != b"ply":
        raise ValueError(f"{path}: is not a PLY file")
    lines = ["ply"]
    while file.tell() < _MAX_HEADER_BYTES:
        raw = file.readline(_MAX_LINE_BYTES)
        if not raw.endswith(b"\n"):
            break
        line = raw.decode("ascii", errors="replace").strip()
        if line == "end_header":
            return lines
        lines.append(line)
    raise ValueError(f"{path}: the PLY header has no end")


def _check_properties(names: list[str], path: Path) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a property is named twice")
    num_rest = sum(name.startswith("f_rest_") for name in names)
    wanted = [*_POSITION, *_DC, *_rest_names(num_rest), "opacity", *_SCALE, *_ROTATION]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"{path}: is not a file of Gaussians: property {missing[0]} is missing")
    if num_rest not in (0, 9, 24, 45):
        raise ValueError(f"{path}: {num_rest} f_rest properties fit no degree of spherical harmonics up to 3")
