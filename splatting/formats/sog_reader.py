"""Reading SOG files: an archive from anywhere, so every size, name and number is checked before it is used."""

import io
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splatting.formats.arrays import (
    FREE_BYTES,
    Floats,
    SplatArrays,
    bytes_per_splat,
    check_expansion,
    logits_of_codes,
    to_gaussians,
)
from splatting.formats.quaternions import from_smallest_three
from splatting.formats.sog import MAX_PALETTE, PALETTE_WIDTH, QUAT_TAG
from splatting.gaussians import Gaussians

_MAX_META_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OverflowError, IndexError)
_COEFFICIENTS = {1: 3, 2: 8, 3: 15}
# Pictures are about square, with a pixel for each Gaussian; others may leave some rows empty.
_SPARE_PIXELS = 1 << 16


def read_sog(path: Path) -> Gaussians:
    """Read Gaussians of a bundled SOG file of version 2 in the order of the file. Nothing is unpacked to disk.

    Raises:
        ValueError: the file is no such file, is damaged, or promises more than it can hold.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Bundle(archive, path).read()
    except _ZIP_ERRORS as error:
        raise ValueError(f"{path}: is no zip archive, or a damaged one") from error


class _Bundle:
    """The archive while it is read."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._path = archive, path
        self._size = path.stat().st_size
        self._meta = self._json()
        self._count = self._whole(self._meta, "count", 1 << 32)
        if self._meta.get("version") != 2:
            raise self._error("is not of version 2 of SOG")

    def read(self) -> Gaussians:
        """All Gaussians."""
        rest = self._meta.get("shN")
        num_rest = 0
        if rest is not None:
            num_rest = _COEFFICIENTS.get(self._whole(self._section("shN"), "bands", 4), 0)
            if not num_rest:
                raise self._error("has another number of bands of harmonics than 1 to 3")
        check_expansion(self._count * bytes_per_splat(1 + num_rest), self._size, self._path)
        quats = self._per_splat("quats")
        if (quats[:, 3] < QUAT_TAG).any():
            raise self._error("a rotation is damaged")
        others = (quats[:, :3].astype(np.float32) / 127.5 - 1) / np.float32(np.sqrt(2))
        scales, dc = self._per_splat("scales"), self._per_splat("sh0")
        sh = np.empty((self._count, 1 + num_rest, 3), np.float32)
        sh[:, 0] = self._codebook("sh0")[dc[:, :3]]
        if num_rest:
            sh[:, 1:] = self._harmonics(num_rest)
        arrays = SplatArrays(
            means=self._means(),
            log_scales=self._codebook("scales")[scales[:, :3]],
            quats_wxyz=from_smallest_three(quats[:, 3] - QUAT_TAG, others),
            opacity_logits=logits_of_codes(dc[:, 3]),
            sh=sh,
        )
        return to_gaussians(arrays, self._path)

    def _means(self) -> Floats:
        low, high = (self._numbers(self._section("means"), key, 3) for key in ("mins", "maxs"))
        steps = self._per_splat("means", 0)[:, :3] + self._per_splat("means", 1)[:, :3].astype(np.float64) * 256
        logs = low + steps * ((high - low) / 65535)
        with np.errstate(over="ignore"):  # what becomes infinite is refused with the other values
            return (np.sign(logs) * np.expm1(np.abs(logs))).astype(np.float32)

    def _harmonics(self, num_rest: int) -> Floats:
        """[N, S - 1, 3]"""
        entries = self._whole(self._section("shN"), "count", MAX_PALETTE)
        centroids = self._picture("shN", 0, PALETTE_WIDTH * num_rest * (math.ceil(entries / PALETTE_WIDTH) + 64))
        if centroids.shape[1] != PALETTE_WIDTH * num_rest or centroids.shape[0] * PALETTE_WIDTH < entries:
            raise self._error("the palette of harmonics has another size than promised")
        table = self._codebook("shN")[centroids[:, :, :3].reshape(-1, num_rest, 3)]
        pixels = self._per_splat("shN", 1).astype(np.int64)
        labels = pixels[:, 0] | pixels[:, 1] << 8
        if (labels >= entries).any():
            raise self._error("a Gaussian points beyond the palette of harmonics")
        return table[labels]

    def _per_splat(self, section: str, index: int = 0) -> NDArray[np.uint8]:
        """The pixels [N, 4] of all Gaussians."""
        pixels = self._picture(section, index, 4 * self._count + _SPARE_PIXELS).reshape(-1, 4)
        if len(pixels) < self._count:
            raise self._error(f"a picture of {section} has fewer pixels than there are Gaussians")
        return pixels[: self._count]

    def _picture(self, section: str, index: int, max_pixels: int) -> NDArray[np.uint8]:
        """Pixels [H, W, 4] of a file that the section names."""
        files = self._section(section).get("files")
        if not isinstance(files, list) or index >= len(files):
            raise self._error(f"names no file {index} for {section}")
        data = self._member(files[index], self._size)
        width, height = _webp_size(data)
        if width * height > max_pixels:
            raise self._error(f"a picture of {section} is far larger than the number of Gaussians")
        try:
            with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
                if image.size != (width, height):
                    raise self._error(f"a picture of {section} has another size than it says")
                return np.asarray(image.convert("RGBA"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise self._error(f"a picture of {section} is damaged") from error

    def _json(self) -> dict[str, Any]:
        try:
            meta = json.loads(self._member("meta.json", _MAX_META_BYTES))
        except (RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise self._error("its meta.json is no JSON") from error
        if not isinstance(meta, dict):
            raise self._error("its meta.json is damaged")
        return meta

    def _member(self, name: object, max_bytes: int) -> bytes:
        """A file of the archive, at most `max_bytes` or `FREE_BYTES` large; read from the archive only, by its name."""
        if not isinstance(name, str) or name not in self._archive.NameToInfo:
            raise self._error(f"holds no file {str(name)[:60]!r}")
        info = self._archive.getinfo(name)
        if info.file_size > max(max_bytes, FREE_BYTES) or info.compress_type not in _METHODS:
            raise self._error(f"{name} is too large, or compressed in another way than usual")
        with self._archive.open(info) as member:
            return member.read(info.file_size)

    def _section(self, name: str) -> dict[str, Any]:
        section = self._meta.get(name)
        if not isinstance(section, dict):
            raise self._error(f"its meta.json says nothing of {name}")
        return section

    def _whole(self, holder: dict[str, Any], key: str, high: int) -> int:
        value = holder.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
            raise self._error(f"{key} is {str(value)[:40]}, which is none from 1 to {high}")
        return value

    def _codebook(self, section: str) -> Floats:
        return self._numbers(self._section(section), "codebook", 256).astype(np.float32)

    def _numbers(self, holder: dict[str, Any], key: str, count: int) -> NDArray[np.float64]:
        values = holder.get(key)
        if not isinstance(values, list) or len(values) != count:
            raise self._error(f"{key} does not have {count} numbers")
        if not all(isinstance(value, int | float) and abs(value) < 1e30 for value in values):
            raise self._error(f"{key} holds something else than finite numbers")
        return np.array(values, np.float64)

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"{self._path}: {reason}")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height by the first chunk of a WebP file, (0, 0) if it is none. Opening one takes memory for all of it.

    Source: the WebP container specification.
    """
    kind = data[12:16] if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else b""
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        sides = int.from_bytes(data[21:25], "little")
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return 0, 0
