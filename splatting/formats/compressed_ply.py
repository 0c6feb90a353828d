"""Compressed PLY files of PlayCanvas: 16 bytes for a Gaussian, and one for each further harmonic and channel.

Chunks of 256 Gaussians carry the bounds of their positions, log-scales and colours as floats; each Gaussian is packed
between them: position and scale in 11 + 10 + 11 bits, the three smallest of the quaternion in 10 bits each, colour and
opacity in 8 bits each. Harmonics are bytes that span [-4, 4], channel by channel. Neighbours must share a chunk, so
writing sorts along a Morton curve. Source: `write-compressed-ply` and `decompress-ply` of PlayCanvas splat-transform.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splatting.formats.arrays import Floats, SplatArrays, logits_of_codes, opacity_codes, to_arrays, to_gaussians
from splatting.formats.morton import morton_order
from splatting.formats.ply_header import PlyElement, PlyHeader, check_size, read_header, read_rows
from splatting.formats.quaternions import from_smallest_three, smallest_three
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import C0

_CHUNK = 256
_MAX_LOG_SCALE = 20.0
_BOUNDS = ["{}_x", "{}_y", "{}_z"]
_POSITION_BOUNDS = [name.format(side) for side in ("min", "max") for name in _BOUNDS]
_SCALE_BOUNDS = [name.format(f"{side}_scale") for side in ("min", "max") for name in _BOUNDS]
_COLOUR_BOUNDS = ["min_r", "min_g", "min_b", "max_r", "max_g", "max_b"]
_CHUNK_NAMES = [*_POSITION_BOUNDS, *_SCALE_BOUNDS, *_COLOUR_BOUNDS]
_PACKED = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]


def write_compressed_ply(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians, sorted along a Morton curve; the file appears whole or not at all.

    Log-scales are cut to [-20, 20] and harmonics to [-4, 4].

    Raises:
        ValueError: values are not finite.
    """
    arrays = to_arrays(gaussians.select(morton_order(gaussians.means)))
    n, num_rest = len(arrays), 3 * (arrays.sh.shape[1] - 1)
    chunks, packed = _pack(arrays)
    rest = arrays.sh[:, 1:].transpose(0, 2, 1).reshape(n, num_rest)  # channel by channel
    header = ["ply", "format binary_little_endian 1.0", f"element chunk {len(chunks)}"]
    header += [f"property float {name}" for name in _CHUNK_NAMES] + [f"element vertex {n}"]
    header += [f"property uint {name}" for name in _PACKED]
    if num_rest:
        header += [f"element sh {n}", *(f"property uchar f_rest_{i}" for i in range(num_rest))]
    with whole_file(path) as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(chunks.astype("<f4").tobytes())
        file.write(packed.astype("<u4").tobytes())
        file.write(np.clip(rest * 32 + 128, 0, 255).astype(np.uint8).tobytes())


def _pack(arrays: SplatArrays) -> tuple[Floats, NDArray[np.uint32]]:
    """Bounds of the chunks [C, 18] and packed Gaussians [N, 4]."""
    n = len(arrays)
    colours = arrays.sh[:, 0] * np.float32(C0) + np.float32(0.5)
    log_scales = np.clip(arrays.log_scales, -_MAX_LOG_SCALE, _MAX_LOG_SCALE)
    bounds, fractions = zip(*(_within_chunks(values) for values in (arrays.means, log_scales, colours)), strict=True)
    packed = np.empty((n, 4), np.uint32)
    packed[:, 0] = _join(fractions[0], (11, 10, 11))
    largest, others = smallest_three(arrays.quats_wxyz)
    packed[:, 1] = largest.astype(np.uint32) << 30 | _join(others * np.sqrt(0.5) + 0.5, (10, 10, 10))
    packed[:, 2] = _join(fractions[1], (11, 10, 11))
    packed[:, 3] = _join(fractions[2], (8, 8, 8)) << 8 | opacity_codes(arrays.opacity_logits)
    return np.concatenate(bounds, axis=1), packed


