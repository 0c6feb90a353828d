"""SPZ files of Niantic: 20 bytes a Gaussian before compression, and one for each further harmonic and channel.

Planes, one after another: positions as 24-bit fixed point, opacities, constant colours (0.15 a unit), log-scales (16 a
unit from -10) and harmonics (128 a unit, channels of a coefficient side by side) as bytes, and quaternions xyzw by
their three smallest components (version 2: the first three, as bytes). Versions 2 and 3 are one gzip stream; version 4
has a plain header, a table of contents and one zstd stream for each plane. The world is right-handed with +Y up.
Source: `load-spz.cc` and `splat-types.h` of github.com/nianticlabs/spz.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import zstandard
from numpy.typing import NDArray

from splatting.formats.arrays import (
    Floats,
    SplatArrays,
    bytes_per_splat,
    check_expansion,
    logits_of_codes,
    opacity_codes,
    to_arrays,
    to_bytes,
    to_gaussians,
)
from splatting.formats.quaternions import from_smallest_three, smallest_three
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians

_MAGIC = b"NGSP"
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER = np.dtype(
    [
        ("magic", "S4"),
        ("version", "<u4"),
        ("count", "<u4"),
        ("degree", "u1"),
        ("fraction_bits", "u1"),
        ("flags", "u1"),
        ("streams", "u1"),
    ]
)
_HEADER_4 = np.dtype([*_HEADER.descr, ("toc_offset", "<u4"), ("reserved", "S12")])
_STREAM = np.dtype([("stored", "<u8"), ("unpacked", "<u8")])

_POSITION_BITS = 24
_MAX_FRACTION_BITS = 23
# Positions are as fine as this share of a typical standard deviation, where their range allows it, and take at least so
# many bits for the farthest: finer would only fill the file with noise.
_POSITION_STEP = 1 / 32
_MIN_BITS = 16
_COLOUR_SCALE = 0.15 * 255
_ZSTD_LEVEL = 12  # as the reference writes
_READ_BYTES = 1 << 20
_MAX_EXTENSION_BYTES = 1 << 20
_MAX_WINDOW_BYTES = 1 << 26  # that of level 12 is 4 MB


@dataclass(frozen=True)
class _Contents:
    """What a header promises."""

    version: int
    count: int
    degree: int
    fraction_bits: int

    def plane_bytes(self) -> list[int]:
        """Sizes of the planes: positions, opacities, colours, scales, rotations, harmonics."""
        rest = 3 * ((self.degree + 1) ** 2 - 1)
        return [self.count * size for size in (9, 1, 3, 3, 3 if self.version == 2 else 4, rest)]


def write_spz(gaussians: Gaussians, path: Path, *, version: Literal[3, 4] = 4, sh_bits: int = 8) -> None:
    """Write Gaussians; the file appears whole or not at all.

    Log-scales are cut to [-10, 5.9], harmonics to [-1, 1], constant coefficients to [-3.3, 3.3].

    Args:
        gaussians: in a world with +Y up.
        path: the file.
        version: 4 is one zstd stream for each plane; 3, a gzip stream, is read by more programs.
        sh_bits: quality of the view-dependent colour, 1 to 8; fewer make a smaller file. The reference has 5 for the
            first degree and 4 above.

    Raises:
        ValueError: values are not finite, lie beyond the range of positions, or the options are not as above.
    """
    if version not in (3, 4) or not 1 <= sh_bits <= 8:
        raise ValueError(f"version must be 3 or 4 and sh_bits 1 to 8, got {version} and {sh_bits}")
    arrays = to_arrays(gaussians)
    contents = _Contents(version, len(arrays), gaussians.sh_degree, _fraction_bits(arrays))
    planes = _pack(arrays, contents.fraction_bits, sh_bits)
    with whole_file(path) as file:
        if version == 3:
            _write_gzip(file, contents, planes)
        else:
            _write_zstd(file, contents, planes)


def _write_gzip(file: BinaryIO, contents: _Contents, planes: list[bytes]) -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for part in (_header(contents, _HEADER), *planes):
        file.write(compressor.compress(part))
    file.write(compressor.flush())


def _write_zstd(file: BinaryIO, contents: _Contents, planes: list[bytes]) -> None:
    stored = [(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(plane), len(plane)) for plane in planes if plane]
    header = np.frombuffer(_header(contents, _HEADER_4), _HEADER_4).copy()
    header["streams"], header["toc_offset"] = len(stored), _HEADER_4.itemsize
    file.write(header.tobytes())
    file.write(np.array([(len(stream), size) for stream, size in stored], _STREAM).tobytes())
    for stream, _ in stored:
        file.write(stream)


def _header(contents: _Contents, layout: np.dtype) -> bytes:
    header = np.zeros((), layout)
    header["magic"], header["version"], header["count"] = _MAGIC, contents.version, contents.count
    header["degree"], header["fraction_bits"] = contents.degree, contents.fraction_bits
    return header.tobytes()


def _fraction_bits(arrays: SplatArrays) -> int:
    """Binary digits after the point: enough for small Gaussians, if the farthest one leaves room for them."""
    if len(arrays) == 0:
        return 12
    farthest = float(np.abs(arrays.means).max())
    room = _POSITION_BITS - 1 - max(0, math.floor(math.log2(max(farthest, 1e-30))) + 1)
    if room < 0:
        raise ValueError(f"a position of {farthest:g} units lies beyond what SPZ files can hold")
    typical_log_scale = float(np.median(arrays.log_scales))
    wanted = math.ceil((-typical_log_scale - math.log(_POSITION_STEP)) / math.log(2))
    return min(max(wanted, room - (_POSITION_BITS - 1 - _MIN_BITS), 0), room, _MAX_FRACTION_BITS)


def _pack(arrays: SplatArrays, fraction_bits: int, sh_bits: int) -> list[bytes]:
    limit = (1 << (_POSITION_BITS - 1)) - 1
    fixed = np.clip(np.round(arrays.means.astype(np.float64) * (1 << fraction_bits)), -limit - 1, limit)
    positions = fixed.astype("<i4").view("u1").reshape(len(arrays), 3, 4)[:, :, :3]
    largest, others = smallest_three(np.roll(arrays.quats_wxyz, -1, axis=1))  # of xyzw
    magnitudes = np.minimum(np.round(np.abs(others) * (511 * np.sqrt(2))), 511).astype(np.uint32)
    parts = magnitudes | (others < 0).astype(np.uint32) << 9
    rotations = largest.astype("<u4") << 30 | parts[:, 0] << 20 | parts[:, 1] << 10 | parts[:, 2]
    step = 1 << (8 - sh_bits)
    rest = np.round(arrays.sh[:, 1:] * 128) + 128
    planes = (
        positions,
        opacity_codes(arrays.opacity_logits),
        to_bytes(arrays.sh[:, 0] * _COLOUR_SCALE + 127.5),
        to_bytes((arrays.log_scales + 10) * 16),
        rotations.astype("<u4"),
        to_bytes(np.floor((rest + step // 2) / step) * step),
    )
    return [np.ascontiguousarray(plane).tobytes() for plane in planes]


def read_spz(path: Path) -> Gaussians:
    """Read Gaussians of an SPZ file of version 2, 3 or 4.

    Raises:
        ValueError: the file is no SPZ file, is of another version, damaged, or promises more than it can hold.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] == _GZIP_MAGIC:
            contents, planes = _read_gzip(file, size, path)
        elif start == _MAGIC:
            contents, planes = _read_zstd(file, size, path)
        else:
            raise ValueError(f"{path}: is not an SPZ file")
    return to_gaussians(_unpack(contents, planes), path)


