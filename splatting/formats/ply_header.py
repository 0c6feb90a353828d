"""Headers of binary little-endian PLY files: which elements follow, how many, in which layout."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_MAX_HEADER_BYTES = 1 << 16
_MAX_LINE_BYTES = 1024
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4",
    "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
    "float": "<f4", "double": "<f8", "float32": "<f4", "float64": "<f8",
}  # fmt: skip


@dataclass(frozen=True)
class PlyElement:
    """One kind of rows in a PLY file.

    Attributes:
        name: "vertex", "face", "chunk", ...
        count: number of rows promised.
        layout: the properties of one row by name; None if one of them is a list, whose rows have no fixed size.
    """

    name: str
    count: int
    layout: np.dtype | None


@dataclass(frozen=True)
class PlyHeader:
    """Elements in the order in which their rows follow, and the comments, without the word `comment`."""

    elements: tuple[PlyElement, ...]
    comments: tuple[str, ...]


def read_header(file: BinaryIO, path: Path) -> PlyHeader:
    """Read a header; leaves the file at the first row.

    Raises:
        ValueError: this is no binary little-endian PLY file, or its header is damaged.
    """
    lines = _header_lines(file, path)
    if lines[1:2] != ["format binary_little_endian 1.0"]:
        raise ValueError(f"{path}: only binary little-endian PLY files hold Gaussians here")
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    comments: list[str] = []
    for line in lines[2:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            comments += [" ".join(words[1:])] if words[:1] == ["comment"] else []
        elif words[0] == "element" and len(words) == 3 and words[2].isascii() and words[2].isdecimal():
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _TYPES:
            elements[-1][2].append((words[2], _TYPES[words[1]]))
        elif words[0] == "property" and elements and len(words) == 5 and words[1] == "list":
            elements[-1][2].append((words[4], ""))
        else:
            raise ValueError(f"{path}: cannot understand the header line {line!r}")
    return PlyHeader(tuple(_element(path, *element) for element in elements), tuple(comments))


def check_size(file: BinaryIO, num_bytes: int, path: Path) -> None:
    """Refuse a header that promises more than follows it, before anything is allocated.

    Raises:
        ValueError: fewer bytes follow.
    """
    available = os.fstat(file.fileno()).st_size - file.tell()
    if num_bytes > available:
        raise ValueError(f"{path}: {num_bytes} bytes of rows promised, {available} bytes there")


def read_rows(file: BinaryIO, layout: np.dtype, count: int, path: Path) -> NDArray:
    """The next rows of a file.

    Raises:
        ValueError: there are fewer, as when the file is being written.
    """
    rows = np.fromfile(file, layout, count)
    if len(rows) != count:
        raise ValueError(f"{path}: ended while it was read")
    return rows


def _element(path: Path, name: str, count: int, properties: list[tuple[str, str]]) -> PlyElement:
    names = [name for name, _ in properties]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a property is named twice")
    is_fixed = all(kind for _, kind in properties)
    return PlyElement(name, count, np.dtype(properties) if is_fixed else None)


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
