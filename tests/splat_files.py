"""Gaussians to write to files, and how far those that were read are from them."""

from dataclasses import dataclass

import torch

from splatting.formats.dot_splat import importance_order
from splatting.formats.morton import morton_order
from splatting.gaussians import Gaussians

# Spread of the harmonics of a scene: noise of this size is the hardest thing to pack, there is nothing to share.
SH_SPREAD = 0.088


def random_gaussians(n: int, degree: int = 3, seed: int = 0) -> Gaussians:
    """Gaussians without any structure: positions, log-scales, opacities and colours are normally distributed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    sh = torch.cat([normal(n, 1, 3) * 0.5, normal(n, (degree + 1) ** 2 - 1, 3) * SH_SPREAD], dim=1)
    return Gaussians(normal(n, 3), normal(n, 3) * 0.7 - 4, normal(n, 4), normal(n) * 2, sh)


def stored_order(suffix: str, gaussians: Gaussians) -> torch.Tensor:
    """Indices [N] in the order in which our writer of the format stores these Gaussians."""
    if suffix in (".compressed.ply", ".sog"):
        return morton_order(gaussians.means)
    return torch.from_numpy(importance_order(gaussians)) if suffix == ".splat" else torch.arange(len(gaussians))


@dataclass(frozen=True)
class Errors:
    """How far Gaussians that were read are from those that were written.

    Attributes:
        xyz: median distance along an axis.
        log_scale: mean.
        rotation_deg: mean angle.
        opacity: mean.
        dc: root mean square of the constant harmonic, of colours in [0, 1] only: some formats cut the others.
        sh: root mean square of the other harmonics; NaN if there are none.
    """

    xyz: float
    log_scale: float
    rotation_deg: float
    opacity: float
    dc: float
    sh: float


def errors(written: Gaussians, read: Gaussians) -> Errors:
    """Errors between Gaussians in the same order."""
    assert len(written) == len(read)
    visible = ((written.sh[:, 0] * 0.28209479177387814).abs() <= 0.5).all(dim=1)
    dc = (written.sh[:, 0] - read.sh[:, 0])[visible]
    sh = written.sh[:, 1 : read.sh.shape[1]] - read.sh[:, 1:]
    return Errors(
        xyz=(written.means - read.means).abs().median().item(),
        log_scale=(written.log_scales - read.log_scales).abs().mean().item(),
        rotation_deg=_angles_deg(written.quats_wxyz, read.quats_wxyz).mean().item(),
        opacity=(written.opacity_logits.sigmoid() - read.opacity_logits.sigmoid()).abs().mean().item(),
        dc=dc.square().mean().sqrt().item(),
        sh=sh.square().mean().sqrt().item(),
    )


def _angles_deg(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = (torch.nn.functional.normalize(quats.double(), dim=1) for quats in (a, b))
    # By the distance, not the cosine, which cannot tell small angles from none.
    chord = torch.minimum((a - b).norm(dim=1), (a + b).norm(dim=1))
    return torch.rad2deg(4 * torch.asin((chord / 2).clamp(max=1)))
