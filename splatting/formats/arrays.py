"""Between Gaussians and the plain arrays that files are made of, with the checks that every format needs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from splatting.gaussians import Gaussians

Floats = NDArray[np.floating]

# What a file unpacks to may be this much larger than the file, or this large: beyond, it is taken for a bomb.
# Real scenes unpack to 2 to 20 times their file.
MAX_EXPANSION = 200
FREE_BYTES = 64 << 20


@dataclass(frozen=True)
class SplatArrays:
    """The parameters of `Gaussians` as arrays of floats: names, shapes and meaning are the same."""

    means: Floats
    log_scales: Floats
    quats_wxyz: Floats
    opacity_logits: Floats
    sh: Floats

    def __len__(self) -> int:
        return len(self.means)


def to_arrays(gaussians: Gaussians) -> SplatArrays:
    """The values to be written, rotations normalised.

    Raises:
        ValueError: values that are not finite or a rotation that is zero, which no quantised format can hold.
    """
    parts = gaussians.detach()
    tensors = (parts.means, parts.log_scales, parts.quats_wxyz, parts.opacity_logits, parts.sh)
    means, log_scales, quats, logits, sh = (tensor.float().numpy() for tensor in tensors)
    for name, values in (("means", means), ("log_scales", log_scales), ("opacities", logits), ("sh", sh)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite to be written in this format")
    lengths = np.linalg.norm(quats, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("rotations must be finite and not zero to be written in this format")
    return SplatArrays(means, log_scales, quats / lengths, logits, sh)


def to_gaussians(arrays: SplatArrays, path: Path) -> Gaussians:
    """Gaussians of values that were read from a file.

    Raises:
        ValueError: some are not finite, or a rotation is zero.
    """
    names = ("means", "log_scales", "quats_wxyz", "opacity_logits", "sh")
    values = [np.ascontiguousarray(getattr(arrays, name), np.float32) for name in names]
    for name, array in zip(names, values, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} are not finite")
    if (arrays.quats_wxyz == 0).all(axis=1).any():
        raise ValueError(f"{path}: a rotation is zero")
    return Gaussians(*(torch.from_numpy(array) for array in values))


def check_expansion(unpacked_bytes: int, stored_bytes: int, path: Path, most: int = MAX_EXPANSION) -> None:
    """Refuse, before anything is allocated, a file that promises far more than it can hold.

    Raises:
        ValueError: what it promises is above `FREE_BYTES` and `most` times what is stored.
    """
    if unpacked_bytes > max(FREE_BYTES, most * stored_bytes):
        raise ValueError(f"{path}: {stored_bytes} bytes promise {unpacked_bytes}, which no scene packs into so few")


def bytes_per_splat(num_coefficients: int) -> int:
    """Memory of one Gaussian with that many spherical-harmonics coefficients, as float32."""
    return 4 * (3 + 3 + 4 + 1 + 3 * num_coefficients)


def to_bytes(values: Floats) -> NDArray[np.uint8]:
    """Round to whole numbers and clip to [0, 255]."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def opacity_codes(logits: Floats) -> NDArray[np.uint8]:
    """Opacities in 255ths."""
    return to_bytes(255 / (1 + np.exp(-np.clip(logits, -30, 30))))


def logits_of_codes(codes: NDArray[np.uint8]) -> Floats:
    """Inverse of `opacity_codes`; 0 and 255 become the middle of what rounds to them, so that logits stay finite."""
    opacity = np.clip(codes.astype(np.float32) / 255, 0.25 / 255, 1 - 0.25 / 255)
    return np.log(opacity / (1 - opacity))
