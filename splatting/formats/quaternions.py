"""Unit quaternions by their three smallest components, as SPZ, SOG and compressed PLY pack them."""

import numpy as np
from numpy.typing import NDArray

from splatting.formats.arrays import Floats

_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def smallest_three(quats: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Split unit quaternions [N, 4], in any order of components.

    Returns:
        Index of the largest component [N], and the other three in their order [N, 3], signed so that the largest is
        positive: each within 1 / sqrt(2) of zero.
    """
    largest = np.abs(quats).argmax(axis=1)
    signs = np.where(np.take_along_axis(quats, largest[:, None], axis=1) < 0, -1, 1)
    return largest, np.take_along_axis(quats, _OTHERS[largest], axis=1) * signs.astype(np.float32)


def from_smallest_three(largest: NDArray[np.integer], others: Floats) -> Floats:
    """Inverse of `smallest_three`: unit quaternions [N, 4]; `others` too long for a unit length give a largest of 0."""
    quats = np.empty((len(others), 4), np.float32)
    index = largest.astype(np.int64)
    np.put_along_axis(quats, _OTHERS[index], others.astype(np.float32), axis=1)
    rest = np.sqrt(np.maximum(0, 1 - (others * others).sum(axis=1)))
    np.put_along_axis(quats, index[:, None], rest[:, None].astype(np.float32), axis=1)
    return quats
