"""The weighted eight-point algorithm with the pose it implies, batched and without gradients."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from recon.regression.rotations import cross_matrix

_ROUNDS = 3  # the last ones weigh matches down by their errors
_ERROR_SCALE = 3 / 1024  # units: an error that halves the weight of a match


def monomials(rays_a: Tensor, rays_b: Tensor) -> Tensor:
    """Coefficients [..., N, 9] of E in `ray_b^T E ray_a`, row by row, of rays [..., N, 3]."""
    return (rays_b[..., :, None] * rays_a[..., None, :]).flatten(-2)


@torch.no_grad()
def epipolar_fit(rays_a: Tensor, rays_b: Tensor, weights: Tensor, focals: Tensor) -> tuple[Tensor, Tensor]:
    """Epipolar matrix from weighted matches [1]; arbitrary, but finite, where they do not determine one.

    Its singular values are not made equal, so that it also fits where the focal length is wrong.

    Args:
        rays_a, rays_b: [B, N, 3] with z = 1.
        weights: [B, N], at least 0.
        focals: [B] units, for errors in the photo.

    Returns:
        The matrices [B, 3, 3] float64 of norm 1, and the weights [B, N] float64 by which they were found.

    [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., sec. 11.2.
    """
    rows = monomials(rays_a, rays_b).double()
    # One scale for all x and y (Hartley's normalisation without the shift) keeps the system balanced for long lenses.
    scale = focals.double()[:, None, None] * 2
    zoom = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    half = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    factors = torch.where(zoom > 0, scale**2, torch.where(half > 0, scale, 1.0))  # [B, 1, 9]
    rows = rows * factors
    weights = weights.double() + 1e-9
    own = weights
    for step in range(_ROUNDS):
        normal = torch.einsum("bn,bni,bnj->bij", own / own.sum(1, keepdim=True), rows, rows)
        E = (torch.linalg.eigh(normal).eigenvectors[..., 0] * factors[:, 0]).reshape(-1, 3, 3)
        E = E / E.norm(dim=(1, 2), keepdim=True)
        if step + 1 < _ROUNDS:
            own = weights / (1 + (sampson(rays_a.double(), rays_b.double(), E, focals.double()) / _ERROR_SCALE) ** 2)
    return E, own


def sampson(rays_a: Tensor, rays_b: Tensor, E: Tensor, focals: Tensor) -> Tensor:
    """Sampson distances [B, N] in units of matches under essential matrices [B, 3, 3]."""
    lines_b, lines_a = rays_a @ E.transpose(-1, -2), rays_b @ E
    slope = lines_b[..., :2].square().sum(-1) + lines_a[..., :2].square().sum(-1)
    return (rays_b * lines_b).sum(-1).abs() / slope.clamp(min=1e-18).sqrt() * focals[:, None]


def essential(R: Tensor, t: Tensor) -> Tensor:
    """Essential matrices [..., 3, 3] of poses."""
    return cross_matrix(t) @ R


def in_front(rays_a: Tensor, rays_b: Tensor, R: Tensor, t: Tensor) -> Tensor:
    """Whether matches [..., N] meet in front of both cameras [..., 3, 3], [..., 3]."""
    turned = rays_a @ R.transpose(-1, -2)
    rays_b, turned, t = torch.broadcast_tensors(rays_b, turned, t[..., None, :])
    plane = torch.linalg.cross(rays_b, turned)
    depth_a = -(plane * torch.linalg.cross(rays_b, t)).sum(-1)
    depth_b = -(plane * torch.linalg.cross(turned, t)).sum(-1)
    return (depth_a > 0) & (depth_b > 0)


@torch.no_grad()
def pose_in_front(E: Tensor, rays_a: Tensor, rays_b: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Of the four poses b_from_a of each E, the one with most weight in front of both cameras [1].

    Args:
        E: [B, 3, 3]; the nearest matrix with equal singular values counts.
        rays_a, rays_b: [B, N, 3] with z = 1.
        weights: [B, N].

    Returns:
        Rotations [B, 3, 3] and directions [B, 3] of unit length, float32.

    [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., sec. 9.6.
    """
    U, _, Vt = torch.linalg.svd(E)
    W = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=E.dtype)
    turns = torch.stack([U @ W @ Vt, U @ W.T @ Vt], 1)  # [B, 2, 3, 3]
    turns = turns * torch.linalg.det(turns)[..., None, None].sign()
    directions = torch.stack([U[..., 2], -U[..., 2]], 1)  # [B, 2, 3]
    R = turns[:, [0, 0, 1, 1]]
    t = directions[:, [0, 1, 0, 1]]
    rays_a, rays_b = rays_a.to(E.dtype), rays_b.to(E.dtype)
    support = (weights[:, None] * in_front(rays_a[:, None], rays_b[:, None], R, t)).sum(-1)  # [B, 4]
    best = support.argmax(1)
    batch = torch.arange(len(E))
    return R[batch, best].float(), normalize(t[batch, best], dim=-1).float()
