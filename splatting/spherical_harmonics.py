"""Real spherical harmonics of degree 0 to 3, order and signs of 3D Gaussian Splatting [1].

[1] Sloan, Efficient Spherical Harmonic Evaluation, JCGT 2(2), 2013; Kerbl et al., 3D Gaussian Splatting, 2023.
"""

import torch
from torch import Tensor

C0 = 0.28209479177387814


def num_bases(degree: int) -> int:
    """Number of coefficients up to a degree."""
    return (degree + 1) ** 2


def sh_from_rgb(rgb: Tensor) -> Tensor:
    """The constant coefficients that show a colour from everywhere; same shape, inverse of `rgb_from_sh`."""
    return (rgb - 0.5) / C0


def rgb_from_sh(constant: Tensor) -> Tensor:
    """The colour that constant coefficients show; same shape, not clamped."""
    return constant * C0 + 0.5


def evaluate_bases(degree: int, directions: Tensor) -> Tensor:
    """Bases at unit directions.

    Args:
        degree: 0 to 3.
        directions: unit vectors from the camera to the Gaussian, world frame, [N, 3].

    Returns:
        [N, (degree + 1)^2], the constant one first.

    Raises:
        ValueError: the degree is not 0 to 3.
    """
    if not 0 <= degree <= 3:
        raise ValueError(f"degree must be 0 to 3, got {degree}")
    x, y, z = directions.unbind(-1)
    bases = [torch.full_like(x, C0)]
    if degree >= 1:
        c = 0.4886025119029199
        bases += [-c * y, c * z, -c * x]
    xx, yy, zz = x * x, y * y, z * z
    if degree >= 2:
        c = 1.0925484305920792
        bases += [c * x * y, -c * y * z, 0.31539156525252005 * (3 * zz - 1), -c * x * z, c / 2 * (xx - yy)]
    if degree >= 3:
        c3, c2, c1, c0 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154
        bases += [
            -c3 * y * (3 * xx - yy),
            c2 * x * y * z,
            -c1 * y * (5 * zz - 1),
            c0 * z * (5 * zz - 3),
            -c1 * x * (5 * zz - 1),
            c2 / 2 * z * (xx - yy),
            -c3 * x * (xx - 3 * yy),
        ]
    return torch.stack(bases, -1)


def evaluate_colours(sh: Tensor, directions: Tensor, degree: int) -> Tensor:
    """Colours seen along directions: 0.5 + sum of coefficient x basis, clamped below at 0.

    Args:
        sh: coefficients [N, S, 3] with S >= (degree + 1)^2; the others are not used.
        directions: from the camera to the Gaussian, world frame, any length but zero, [N, 3].
        degree: 0 to 3.

    Returns:
        Colours [N, 3].
    """
    unit = directions / directions.norm(dim=-1, keepdim=True)
    bases = evaluate_bases(degree, unit)  # [N, S]
    return (0.5 + (bases[..., None] * sh[:, : bases.shape[1]]).sum(1)).clamp(min=0)