def _contents(header: NDArray, versions: tuple[int, ...], size: int, path: Path) -> _Contents:
    contents = _Contents(*(int(header[name]) for name in ("version", "count", "degree", "fraction_bits")))
    if bytes(header["magic"]) != _MAGIC:
        raise ValueError(f"{path}: is not an SPZ file")
    if contents.version not in versions:
        raise ValueError(f"{path}: SPZ version {contents.version} is not among those that are read: 2, 3 and 4")
    if contents.degree > 3:
        raise ValueError(f"{path}: spherical harmonics of degree {contents.degree} are not read, only up to 3")
    if contents.fraction_bits > _POSITION_BITS:
        raise ValueError(f"{path}: positions have {contents.fraction_bits} of {_POSITION_BITS} bits after the point")
    check_expansion(contents.count * bytes_per_splat((contents.degree + 1) ** 2), size, path)
    return contents


def _read_gzip(file: BinaryIO, size: int, path: Path) -> tuple[_Contents, list[bytes]]:
    """Unpack no more than the header promises, and a little that may follow it, as extensions do."""
    stream = _GzipReader(file, path)
    contents = _contents(np.frombuffer(stream.read(_HEADER.itemsize), _HEADER)[0], (2, 3), size, path)
    planes = [stream.read(plane_bytes) for plane_bytes in contents.plane_bytes()]
    stream.finish()
    return contents, planes


