"""Splats as the page of `recon.html_viewer` holds them.

For each splat a record of 32 bytes, little-endian:

    0   float32 x 3   centre in the world frame
    12  uint32        rotation: the three smaller components of the unit quaternion wxyz whose largest is positive,
                      (v / 1023 * 2 - 1) / sqrt 2, 10 bits each from the lowest; upper 2 bits: which is largest
    16  float16 x 3   natural logarithms of the standard deviations
    22  float16       opacity
    24  float16 x 3   colour from everywhere, 0.5 + C0 x the constant coefficient
    30  2 bytes       zero

and for each coefficient above the constant one, up to the page's degree, red, green and blue in a byte each,
(v - 128) / 128: the steps and the range of SPZ [1]. All records come first, as planes (byte 0 of all splats, byte 1
of all, ...: a fifth smaller when compressed), then all coefficients splat by splat; together they go through gzip.

[1] Niantic, https://github.com/nianticlabs/spz, `quantizeSH`.
"""

import gzip

import numpy as np
import torch
from numpy.typing import NDArray

from splatting.gaussians import Gaussians
from splatting.rasterize_torch import MIN_ALPHA
from splatting.spherical_harmonics import num_bases, rgb_from_sh

RECORD = np.dtype(
    [
        ("xyz", "<f4", 3),
        ("rotation", "<u4"),
        ("log_scales", "<f2", 3),
        ("opacity", "<f2"),
        ("rgb", "<f2", 3),
        ("_", "<u2"),
    ]
)
_LARGEST_HALF = 65504.0
_COMPRESSION = 6  # 9 takes four times as long for 1 % less


def drawable_part(gaussians: Gaussians) -> Gaussians:
    """Without those that no rasterizer draws: invisible ones, zero quaternions, numbers that are not finite."""
    parts = gaussians.detach()
    columns = [parts.means, parts.log_scales, parts.quats_wxyz, parts.opacity_logits[:, None], parts.sh.flatten(1)]
    keep = torch.cat(columns, 1).isfinite().all(1) & (parts.quats_wxyz.norm(dim=1) > 0)
    return parts.select(keep & (parts.opacity_logits.sigmoid() >= MIN_ALPHA))


def pack_splats(gaussians: Gaussians, degree: int) -> bytes:
    """Code Gaussians for the page; those that cannot be drawn must be gone, see `drawable_part`.

    Args:
        degree: keep spherical harmonics up to this degree, 0 to the stored one.

    Returns:
        gzip of the records and the coefficients, the same for the same Gaussians.

    Raises:
        ValueError: the Gaussians hold no coefficients of that degree.
    """
    if not 0 <= degree <= gaussians.sh_degree:
        raise ValueError(f"degree must be 0 to {gaussians.sh_degree}, got {degree}")
    parts = gaussians.detach()
    records = np.zeros(len(parts), RECORD)
    records["xyz"] = parts.means.numpy()
    records["rotation"] = _pack_rotations(parts.quats_wxyz.numpy())
    records["log_scales"] = parts.log_scales.numpy().clip(-_LARGEST_HALF, _LARGEST_HALF)
    records["opacity"] = parts.opacity_logits.sigmoid().numpy()
    records["rgb"] = rgb_from_sh(parts.sh[:, 0]).numpy().clip(-_LARGEST_HALF, _LARGEST_HALF)
    planes = records.view(np.uint8).reshape(len(parts), RECORD.itemsize).T
    rest = parts.sh[:, 1 : num_bases(degree)].numpy()
    coefficients = (np.round(rest * 128) + 128).clip(0, 255).astype(np.uint8)
    return gzip.compress(planes.tobytes() + coefficients.tobytes(), _COMPRESSION, mtime=0)


def _pack_rotations(quats_wxyz: NDArray[np.float32]) -> NDArray[np.uint32]:
    unit = quats_wxyz / np.linalg.norm(quats_wxyz, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(1)
    rows = np.arange(len(unit))
    unit = unit * np.where(unit[rows, largest] < 0, -1, 1)[:, None]
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[largest]
    three = np.round((unit[rows[:, None], others] * np.sqrt(2) + 1) / 2 * 1023).clip(0, 1023).astype(np.uint32)
    return three[:, 0] | three[:, 1] << 10 | three[:, 2] << 20 | largest.astype(np.uint32) << 30
