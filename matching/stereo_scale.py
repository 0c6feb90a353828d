"""What stereo needs of the photos at one image scale, ready for the native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

import matching._native as _native

if TYPE_CHECKING:
    from matching.stereo import StereoImage

_GRAY_OFFSET = 128  # kGreyOffset of native/kernels.hpp
_MIN_SIDE = 24  # px; smaller images tell nothing that the next larger scale does not


@dataclass(frozen=True)
class Scale:
    """The photos at one scale.

    Attributes:
        width, height: of the reference at this scale, px.
        radius: the window is 2 radius + 1 px wide.
        step: inverse depth that moves a pixel by about one px in the source where it moves most.
        padded: grey of the reference less 128, columns mirrored, [H, W + 2 radius].
        mean, variance: of `padded` over the window, [H, W].
        sources: native handles.
    """

    width: int
    height: int
    radius: int
    step: float
    padded: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    sources: list[_native.StereoSource]


def make_scales(
    reference: StereoImage,
    sources: Sequence[StereoImage],
    inverse_depth_limits: tuple[float, float],
    num_scales: int,
    radius: int,
) -> list[Scale]:
    """Make the scales, smallest first; scales under 24 px are left out, the full one never."""
    short_side = min(reference.gray.shape)
    halvings = [n for n in reversed(range(num_scales)) if n == 0 or short_side >> n >= _MIN_SIDE]
    # The sweep at the smallest scale sees more through a slightly smaller window.
    radii = [max(radius - 1, 1) if n == halvings[0] > 0 else radius for n in halvings]
    return [_make_scale(reference, sources, inverse_depth_limits, n, r) for n, r in zip(halvings, radii, strict=True)]


def _make_scale(
    reference: StereoImage, sources: Sequence[StereoImage], limits: tuple[float, float], halvings: int, radius: int
) -> Scale:
    gray, K = _reduced(reference, halvings)
    height, width = gray.shape
    handles, steps = [], []
    for source in sources:
        source_gray, source_K = _reduced(source, halvings)
        source_from_reference = source.cam_from_reference @ np.linalg.inv(reference.cam_from_reference)
        from_pixel = source_K @ source_from_reference[:3, :3] @ np.linalg.inv(K)
        epipole = source_K @ source_from_reference[:3, 3]
        valid = None if source.valid is None else _reduced_mask(source.valid, source_gray.shape)
        handles.append(_native.StereoSource(_pairs(source_gray), valid, from_pixel, epipole.tolist()))
        steps.append(_px_per_inverse_depth(from_pixel, epipole, (width, height), source_gray.shape[::-1], limits))
    # Twenty-four planes over the range where no source sees anything of it.
    step = 1 / max(max(steps), 24 / (limits[1] - limits[0]))
    centred = gray - np.float32(_GRAY_OFFSET)
    mean, variance = _window_statistics(centred, radius)
    padded = np.pad(centred, ((0, 0), (radius, radius)), mode="symmetric")
    return Scale(width, height, radius, step, padded, mean, variance, handles)


def _reduced(image: StereoImage, halvings: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    gray, K = image.gray.astype(np.float32), np.array(image.K, dtype=np.float64)
    if halvings == 0:
        return gray, K
    height, width = (max(side >> halvings, 1) for side in gray.shape)
    K[0] *= width / gray.shape[1]
    K[1] *= height / gray.shape[0]
    return np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA), np.float32), K


def _reduced_mask(valid: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    height, width = shape
    share = cv2.resize(valid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return (share > 0.999).astype(np.uint8)


def _pairs(gray: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Each pixel and its right neighbour as 8.8 fixed point in one word: two loads make a bilinear sample."""
    fixed = np.clip(np.rint(gray * 256), 0, 65535).astype(np.uint32)
    right = np.concatenate([fixed[:, 1:], fixed[:, -1:]], axis=1)
    return np.ascontiguousarray(fixed | right << 16)


def _window_statistics(gray: NDArray[np.float32], radius: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    size = (2 * radius + 1, 2 * radius + 1)
    exact = gray.astype(np.float64)
    mean = cv2.blur(exact, size, borderType=cv2.BORDER_REFLECT)
    variance = cv2.blur(exact**2, size, borderType=cv2.BORDER_REFLECT) - mean**2
    return mean.astype(np.float32), np.maximum(variance, 0).astype(np.float32)


def _px_per_inverse_depth(
    from_pixel: NDArray[np.float64],
    epipole: NDArray[np.float64],
    size: tuple[int, int],
    source_size: tuple[int, ...],
    limits: tuple[float, float],
) -> float:
    """How far a pixel moves in a source per unit of inverse depth: the median over what it sees; 0 if nothing."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0.05, 0.95, 8) * width, np.linspace(0.05, 0.95, 8) * height)
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1) @ from_pixel.T  # [64, 3]
    points = rays[:, None] + np.linspace(*limits, 16)[None, :, None] * epipole  # [64, 16, 3]
    divisor = np.where(points[..., 2] > 1e-6, points[..., 2], np.nan)
    u, v = points[..., 0] / divisor, points[..., 1] / divisor
    is_seen = (u > 0) & (u < source_size[0]) & (v > 0) & (v < source_size[1])
    if not is_seen.any():
        return 0.0
    speed = np.hypot(epipole[0] - u * epipole[2], epipole[1] - v * epipole[2]) / divisor
    return float(np.median(speed[is_seen]))
