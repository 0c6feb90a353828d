"""How different two pictures look when one flips between them: LDR-FLIP [1], which needs no network and no weights.

Chosen as the perceptual measure because all of it is known: learned ones (LPIPS, DISTS) need a network whose weights
are not in any package. Our own implementation after the paper; at every pixel of five pairs of pictures it agrees with
NVIDIA's `flip-evaluator` 1.7 to 1e-5.

[1] Andersson et al., FLIP: A Difference Evaluator for Alternating Images, HPG 2020.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from splatting.metrics import checked_pictures

Floats = NDArray[np.float64]

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * np.pi / 180  # section 3: a screen 0.7 m and 3840 px wide, seen from 0.7 m
# Contrast sensitivity (table 1) of achromatic, red-green and blue-yellow: weights a and widths b of Gaussians, b in
# squared degrees.
_SENSITIVITY = (((1.0, 0.0047),), ((1.0, 0.0053),), ((34.1, 0.04), (13.5, 0.025)))
_WIDEST = 0.04
_COLOUR_EXPONENT, _COLOUR_KNEE, _KNEE_VALUE = 0.7, 0.4, 0.95  # q_c, p_c and p_t
_FEATURE_EXPONENT = 0.5  # q_f
_FEATURE_DEGREES = 0.082  # width of the feature detectors, section 4.2
_XYZ_FROM_RGB = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ]
)
_WHITE = _XYZ_FROM_RGB.sum(axis=1)


def flip(rgb: Any, target: Any) -> Floats:
    """FLIP error of every pixel.

    Args:
        rgb, target: sRGB-coded pictures in [0, 1], arrays or CPU tensors [H, W, 3].

    Returns:
        [H, W] in [0, 1]; 0 where the pictures look the same. Its mean is the usual score.

    Raises:
        ValueError: shapes do not fit.
    """
    pictures = [_opponent(np.clip(picture, 0, 1)) for picture in checked_pictures(rgb, target)]
    colour = _colour_difference(*pictures)
    feature = _feature_difference(*((picture[..., 0] + 16) / 116 for picture in pictures))
    return np.asarray(colour ** (1 - feature))


def _opponent(srgb: Floats) -> Floats:
    """Linearised CIELAB [H, W, 3]: achromatic, red-green, blue-yellow (YCxCz)."""
    linear = np.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    x, y, z = np.moveaxis(linear @ _XYZ_FROM_RGB.T / _WHITE, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _linear_rgb(opponent: Floats) -> Floats:
    y = (opponent[..., 0] + 16) / 116
    xyz = np.stack([opponent[..., 1] / 500 + y, y, y - opponent[..., 2] / 200], axis=-1) * _WHITE
    return np.asarray(xyz @ np.linalg.inv(_XYZ_FROM_RGB).T)


def _hunt_lab(linear: Floats) -> Floats:
    """CIELAB whose chroma grows with lightness [.., 3], section 4.1."""
    ratio = linear @ _XYZ_FROM_RGB.T / _WHITE
    delta = 6 / 29
    x, y, z = np.moveaxis(np.where(ratio > delta**3, np.cbrt(ratio), ratio / (3 * delta**2) + 4 / 29), -1, 0)
    lightness = 116 * y - 16
    return np.stack([lightness, 5 * (x - y) * lightness, 2 * (y - z) * lightness], axis=-1)


def _hyab(a: Floats, b: Floats) -> Floats:
    difference = a - b
    return np.asarray(np.abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2]))


def _colour_difference(a: Floats, b: Floats) -> Floats:
    """What remains of the difference in colour behind the eye's contrast sensitivity, in [0, 1]."""
    labs = [_hunt_lab(np.clip(_linear_rgb(_filtered(picture)), 0, 1)) for picture in (a, b)]
    difference = _hyab(*labs) ** _COLOUR_EXPONENT
    green, blue = _hunt_lab(np.array([0.0, 1, 0])), _hunt_lab(np.array([0.0, 0, 1]))
    most = float(_hyab(green, blue)) ** _COLOUR_EXPONENT
    knee = _COLOUR_KNEE * most
    above = _KNEE_VALUE + (difference - knee) / (most - knee) * (1 - _KNEE_VALUE)
    return np.where(difference < knee, difference * _KNEE_VALUE / knee, above)


def _filtered(opponent: Floats) -> Floats:
    """Each channel behind its contrast sensitivity, a sum of Gaussians that reach three standard deviations."""
    radius = int(np.ceil(3 * np.sqrt(_WIDEST / (2 * np.pi**2)) * PIXELS_PER_DEGREE))
    squared = (np.arange(-radius, radius + 1) / PIXELS_PER_DEGREE) ** 2
    channels = []
    for channel, gaussians in zip(np.moveaxis(opponent, -1, 0), _SENSITIVITY, strict=True):
        kernels = [np.exp(-(np.pi**2) * squared / b) for _, b in gaussians]
        # A Gaussian's share is its sum over the plane, the square of that along a line.
        shares = [a * np.sqrt(np.pi / b) * kernel.sum() ** 2 for (a, b), kernel in zip(gaussians, kernels, strict=True)]
        parts = [
            share / sum(shares) * _separable(channel, kernel / kernel.sum(), kernel / kernel.sum())
            for share, kernel in zip(shares, kernels, strict=True)
        ]
        channels.append(sum(parts))
    return np.stack(channels, axis=-1)


def _feature_difference(a: Floats, b: Floats) -> Floats:
    """How much edges and points of one grey picture [H, W] differ from the other's, in [0, 1]."""
    sigma = 0.5 * _FEATURE_DEGREES * PIXELS_PER_DEGREE
    x = np.arange(-int(np.ceil(3 * sigma)), int(np.ceil(3 * sigma)) + 1)
    gaussian = np.exp(-(x**2) / (2 * sigma**2))
    differences = []
    for detector in (-x * gaussian, (x**2 / sigma**2 - 1) * gaussian):
        balanced = np.where(
            detector < 0, detector / -detector[detector < 0].sum(), detector / detector[detector > 0].sum()
        )
        strengths = [
            np.hypot(
                _separable(picture, balanced, gaussian / gaussian.sum()),
                _separable(picture, gaussian / gaussian.sum(), balanced),
            )
            for picture in (a, b)
        ]
        differences.append(np.abs(strengths[0] - strengths[1]))
    return np.asarray((np.maximum(*differences) / np.sqrt(2)) ** _FEATURE_EXPONENT)


def _separable(picture: Floats, along_x: Floats, along_y: Floats) -> Floats:
    across = correlate1d(picture, along_x, axis=1, mode="nearest")
    return np.asarray(correlate1d(across, along_y, axis=0, mode="nearest"))