def _within_chunks(values: Floats) -> tuple[Floats, Floats]:
    """Minima and maxima of each chunk [C, 6], and where between them each value [N, 3] lies, in [0, 1]."""
    n = len(values)
    if n == 0:
        return np.empty((0, 6), np.float32), values
    starts = np.arange(0, n, _CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    chunk = np.arange(n) // _CHUNK
    span = np.maximum(high - low, np.finfo(np.float32).tiny)[chunk]
    return np.concatenate([low, high], axis=1), (values - low[chunk]) / span


def _join(fractions: Floats, bits: tuple[int, int, int]) -> NDArray[np.uint32]:
    """Fractions [N, 3] in [0, 1] as one number, the first in the highest bits."""
    joined = np.zeros(len(fractions), np.uint32)
    for i, width in enumerate(bits):
        top = (1 << width) - 1
        joined = joined << np.uint32(width) | np.clip(np.floor(fractions[:, i] * top + 0.5), 0, top).astype(np.uint32)
    return joined


def _split(joined: NDArray[np.uint32], bits: tuple[int, int, int]) -> Floats:
    """Inverse of `_join`."""
    fractions = np.empty((len(joined), 3), np.float32)
    for i in (2, 1, 0):
        top = (1 << bits[i]) - 1
        fractions[:, i] = (joined & top).astype(np.float32) / top
        joined = joined >> np.uint32(bits[i])
    return fractions


def read_compressed_ply(path: Path) -> Gaussians:
    """Read Gaussians in the order of the file.

    Raises:
        ValueError: the file is no compressed PLY, is damaged, or holds values that are no Gaussians.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        elements = _checked_elements(read_header(file, path), path)
        layouts = [element.layout for element in elements if element.layout is not None]
        sizes = [element.count * layout.itemsize for element, layout in zip(elements, layouts, strict=True)]
        check_size(file, sum(sizes), path)
        tables = [
            read_rows(file, layout, element.count, path) for element, layout in zip(elements, layouts, strict=True)
        ]
    chunks, packed = tables[:2]
    chunk = np.arange(len(packed)) // _CHUNK
    largest = packed["packed_rotation"] >> 30
    others = (_split(packed["packed_rotation"], (10, 10, 10)) - 0.5) * np.float32(np.sqrt(2))
    colours = _split(packed["packed_color"] >> np.uint32(8), (8, 8, 8))
    with np.errstate(over="ignore", invalid="ignore"):  # bounds that are no numbers are refused with their results
        means = _between(chunks, _POSITION_BOUNDS, chunk, _split(packed["packed_position"], (11, 10, 11)))
        log_scales = _between(chunks, _SCALE_BOUNDS, chunk, _split(packed["packed_scale"], (11, 10, 11)))
        if "min_r" in (chunks.dtype.names or ()):
            colours = _between(chunks, _COLOUR_BOUNDS, chunk, colours)
    sh = np.concatenate([((colours - 0.5) / C0)[:, None], _rest(tables[2:], len(packed))], axis=1)
    logits = logits_of_codes((packed["packed_color"] & 255).astype(np.uint8))
    return to_gaussians(SplatArrays(means, log_scales, from_smallest_three(largest, others), logits, sh), path)


def _between(chunks: NDArray, names: list[str], chunk: NDArray[np.int64], fractions: Floats) -> Floats:
    """Values [N, 3] at the fractions between the bounds of their chunks."""
    bounds = np.stack([chunks[name] for name in names], axis=1)[chunk]
    low, high = bounds[:, :3], bounds[:, 3:]
    return low * (1 - fractions) + high * fractions


def _rest(tables: list[NDArray], n: int) -> Floats:
    """Harmonics [N, S - 1, 3]; a byte stands for the middle of what it was cut from, 0 and 255 for the ends."""
    if not tables:
        return np.empty((n, 0, 3), np.float32)
    names = [f"f_rest_{i}" for i in range(len(tables[0].dtype.names or ()))]
    codes = np.stack([tables[0][name] for name in names], axis=1).astype(np.float32)
    fractions = np.where(codes == 0, 0, np.where(codes == 255, 1, (codes + 0.5) / 256))
    return ((fractions - 0.5) * 8).reshape(n, 3, len(names) // 3).transpose(0, 2, 1)


def is_compressed(path: Path) -> bool:
    """Whether a PLY file is a compressed one, by its first element.

    Raises:
        ValueError: it is no PLY file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return [element.name for element in read_header(file, path).elements[:1]] == ["chunk"]


def _checked_elements(header: PlyHeader, path: Path) -> tuple[PlyElement, ...]:
    """Chunks, vertices and, if there are any, harmonics."""
    elements = header.elements
    names = [element.name for element in elements]
    if names not in (["chunk", "vertex"], ["chunk", "vertex", "sh"]):
        raise ValueError(f"{path}: is not a compressed PLY: its elements are {', '.join(names) or 'none'}")
    counts = [element.count for element in elements]
    if counts[0] != -(-counts[1] // _CHUNK) or counts[1:2] * len(counts[1:]) != counts[1:]:
        raise ValueError(f"{path}: {counts[1]} Gaussians do not fit the number of chunks or of harmonics")
    required = [*_POSITION_BOUNDS, *_SCALE_BOUNDS]
    if "min_r" in _names(elements[0]):
        required += _COLOUR_BOUNDS
    _require(elements[0], required, "<f4", path)
    _require(elements[1], _PACKED, "<u4", path)
    if len(elements) == 3:
        num_rest = len(_names(elements[2]))
        if num_rest not in (9, 24, 45):
            raise ValueError(f"{path}: {num_rest} harmonics fit no degree up to 3")
        _require(elements[2], [f"f_rest_{i}" for i in range(num_rest)], "u1", path)
    return elements


def _names(element: PlyElement) -> tuple[str, ...]:
    return (element.layout.names or ()) if element.layout is not None else ()


def _require(element: PlyElement, names: list[str], kind: str, path: Path) -> None:
    for name in names:
        if element.layout is None or name not in _names(element) or element.layout[name] != np.dtype(kind):
            raise ValueError(f"{path}: is not a compressed PLY: property {name} is missing or of another type")
