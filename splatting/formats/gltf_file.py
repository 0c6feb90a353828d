"""Binary glTF files: accessors and placed primitives, everything checked against the size of the file."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splatting.formats.arrays import Floats

_MAX_JSON_BYTES = 64 << 20
_MAX_DEPTH = 64
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True)
class GltfFile:
    """A binary glTF file: its description, and its one binary chunk as bytes [B] mapped from the file."""

    path: Path
    description: dict[str, Any]
    binary: NDArray[np.uint8]

    def accessor(self, index: object, width: int, *, allow_integers: bool = False) -> Floats:
        """Values [N, width] of an accessor as float32, normalised integers in [0, 1] or [-1, 1].

        Args:
            index: of the accessor.
            width: numbers in a row.
            allow_integers: whether integers that are not normalised may stand for themselves.

        Raises:
            ValueError: it has another width, is sparse, damaged, or reaches beyond the data.
        """
        accessor = self.item("accessors", index)
        data, is_normalised = self._stored(accessor, width), accessor.get("normalized") is True
        if data.dtype.kind != "f" and not is_normalised and not allow_integers:
            raise ValueError(f"{self.path}: an accessor of integers is not normalised")
        values = data.astype(np.float32)
        if data.dtype.kind == "f" or not is_normalised:
            return values
        return np.maximum(values / np.iinfo(data.dtype).max, -1)

    def integers(self, index: object) -> NDArray[np.int64]:
        """Values [N] of an accessor of whole numbers.

        Raises:
            ValueError: it holds anything else, is sparse, damaged, or reaches beyond the data.
        """
        data = self._stored(self.item("accessors", index), 1)
        if data.dtype.kind != "u":
            raise ValueError(f"{self.path}: the indices of a primitive are no whole numbers")
        return data[:, 0].astype(np.int64)

    def width(self, index: object) -> int:
        """Numbers in a row of an accessor; 0 if it is of a kind that is not read."""
        return _WIDTHS.get(str(self.item("accessors", index).get("type")), 0)

    def count(self, index: object) -> int:
        """Rows that an accessor promises.

        Raises:
            ValueError: there is no such accessor, or it does not say.
        """
        return self._whole(self.item("accessors", index), "count")

    def view(self, index: object) -> bytes:
        """The bytes of a buffer view.

        Raises:
            ValueError: there is none, or it reaches beyond the data.
        """
        start, length, _ = self._extent(index)
        return self.binary[start : start + length].tobytes()

    def _stored(self, accessor: dict[str, Any], width: int) -> NDArray[Any]:
        """The numbers [N, width] of an accessor as they lie in the file."""
        kind = accessor.get("componentType")
        if not isinstance(kind, int) or kind not in _COMPONENTS or "sparse" in accessor:
            raise ValueError(f"{self.path}: an accessor is of a kind that is not read")
        if _WIDTHS.get(str(accessor.get("type"))) != width:
            raise ValueError(f"{self.path}: the rows of an accessor are not as long as they should be")
        start, length, stride = self._extent(accessor.get("bufferView"))
        dtype = np.dtype(_COMPONENTS[kind])
        count, offset = self._whole(accessor, "count"), self._whole(accessor, "byteOffset", 0)
        stride = stride or dtype.itemsize * width
        end = offset + (count - 1) * stride + dtype.itemsize * width if count else offset
        if stride < dtype.itemsize * width:
            raise ValueError(f"{self.path}: the rows of an accessor overlap")
        if end > length:
            raise ValueError(f"{self.path}: {count} values promised, which reach beyond the data")
        return np.ndarray((count, width), dtype, self.binary, start + offset, (stride, dtype.itemsize))

    def _extent(self, index: object) -> tuple[int, int, int]:
        """First byte, length and stride of a buffer view; stride 0 where it has none."""
        view = self.item("bufferViews", index)
        start, length = self._whole(view, "byteOffset", 0), self._whole(view, "byteLength")
        if self._whole(view, "buffer") != 0:
            raise ValueError(f"{self.path}: its data do not all lie in the binary part")
        if start + length > len(self.binary):
            raise ValueError(f"{self.path}: {length} bytes promised, which reach beyond the data")
        return start, length, self._whole(view, "byteStride", 0)

    def primitives(self) -> Iterator[tuple[dict[str, Any], NDArray[np.float64]]]:
        """Primitives of the meshes in the scene, each with `world_from_node` [4, 4] of its node.

        Raises:
            ValueError: the scene is damaged, or one of its nodes hangs from two others or from itself.
        """
        scene = self.item("scenes", self.description.get("scene", 0))
        stack = [(node, np.eye(4), 0) for node in self._list(scene, "nodes")]
        seen: set[int] = set()
        while stack:
            index, world_from_parent, depth = stack.pop()
            node = self.item("nodes", index)
            if index in seen or depth > _MAX_DEPTH:
                raise ValueError(f"{self.path}: its nodes are no tree, or too deep a one")
            seen.add(index)
            world_from_node = world_from_parent @ self._parent_from_node(node)
            if "mesh" in node:
                for primitive in self._list(self.item("meshes", node["mesh"]), "primitives"):
                    yield self._dict(primitive), world_from_node
            stack += [(child, world_from_node, depth + 1) for child in self._list(node, "children")]

    def _parent_from_node(self, node: dict[str, Any]) -> NDArray[np.float64]:
        if "matrix" in node:
            return self._numbers(node["matrix"], 16).reshape(4, 4).T  # stored by columns
        placed = np.eye(4)
        x, y, z, w = self._numbers(node.get("rotation", (0, 0, 0, 1)), 4)
        length = x * x + y * y + z * z + w * w
        if length == 0:
            raise ValueError(f"{self.path}: a node has no rotation")
        s = 2 / length
        placed[:3, :3] = np.eye(3) + s * np.array(
            [
                [-y * y - z * z, x * y - z * w, x * z + y * w],
                [x * y + z * w, -x * x - z * z, y * z - x * w],
                [x * z - y * w, y * z + x * w, -x * x - y * y],
            ]
        )
        placed[:3, :3] *= self._numbers(node.get("scale", (1, 1, 1)), 3)
        placed[:3, 3] = self._numbers(node.get("translation", (0, 0, 0)), 3)
        return placed

    def item(self, kind: str, index: object) -> dict[str, Any]:
        """One of the things that its description lists, as "nodes" or "materials".

        Raises:
            ValueError: there is none of that index.
        """
        items = self._list(self.description, kind)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(items):
            raise ValueError(f"{self.path}: {index!r} is none of its {len(items)} {kind}")
        return self._dict(items[index])

    def _list(self, holder: dict[str, Any], key: str) -> list[Any]:
        value = holder.get(key, [])
        if not isinstance(value, list):
            raise ValueError(f"{self.path}: {key} is not a list")
        return value

    def _dict(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"{self.path}: its description is damaged")
        return value

    def _whole(self, holder: dict[str, Any], key: str, default: int | None = None) -> int:
        value = holder.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 48:
            raise ValueError(f"{self.path}: {key} is {str(value)[:40]}")
        return value

    def _numbers(self, value: object, count: int) -> NDArray[np.float64]:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise ValueError(f"{self.path}: a node is damaged")
        if not all(isinstance(number, int | float) and abs(number) < 1e30 for number in value):
            raise ValueError(f"{self.path}: a node is damaged")
        return np.array(value, np.float64)


def read_gltf(path: Path) -> GltfFile:
    """Read a binary glTF file; its binary part stays on disk until it is needed.

    Raises:
        ValueError: it is no binary glTF 2.0, or damaged, or has its data elsewhere.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise ValueError(f"{path}: is not a binary glTF file")
        version, total, json_bytes, json_type = struct.unpack("<4xIII4s", head)
        if version != 2 or total > size or json_type != b"JSON" or json_bytes > min(total - 20, _MAX_JSON_BYTES):
            raise ValueError(f"{path}: is damaged, or not of glTF 2.0")
        description = _parse(file.read(json_bytes), path)
        chunk = file.read(8)
        if len(chunk) < 8:
            raise ValueError(f"{path}: has no binary part")
        binary_bytes, binary_type = struct.unpack("<I4s", chunk)
        if binary_type != b"BIN\0" or binary_bytes > size - file.tell():
            raise ValueError(f"{path}: its binary part is damaged")
        start = file.tell()
    if not binary_bytes:
        return GltfFile(path, description, np.zeros(0, np.uint8))
    return GltfFile(path, description, np.memmap(path, np.uint8, "r", start, (binary_bytes,)))


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its description is no JSON") from error
    if not isinstance(description, dict):
        raise ValueError(f"{path}: its description is damaged")
    buffers = description.get("buffers")
    if not isinstance(buffers, list) or not buffers or not isinstance(buffers[0], dict) or "uri" in buffers[0]:
        raise ValueError(f"{path}: its data are not in the file itself")
    return description
