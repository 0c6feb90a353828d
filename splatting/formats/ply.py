"""3DGS PLY files: Gaussians as the original implementation stores them, exactly.

Little-endian float32 properties in the order x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0.. (all coefficients of red,
then green, then blue), opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz). Source: `save_ply` of
Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, 2023.

The format has no word for which way is up. A comment before the end of the header says so in ours, `up axis +y`; others
skip it.
"""

from pathlib import Path

import numpy as np
import torch

from splatting.formats.arrays import Floats, SplatArrays, to_gaussians
from splatting.formats.frames import Up
from splatting.formats.ply_header import PlyHeader, check_size, read_header, read_rows
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians

_BLOCK_ROWS = 1 << 16
# Some programs write infinite logits for opacities of 0 and 1. The sigmoid of this is 1 in float32.
_MAX_LOGIT = 17.0
_UP_COMMENTS: dict[str, Up] = {"up axis +y": "+y", "up axis -y": "-y"}


def _rest_names(count: int) -> list[str]:
    return [f"f_rest_{i}" for i in range(count)]


_POSITION = ["x", "y", "z"]
_NORMAL = ["nx", "ny", "nz"]
_DC = ["f_dc_0", "f_dc_1", "f_dc_2"]
_SCALE = ["scale_0", "scale_1", "scale_2"]
_ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]


def write_ply(gaussians: Gaussians, path: Path, *, up: Up = "+y") -> None:
    """Write Gaussians to a 3DGS PLY; the file appears whole or not at all.

    Args:
        gaussians: written bit for bit, whatever their values.
        path: the file.
        up: which way is up in their world, for the comment; nothing is turned.
    """
    parts = gaussians.detach()
    n, num_rest = len(parts), 3 * (parts.sh.shape[1] - 1)
    names = [*_POSITION, *_NORMAL, *_DC, *_rest_names(num_rest), "opacity", *_SCALE, *_ROTATION]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {n}"]
    header += [f"property float {name}" for name in names] + [f"comment up axis {up}", "end_header"]
    with whole_file(path) as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        for start in range(0, n, _BLOCK_ROWS):
            file.write(_rows(parts.select(torch.arange(start, min(start + _BLOCK_ROWS, n)))).tobytes())


def _rows(parts: Gaussians) -> Floats:
    rest = parts.sh[:, 1:].transpose(1, 2).flatten(1)  # [N, 3 (S - 1)], channel by channel
    normals = torch.zeros(len(parts), 3)
    columns = [parts.means, normals, parts.sh[:, 0], rest, parts.opacity_logits[:, None], parts.log_scales]
    return torch.cat([*columns, parts.quats_wxyz], dim=1).float().numpy().astype("<f4")


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians from a 3DGS PLY; properties may come in any order, normals and harmonics may be absent.

    Infinite opacity logits, which some programs write, are cut to ±17; all else must be finite.

    Raises:
        ValueError: the file is no 3DGS PLY, is damaged, or holds values that are no Gaussians.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        count, layout = _vertices(read_header(file, path), path)
        check_size(file, count * layout.itemsize, path)
        num_rest = sum(name.startswith("f_rest_") for name in layout.names or ())
        groups = [_POSITION, _SCALE, _ROTATION, ["opacity"], _DC, _rest_names(num_rest)]
        columns = [np.empty((count, len(names)), np.float32) for names in groups]
        for start in range(0, count, _BLOCK_ROWS):
            rows = read_rows(file, layout, min(_BLOCK_ROWS, count - start), path)
            with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, and are refused below
                for names, column in zip(groups, columns, strict=True):
                    for i, name in enumerate(names):
                        column[start : start + len(rows), i] = rows[name]
    means, log_scales, quats, logits, dc, rest = columns
    logits = np.where(np.isinf(logits), np.copysign(np.float32(_MAX_LOGIT), logits), logits)
    sh = np.concatenate([dc[:, None], rest.reshape(count, 3, num_rest // 3).transpose(0, 2, 1)], axis=1)
    return to_gaussians(SplatArrays(means, log_scales, quats, logits[:, 0], sh), path)


def declared_up(path: Path) -> Up | None:
    """Which way is up by the comment of a PLY file; None where it says nothing.

    Raises:
        ValueError: it is no PLY file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        comments = read_header(file, path).comments
    return next((_UP_COMMENTS[comment] for comment in comments if comment in _UP_COMMENTS), None)


def _vertices(header: PlyHeader, path: Path) -> tuple[int, np.dtype]:
    """Number of Gaussians and the layout of one."""
    if not header.elements:
        raise ValueError(f"{path}: holds no vertices")
    first = header.elements[0]
    if first.name != "vertex":
        raise ValueError(f"{path}: the first element is {first.name}, not vertex")
    if first.layout is None:
        raise ValueError(f"{path}: a property of the vertices is a list")
    _check_properties(first.layout.names or (), path)
    return first.count, first.layout


def _check_properties(names: tuple[str, ...], path: Path) -> None:
    num_rest = sum(name.startswith("f_rest_") for name in names)
    wanted = [*_POSITION, *_DC, *_rest_names(num_rest), "opacity", *_SCALE, *_ROTATION]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"{path}: is not a file of Gaussians: property {missing[0]} is missing")
    if num_rest not in (0, 9, 24, 45):
        raise ValueError(f"{path}: {num_rest} f_rest properties fit no degree of spherical harmonics up to 3")
