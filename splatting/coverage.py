"""Gaussians in other colours: selected ones stand out, and weak ones tell how few photos see them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from splatting.gaussians import Gaussians

SELECTED_RGB = (1.0, 0.3, 0.05)

_C0 = 0.28209479177387814  # the constant spherical harmonic
_OWN_SHARE = 0.35  # of the brightness stays its own, so that shapes are recognised


def highlighted(gaussians: Gaussians, mask: Tensor) -> Gaussians:
    """The Gaussians with those of a mask [N] in one bright colour."""
    sh = gaussians.sh.clone()
    sh[mask] = 0
    sh[mask, 0] = _sh0(torch.tensor(SELECTED_RGB))
    return replace(gaussians, sh=sh)


def coloured_by_coverage(gaussians: Gaussians, num_seeing: Tensor, palette: Sequence[Sequence[float]]) -> Gaussians:
    """The Gaussians in the colours of a palette, darker where they are dark themselves.

    Args:
        gaussians: N of them.
        num_seeing: how many photos see each [N].
        palette: RGB in [0, 1] of those that no photo sees, one, two and so on; the last colour is that of more, too.
    """
    rgb = torch.tensor(palette)[num_seeing.clamp(0, len(palette) - 1)]
    grey = (0.5 + _C0 * gaussians.sh[:, 0]).mean(1, keepdim=True).clamp(0, 1)
    return replace(gaussians, sh=_sh0((1 - _OWN_SHARE) * rgb + _OWN_SHARE * grey)[:, None])


def _sh0(rgb: Tensor) -> Tensor:
    return (rgb - 0.5) / _C0
