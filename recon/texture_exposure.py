"""Bring photos to one exposure and white balance, from what several of them show of one surface."""

import numpy as np
from numpy.typing import NDArray

_RANGE = (10.0, 245.0)  # darker is noise, brighter is clipped
_ROBUST = 0.1  # logarithmic difference beyond which surfaces shine or hide rather than differ in exposure
_ROUNDS = 10
_PRIOR = 5.0  # points with which a photo is believed to need no correction: few shared points move it little
_LARGEST = np.log(2.0)


def photo_gains(rgb: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factors for the sRGB-coded colours of each photo, by channel, that make photos of one surface agree.

    Least squares of the logarithms, reweighted by Cauchy's function against shine and occlusion. A factor on coded
    values is one of light to the power of 1/2.2: sRGB is nearly a power law. The factors' mean logarithm is near zero.

    Args:
        rgb: [P, N, 3] in [0, 255], colours of N points in P photos.
        weight: [P, N], 0 where a photo does not show a point.

    Returns:
        [P, 3] float32 within [1/2, 2].
    """
    gains = np.ones((len(rgb), 3), np.float32)
    shown = (weight > 0) & ((rgb > _RANGE[0]) & (rgb < _RANGE[1])).all(axis=-1)
    shared = shown.sum(axis=0) >= 2
    if not shared.any():
        return gains
    for channel in range(3):
        values = np.log(np.maximum(rgb[:, shared, channel], 1)).astype(np.float64)
        gains[:, channel] = np.exp(-_log_exposures(values, (weight * shown)[:, shared].astype(np.float64)))
    return gains


def _log_exposures(values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part [P] of `values` [P, N] that belongs to the photo rather than the point."""
    exposures = np.zeros(len(values))
    weight = trust
    for _ in range(_ROUNDS):
        per_point = np.maximum(weight.sum(axis=0), 1e-12)
        # Normal equations of w (value - exposure - point)^2 with the points eliminated.
        matrix = np.diag(weight.sum(axis=1)) - (weight / per_point) @ weight.T
        right = (weight * (values - (weight * values).sum(axis=0) / per_point)).sum(axis=1)
        exposures = np.linalg.solve(matrix + _PRIOR * np.eye(len(values)), right).clip(-_LARGEST, _LARGEST)
        rest = values - exposures[:, None]
        rest = rest - (weight * rest).sum(axis=0) / per_point
        weight = trust / (1 + (rest / _ROBUST) ** 2)
    return exposures
