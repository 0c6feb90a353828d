"""SOG files, version 2, of PlayCanvas: a zip of lossless WebP pictures with one pixel a Gaussian, and `meta.json`.

Positions in 16 bits on a logarithmic scale, quaternions by their three smallest components, log-scales and constant
colours through codebooks of 256 numbers, the other harmonics through a palette. Written along a Morton curve: what
lies near looks alike, and the pictures become small. Source: `write-sog` and `read-sog` of PlayCanvas splat-transform
and their text on the format.
"""

import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splatting.formats.arrays import Floats, SplatArrays, opacity_codes, to_arrays, to_bytes
from splatting.formats.morton import morton_order
from splatting.formats.quaternions import smallest_three
from splatting.formats.sog_palette import codebook, nearest_codes, palette
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians

MAX_PALETTE = 1 << 16
# Unless told otherwise: up to so many entries, and above that one for four Gaussians. On two scenes of 100,000 and
# 139,000 Gaussians that was a tenth smaller than the largest palette, with errors well below those of an 8-bit code.
_FREE_PALETTE = 1 << 14
_GAUSSIANS_PER_ENTRY = 4
PALETTE_WIDTH = 64  # entries in a row of their picture
QUAT_TAG = 252  # plus the index of the largest component: the fourth byte of a quaternion


def usual_palette(count: int) -> int:
    """Most entries in the palette of so many Gaussians, unless told otherwise."""
    return min(max(count // _GAUSSIANS_PER_ENTRY, _FREE_PALETTE), MAX_PALETTE)


def write_sog(
    gaussians: Gaussians,
    path: Path,
    *,
    max_palette: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write Gaussians, sorted along a Morton curve; the file appears whole or not at all.

    Args:
        gaussians: written as they are.
        path: the file.
        max_palette: most entries in the palette of harmonics, 1 to 65,536; fewer make a smaller file. None: all
            harmonics of 16,384 Gaussians are kept, and a quarter of those of more.
        progress: called while the palette is made; what it raises ends the writing.

    Raises:
        ValueError: there are none, values are not finite, or the palette has another size.
    """
    if max_palette is None:
        max_palette = usual_palette(len(gaussians))
    if not 1 <= max_palette <= MAX_PALETTE:
        raise ValueError(f"max_palette must be 1 to {MAX_PALETTE}, got {max_palette}")
    arrays = to_arrays(gaussians.select(morton_order(gaussians.means)))
    if len(arrays) == 0:
        raise ValueError("a SOG file cannot hold no Gaussians at all")
    pictures, meta = _pictures(arrays, max_palette, progress or (lambda done, total, message: None))
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # ZipInfo without a date: the same scene gives the same file.
        archive.writestr(zipfile.ZipInfo("meta.json"), json.dumps(meta))
        for name, pixels in pictures.items():
            archive.writestr(zipfile.ZipInfo(name), _webp(pixels))


def _pictures(
    arrays: SplatArrays, max_palette: int, progress: Callable[[int, int, str], None]
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, object]]:
    """Pictures [H, W, 4] by name, and what `meta.json` says of them."""
    logs = np.sign(arrays.means) * np.log1p(np.abs(arrays.means))
    low, high = logs.min(axis=0), logs.max(axis=0)
    steps = np.round((logs - low) / np.maximum(high - low, np.finfo(np.float32).tiny) * 65535).astype(np.uint16)
    largest, others = smallest_three(arrays.quats_wxyz)
    quats = to_bytes((others * np.float32(np.sqrt(2)) + 1) * 127.5)
    scale_codes, dc_codes = codebook(arrays.log_scales), codebook(arrays.sh[:, 0])
    scales, dc = nearest_codes(arrays.log_scales, scale_codes), nearest_codes(arrays.sh[:, 0], dc_codes)
    pictures = {
        "means_l.webp": _per_splat((steps & 255).astype(np.uint8)),
        "means_u.webp": _per_splat((steps >> 8).astype(np.uint8)),
        "scales.webp": _per_splat(scales),
        "quats.webp": _per_splat(np.c_[quats, (largest + QUAT_TAG).astype(np.uint8)]),
        "sh0.webp": _per_splat(np.c_[dc, opacity_codes(arrays.opacity_logits)]),
    }
    meta: dict[str, object] = {
        "version": 2,
        "asset": {"generator": "handful"},
        "count": len(arrays),
        "means": {"mins": low.tolist(), "maxs": high.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": scale_codes.tolist(), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": dc_codes.tolist(), "files": ["sh0.webp"]},
    }
    if arrays.sh.shape[1] > 1:
        _add_harmonics(arrays.sh[:, 1:], max_palette, pictures, meta, progress)
    return pictures, meta


def _add_harmonics(
    rest: Floats,
    max_palette: int,
    pictures: dict[str, NDArray[np.uint8]],
    meta: dict[str, object],
    progress: Callable[[int, int, str], None],
) -> None:
    n, num_rest, _ = rest.shape
    entries, labels = palette(rest.reshape(n, -1), max_palette, progress)
    codes = codebook(entries)
    rows = math.ceil(len(entries) / PALETTE_WIDTH)
    centroids = np.zeros((rows * PALETTE_WIDTH, num_rest, 4), np.uint8)
    centroids[: len(entries), :, :3] = nearest_codes(entries, codes).reshape(-1, num_rest, 3)
    centroids[..., 3] = 255
    pictures["shN_centroids.webp"] = centroids.reshape(rows, PALETTE_WIDTH * num_rest, 4)
    pictures["shN_labels.webp"] = _per_splat(np.stack([labels & 255, labels >> 8, 0 * labels], 1).astype(np.uint8))
    meta["shN"] = {
        "count": len(entries),
        "bands": {3: 1, 8: 2, 15: 3}[num_rest],
        "codebook": codes.tolist(),
        "files": ["shN_centroids.webp", "shN_labels.webp"],
    }


def _per_splat(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A nearly square picture [H, W, 4] of values [N, 3|4], sides a multiple of 4; three values are opaque."""
    n = len(values)
    width = 4 * math.ceil(math.sqrt(n) / 4)
    height = 4 * math.ceil(n / width / 4)
    picture = np.zeros((height * width, 4), np.uint8)
    picture[:, 3] = 255
    picture[:n, : values.shape[1]] = values
    return picture.reshape(height, width, 4)


def _webp(pixels: NDArray[np.uint8]) -> bytes:
    """A lossless picture that keeps its colours where it is transparent, too.

    The highest effort, quality 100, took 20 to 45 times as long and gave not one byte less.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=75, method=4, exact=True)
    return buffer.getvalue()