class _GzipReader:
    """Reads a gzip stream piece by piece and never unpacks further than asked."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._pending = b""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; ValueError if there are fewer."""
        unpacked = bytearray()
        while len(unpacked) < size:
            unpacked += self._some(size - len(unpacked))
        return bytes(unpacked)

    def finish(self) -> None:
        """Read to the end, where the checksum is; ValueError if it is wrong, missing, or far away."""
        left = _MAX_EXTENSION_BYTES
        while not self._decompressor.eof:
            left -= len(self._some(left))
            if left <= 0:
                raise ValueError(f"{self._path}: goes on far behind its last Gaussian")

    def _some(self, size: int) -> bytes:
        """The next bytes, at most so many."""
        self._pending = self._pending or self._file.read(_READ_BYTES)
        if not self._pending or self._decompressor.eof:
            raise ValueError(f"{self._path}: ends before all Gaussians that it promises")
        try:
            unpacked = self._decompressor.decompress(self._pending, size)
        except zlib.error as error:
            raise ValueError(f"{self._path}: the compressed data are damaged") from error
        self._pending = self._decompressor.unconsumed_tail
        return unpacked


def _read_zstd(file: BinaryIO, size: int, path: Path) -> tuple[_Contents, list[bytes]]:
    head = file.read(_HEADER_4.itemsize)
    if len(head) < _HEADER_4.itemsize:
        raise ValueError(f"{path}: ends within its header")
    header = np.frombuffer(head, _HEADER_4)[0]
    contents = _contents(header, (4,), size, path)
    expected = contents.plane_bytes()
    toc_end = int(header["toc_offset"]) + int(header["streams"]) * _STREAM.itemsize
    if int(header["streams"]) != sum(plane_bytes > 0 for plane_bytes in expected) or toc_end > size:
        raise ValueError(f"{path}: the table of contents does not fit the header")
    file.seek(int(header["toc_offset"]))
    streams = iter(np.frombuffer(file.read(int(header["streams"]) * _STREAM.itemsize), _STREAM))
    planes = []
    for plane_bytes in expected:
        planes.append(_read_stream(file, next(streams), plane_bytes, size, path) if plane_bytes else b"")
    return contents, planes


def _read_stream(file: BinaryIO, entry: NDArray, plane_bytes: int, size: int, path: Path) -> bytes:
    stored, unpacked = int(entry["stored"]), int(entry["unpacked"])
    if unpacked != plane_bytes or stored > size - file.tell():
        raise ValueError(f"{path}: the table of contents does not fit the data")
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(file.read(stored)) as reader:
            plane = reader.read(plane_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(f"{path}: the compressed data are damaged") from error
    if len(plane) != plane_bytes:
        raise ValueError(f"{path}: ends before all Gaussians that it promises")
    return plane


def _unpack(contents: _Contents, planes: list[bytes]) -> SplatArrays:
    n = contents.count
    positions, opacities, colours, scales, rotations, rest = (np.frombuffer(plane, np.uint8) for plane in planes)
    padded = np.zeros((n, 3, 4), np.uint8)
    padded[:, :, 1:] = positions.reshape(n, 3, 3)  # in the upper three bytes, so that the sign is where it belongs
    fixed = padded.view("<i4")[:, :, 0] >> 8
    num_coefficients = (contents.degree + 1) ** 2
    sh = np.empty((n, num_coefficients, 3), np.float32)
    sh[:, 0] = (colours.reshape(n, 3).astype(np.float32) - 127.5) / _COLOUR_SCALE
    sh[:, 1:] = (rest.reshape(n, num_coefficients - 1, 3).astype(np.float32) - 128) / 128
    quats_xyzw = _first_three(rotations) if contents.version == 2 else _smallest_three(rotations)
    return SplatArrays(
        means=(fixed / (1 << contents.fraction_bits)).astype(np.float32),
        log_scales=scales.reshape(n, 3).astype(np.float32) / 16 - 10,
        quats_wxyz=np.roll(quats_xyzw, 1, axis=1),
        opacity_logits=logits_of_codes(opacities),
        sh=sh,
    )


def _smallest_three(plane: NDArray[np.uint8]) -> Floats:
    packed = plane.view("<u4")
    parts = np.stack([packed >> 20, packed >> 10, packed], axis=1)
    values = (parts & 511).astype(np.float32) * np.float32(1 / (511 * np.sqrt(2)))
    return from_smallest_three(packed >> 30, np.where(parts & 512, -values, values))


def _first_three(plane: NDArray[np.uint8]) -> Floats:
    xyz = plane.reshape(-1, 3).astype(np.float32) / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - (xyz * xyz).sum(axis=1, keepdims=True)))
    return np.concatenate([xyz, w], axis=1)
