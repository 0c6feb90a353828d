"""Order along a Morton curve: neighbours in space become neighbours in the file."""

import torch
from torch import Tensor

_BITS = 21


def morton_order(means: Tensor) -> Tensor:
    """Indices [N] that sort centres [N, 3] along a curve through 2^21 cells a side.

    The cells are of ranks, not of coordinates: a few far Gaussians do not push all others into one cell.
    """
    if len(means) == 0:
        return torch.empty(0, dtype=torch.int64)
    values = means.detach().cpu()
    ranks = values.argsort(dim=0, stable=True).argsort(dim=0) * (1 << _BITS) // len(values)
    code = torch.zeros(len(values), dtype=torch.int64)
    for axis in range(3):
        code |= _spread(ranks[:, axis]) << axis
    return code.argsort(stable=True)


def _spread(values: Tensor) -> Tensor:
    """21 bits of each number with two zeros between neighbours."""
    spread = values
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        spread = (spread | spread << shift) & mask
    return spread
