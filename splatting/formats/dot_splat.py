"""`.splat` files: 32 bytes a Gaussian, no header, no view-dependent colour.

Position and linear scale as three float32 each, then bytes: RGB and opacity, and the quaternion wxyz as 128 + 128 q.
Source: `convert.py` and `main.js` of antimatter15/splat. Viewers draw what has arrived; the largest and most opaque
come first.
"""

from pathlib import Path

import numpy as np

from splatting.formats.arrays import SplatArrays, logits_of_codes, opacity_codes, to_arrays, to_bytes, to_gaussians
from splatting.formats.whole_files import whole_file
from splatting.gaussians import Gaussians
from splatting.spherical_harmonics import C0

_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("colour", "u1", 3), ("opacity", "u1"), ("quat", "u1", 4)])
# The logarithms of a scale: 0, which some files hold, is taken for the smallest of these.
_MIN_SCALE = 1e-10


def importance_order(gaussians: Gaussians) -> np.ndarray:
    """Indices [N] from the largest and most opaque Gaussian to the least."""
    parts = gaussians.detach()
    weight = parts.log_scales.double().sum(1) + parts.opacity_logits.double().sigmoid().log()
    return (-weight).argsort(stable=True).numpy()


def write_splat(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians, most important first; the file appears whole or not at all.

    Colours are cut to [0, 1]; all but the constant spherical harmonic is lost.

    Raises:
        ValueError: values are not finite, or a scale is beyond float32.
    """
    arrays = to_arrays(gaussians)
    rows = np.empty(len(arrays), _ROW)
    rows["mean"] = arrays.means
    with np.errstate(over="ignore"):
        rows["scale"] = np.exp(arrays.log_scales)
    if not np.isfinite(rows["scale"]).all():
        raise ValueError("scales must be finite to be written in this format")
    rows["colour"] = to_bytes((arrays.sh[:, 0] * C0 + 0.5) * 255)
    rows["opacity"] = opacity_codes(arrays.opacity_logits)
    rows["quat"] = to_bytes(arrays.quats_wxyz * 128 + 128)
    with whole_file(path) as file:
        file.write(rows[importance_order(gaussians)].tobytes())


def read_splat(path: Path) -> Gaussians:
    """Read Gaussians in the order of the file; their spherical harmonics have degree 0.

    A rotation of zero, as (128, 128, 128, 128), stands for none.

    Raises:
        ValueError: the file has another size than whole Gaussians have, or holds values that are none.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size % _ROW.itemsize:
        raise ValueError(f"{path}: {size} bytes are no whole number of Gaussians of {_ROW.itemsize} bytes")
    with path.open("rb") as file:
        rows = np.fromfile(file, _ROW, size // _ROW.itemsize)
    if len(rows) * _ROW.itemsize != size:
        raise ValueError(f"{path}: ended while it was read")
    if not (rows["scale"] >= 0).all():
        raise ValueError(f"{path}: a scale is negative or no number")
    quats = (rows["quat"].astype(np.float32) - 128) / 128
    quats[(quats == 0).all(axis=1)] = (1, 0, 0, 0)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    sh = ((rows["colour"].astype(np.float32) / 255 - 0.5) / C0)[:, None]
    log_scales = np.log(np.maximum(rows["scale"], _MIN_SCALE))
    return to_gaussians(SplatArrays(rows["mean"], log_scales, quats, logits_of_codes(rows["opacity"]), sh), path)
