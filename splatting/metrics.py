"""How good a rendered picture is: PSNR and SSIM in float64, as the literature on Gaussian splatting reports them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from splatting.losses import SSIM_C1, SSIM_C2, WINDOW_SIGMA, WINDOW_SIZE

MAX_PSNR_DB = 100.0  # given for pictures that agree


def psnr(rgb: Any, target: Any, mask: Any | None = None) -> float:
    """Peak signal-to-noise ratio, from the mean squared error over pixels and channels.

    Args:
        rgb, target: pictures in [0, 1], arrays or CPU tensors [H, W, 3].
        mask: bool [H, W]; only these pixels count. All of them if None.

    Returns:
        Decibels, at most 100.

    Raises:
        ValueError: shapes do not fit, or the mask is empty.
    """
    a, b = checked_pictures(rgb, target)
    error = float(_masked((a - b) ** 2, mask).mean())
    return MAX_PSNR_DB if error < 10 ** (-MAX_PSNR_DB / 10) else -10 * float(np.log10(error))


def ssim(rgb: Any, target: Any, mask: Any | None = None) -> float:
    """Mean structural similarity over pixels and channels.

    11 x 11 Gaussian window of sigma 1.5 px, zero padding, constants for a range of 1 [1].

    Args:
        rgb, target: pictures in [0, 1], arrays or CPU tensors [H, W, 3].
        mask: bool [H, W]; the mean goes over windows centred there, which may see pixels beside. All of them if None.

    Returns:
        At most 1, for pictures that agree.

    Raises:
        ValueError: shapes do not fit, or the mask is empty.

    [1] Wang, Bovik, Sheikh & Simoncelli, Image quality assessment, IEEE TIP 13(4), 2004.
    """
    a, b = checked_pictures(rgb, target)
    mean_a, mean_b = _blur(a), _blur(b)
    variances = _blur(a * a) + _blur(b * b) - mean_a**2 - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)
    similarity /= (mean_a**2 + mean_b**2 + SSIM_C1) * (variances + SSIM_C2)
    return float(_masked(similarity, mask).mean())


def exposure_matched(rgb: Any, target: Any, mask: Any | None = None) -> NDArray[np.float64]:
    """A render made as bright as its photo: each channel times a gain plus an offset, by least squares, [H, W, 3].

    Cameras choose an exposure for each photo, which no scene can know of a photo that was kept back: scored so, as NeRF
    in the Wild and its successors are, a scene is not blamed for it.

    Args:
        rgb, target: pictures in [0, 1], arrays or CPU tensors [H, W, 3].
        mask: bool [H, W]; only these pixels count. All of them if None.

    Raises:
        ValueError: shapes do not fit, or the mask is empty.
    """
    a, b = checked_pictures(rgb, target)
    inside_a, inside_b = (_masked(values, mask).reshape(-1, 3) for values in (a, b))
    spread = ((inside_a - inside_a.mean(0)) ** 2).sum(0)
    shared = ((inside_a - inside_a.mean(0)) * (inside_b - inside_b.mean(0))).sum(0)
    gain = np.where(spread > 0, shared / np.maximum(spread, 1e-12), 1.0)
    return np.asarray((gain * (a - inside_a.mean(0)) + inside_b.mean(0)).clip(0, 1))


def checked_pictures(rgb: Any, target: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two pictures as arrays [H, W, 3].

    Raises:
        ValueError: one is no picture, or they differ in size.
    """
    a, b = np.asarray(rgb, np.float64), np.asarray(target, np.float64)
    if a.ndim != 3 or a.shape[2] != 3 or a.size == 0:
        raise ValueError(f"rgb must be [H, W, 3] with at least one pixel, got {list(a.shape)}")
    if a.shape != b.shape:
        raise ValueError(f"target must be {list(a.shape)} as rgb is, got {list(b.shape)}")
    return a, b


def _masked(values: NDArray[np.float64], mask: Any | None) -> NDArray[np.float64]:
    """Values [H, W, 3], or those of the mask's pixels, [N, 3]."""
    if mask is None:
        return values
    inside = np.asarray(mask)
    if inside.shape != values.shape[:2] or inside.dtype != bool:
        raise ValueError(f"mask must be bool {list(values.shape[:2])}, got {inside.dtype} {list(inside.shape)}")
    if not inside.any():
        raise ValueError("the mask has no pixel")
    return values[inside]


def _blur(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.arange(WINDOW_SIZE) - WINDOW_SIZE // 2
    window = np.exp(-(x**2) / (2 * WINDOW_SIGMA**2))
    window /= window.sum()
    across = correlate1d(picture, window, axis=0, mode="constant")
    return np.asarray(correlate1d(across, window, axis=1, mode="constant"))
