"""Batched rotations in torch: made from vectors and from two columns, and the angle between them."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

_MOST_CHORD = 0.999  # half of the chord; beyond, the angle's gradient has no bound


def cross_matrix(vectors: Tensor) -> Tensor:
    """[..., 3, 3] with `cross_matrix(v) @ x = v x x` of vectors [..., 3]."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)


def rotation_from_vector(vectors: Tensor) -> Tensor:
    """Rotations [..., 3, 3] about vectors [..., 3], whose length is the angle in radians (Rodrigues)."""
    angle = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    axis = cross_matrix(vectors / angle)
    angle = angle[..., None]
    return torch.eye(3, dtype=vectors.dtype) + angle.sin() * axis + (1 - angle.cos()) * axis @ axis


def rotation_from_two_rows(rows: Tensor) -> Tensor:
    """Rotations [..., 3, 3] from six numbers [..., 6]: their first two rows, made orthonormal [1].

    Continuous, unlike angles and quaternions. [1] Zhou et al., On the continuity of rotation representations, 2019.
    """
    first = normalize(rows[..., :3], dim=-1)
    second = rows[..., 3:] - (first * rows[..., 3:]).sum(-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -2)


def rotation_angle(R: Tensor, S: Tensor) -> Tensor:
    """Angle in radians [...] between rotations [..., 3, 3], at most 3.05; precise near 0, with gradients below 23."""
    chord = (R - S).square().sum((-2, -1)).clamp(min=1e-12).sqrt() / 8**0.5  # sin(angle / 2)
    return 2 * torch.asin(chord.clamp(max=_MOST_CHORD))


def direction_angle(u: Tensor, v: Tensor) -> Tensor:
    """Angle in radians [...] between unit vectors [..., 3], at most 3.05; with gradients below 23."""
    chord = (u - v).square().sum(-1).clamp(min=1e-12).sqrt() / 2
    return 2 * torch.asin(chord.clamp(max=_MOST_CHORD))
