"""The scene as 3D Gaussians: raw parameters, and what a rasterizer sees of them."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Splats:
    """What a rasterizer draws: activated parameters of N Gaussians, float32, world frame.

    Attributes:
        means: centres [N, 3].
        quats_wxyz: rotations [N, 4]; need not be normalised, must not be zero.
        scales: standard deviations along the rotated axes [N, 3], > 0.
        opacities: peak opacities [N] in [0, 1].
        colours: RGB [N, 3], drawn as they are, or spherical-harmonics coefficients [N, S, 3] with S = (degree + 1)^2:
            then the colour is 0.5 + sum, clamped below at 0.
        features: any number of further channels [N, C], blended over zero; None: no channel.
    """

    means: Tensor
    quats_wxyz: Tensor
    scales: Tensor
    opacities: Tensor
    colours: Tensor
    features: Tensor | None = None


@dataclass(frozen=True)
class Gaussians:
    """Raw, unconstrained parameters of N Gaussians: what is optimised and stored.

    Attributes:
        means: centres in the world frame [N, 3].
        log_scales: natural logarithms of the standard deviations [N, 3].
        quats_wxyz: rotations [N, 4], not necessarily normalised.
        opacity_logits: [N]; opacity = sigmoid.
        sh: spherical-harmonics coefficients [N, S, 3], the constant term first.
    """

    means: Tensor
    log_scales: Tensor
    quats_wxyz: Tensor
    opacity_logits: Tensor
    sh: Tensor

    def __post_init__(self) -> None:
        n = len(self.means)
        expected = {"means": (n, 3), "log_scales": (n, 3), "quats_wxyz": (n, 4), "opacity_logits": (n,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} must be {list(shape)}, got {list(getattr(self, name).shape)}")
        if self.sh.ndim != 3 or len(self.sh) != n or self.sh.shape[1] not in (1, 4, 9, 16) or self.sh.shape[2] != 3:
            raise ValueError(f"sh must be [{n}, 1|4|9|16, 3], got {list(self.sh.shape)}")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """Degree of the stored spherical harmonics, 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh.shape[1]]

    def activate(self) -> Splats:
        """Apply exp to the scales and the sigmoid to the opacities; differentiable."""
        return Splats(self.means, self.quats_wxyz, self.log_scales.exp(), self.opacity_logits.sigmoid(), self.sh)

    def select(self, keep: Tensor) -> "Gaussians":
        """The Gaussians picked by a boolean mask [N] or by indices."""
        return Gaussians(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def detach(self) -> "Gaussians":
        """The same values, cut from the autograd graph and on the CPU."""
        return Gaussians(**{f.name: getattr(self, f.name).detach().cpu() for f in fields(self)})


def concatenate(parts: list[Gaussians]) -> Gaussians:
    """Join several sets; all must have the same spherical-harmonics degree."""
    return Gaussians(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Gaussians)})
