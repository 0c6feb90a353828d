"""The weighted eight-point algorithm with the pose it implies, batched and without gradients."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from recon.regression.rotations import cross_matrix, rotation_from_vector

_ROUNDS = 3  # the last ones weigh matches down by their errors
_REFINEMENTS = 5
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
    rays_a, rays_b, focals = rays_a.double(), rays_b.double(), focals.double()
    weights = weights.double() + 1e-9
    own = weights
    for step in range(_ROUNDS):
        to_a, to_b = _conditioning(rays_a, own), _conditioning(rays_b, own)
        rows = monomials(rays_a @ to_a.transpose(-1, -2), rays_b @ to_b.transpose(-1, -2))
        normal = torch.einsum("bn,bni,bnj->bij", own / own.sum(1, keepdim=True), rows, rows)
        E = torch.linalg.eigh(normal).eigenvectors[..., 0].reshape(-1, 3, 3)
        E = to_b.transpose(-1, -2) @ E @ to_a
        E = E / E.norm(dim=(1, 2), keepdim=True)
        if step + 1 < _ROUNDS:
            own = weights / (1 + (sampson(rays_a, rays_b, E, focals) / _ERROR_SCALE) ** 2)
    return E, own


def _conditioning(rays: Tensor, weights: Tensor) -> Tensor:
    """Transforms [B, 3, 3] of rays after which their weighted mean is 0 and their variance 1 (Hartley)."""
    weights = weights / weights.sum(1, keepdim=True)
    mean = torch.einsum("bn,bni->bi", weights, rays[..., :2])
    variance = torch.einsum("bn,bni->b", weights, (rays[..., :2] - mean[:, None]).square()) / 2
    scale = variance.clamp(min=1e-8).rsqrt()
    transform = torch.diag_embed(torch.stack([scale, scale, torch.ones_like(scale)], -1))
    transform[:, :2, 2] = -mean * scale[:, None]
    return transform


@torch.no_grad()
def refined_pose(
    R: Tensor, t: Tensor, rays_a: Tensor, rays_b: Tensor, weights: Tensor, focals: Tensor
) -> tuple[Tensor, Tensor]:
    """Poses [B, 3, 3], [B, 3] moved downhill on the robust Sampson distances; damped Gauss-Newton, a few steps."""
    R, t, rays_a, rays_b, focals = (x.double() for x in (R, t, rays_a, rays_b, focals))
    weights = weights.double() / weights.double().sum(1, keepdim=True).clamp(min=1e-9)
    for _ in range(_REFINEMENTS):
        E = essential(R, t)
        lines_b, lines_a = rays_a @ E.transpose(-1, -2), rays_b @ E
        slope = lines_b[..., :2].square().sum(-1) + lines_a[..., :2].square().sum(-1)
        scale = focals[:, None] / _ERROR_SCALE / slope.clamp(min=1e-18).sqrt()
        residual = (rays_b * lines_b).sum(-1) * scale
        # b . (t x (w x Ra)) = w . (Ra x (b x t)) for a rotation vector w; b . (dt x Ra) = dt . (Ra x b).
        turned = rays_a @ R.transpose(-1, -2)
        by_rotation = torch.linalg.cross(turned, torch.linalg.cross(rays_b, t[:, None].expand_as(rays_b)))
        across = torch.linalg.svd(t[:, None]).Vh[:, 1:]  # two directions perpendicular to t, [B, 2, 3]
        by_direction = torch.linalg.cross(turned, rays_b) @ across.transpose(-1, -2)
        jacobian = torch.cat([by_rotation, by_direction], -1) * scale[..., None]
        own = (weights / (1 + residual.square()) ** 2)[..., None]
        normal = (jacobian * own).transpose(-1, -2) @ jacobian
        damping = 1e-3 * normal.diagonal(dim1=-2, dim2=-1).mean(-1) + 1e-9
        normal = normal + damping[:, None, None] * torch.eye(5, dtype=normal.dtype)
        step = -torch.linalg.solve(normal, (jacobian * own).transpose(-1, -2) @ residual[..., None])[..., 0]
        step = step * (0.3 / step.norm(dim=-1, keepdim=True).clamp(min=0.3))  # at most 17 degrees
        R = rotation_from_vector(step[:, :3]) @ R
        t = normalize(t + (step[:, None, 3:] @ across)[:, 0], dim=-1)
    return R.float(), t.float()


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
