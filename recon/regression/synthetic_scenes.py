"""Random scenes and cameras to learn relative poses from: points, normals and a few cameras that look at them.

A *unit* is the photo's longer side: image coordinates are centred and lie in [-0.5, 0.5], focal lengths are
multiples of the longer side. Everything is drawn from one torch generator, so a seed gives the same scenes again.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from recon.regression.rotations import rotation_from_vector

SceneKind = Literal["orbit", "forward", "room", "plane", "rotation"]
KINDS: tuple[SceneKind, ...] = ("orbit", "forward", "room", "plane", "rotation")
KIND_SHARES: dict[SceneKind, float] = {"orbit": 0.42, "forward": 0.18, "room": 0.18, "plane": 0.14, "rotation": 0.08}
"""Planes and near-pure rotations are as frequent as they are among photos, or a little more."""

_ASPECTS = torch.tensor([3 / 4, 2 / 3, 9 / 16, 1.0])


@dataclass(frozen=True)
class Scenes:
    """B scenes with M points, seen by C cameras of one lens each.

    Attributes:
        kinds: [B] int64, positions in `KINDS`.
        xyz: [B, M, 3] world frame, any unit.
        normals: [B, M, 3] of the surface, pointing to the side that is seen; zero where it is seen from all sides.
        R, t: [B, C, 3, 3] and [B, C, 3], `x_cam = R @ x + t`.
        focals: [B] units.
        radial: [B] of the lens: u' = u (1 + radial r^2), r in units.
        half_sizes: [B, C, 2] half width and height in units.
    """

    kinds: Tensor
    xyz: Tensor
    normals: Tensor
    R: Tensor
    t: Tensor
    focals: Tensor
    radial: Tensor
    half_sizes: Tensor


def uniform(low: float, high: float, *shape: int, generator: Generator) -> Tensor:
    """Uniform numbers of a shape."""
    return torch.rand(*shape, generator=generator) * (high - low) + low


def log_uniform(low: float, high: float, *shape: int, generator: Generator) -> Tensor:
    """Numbers whose logarithm is uniform, of a shape."""
    return uniform(math.log(low), math.log(high), *shape, generator=generator).exp()


def draw_scenes(
    num_scenes: int, num_cameras: int, num_points: int, *, generator: Generator, kind: SceneKind | None = None
) -> Scenes:
    """Draw scenes, of all kinds by `KIND_SHARES` or of one kind."""
    shares = torch.tensor([KIND_SHARES[k] if kind is None else float(k == kind) for k in KINDS])
    kinds = torch.multinomial(shares, num_scenes, replacement=True, generator=generator).sort().values
    focals = draw_focals(num_scenes, generator=generator)
    parts = []
    for idx, name in enumerate(KINDS):
        own = focals[kinds == idx]
        if len(own):
            parts.append(_MAKERS[name](own, num_cameras, num_points, generator))
    xyz, normals, R, centres = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    R = _rolls(num_scenes, num_cameras, generator) @ R
    has_distortion = torch.rand(num_scenes, generator=generator) < 0.3
    return Scenes(
        kinds,
        xyz,
        normals,
        R,
        -(R @ centres[..., None])[..., 0],
        focals,
        torch.where(has_distortion, uniform(-0.15, 0.08, num_scenes, generator=generator), torch.zeros(())),
        _half_sizes(num_scenes, num_cameras, generator),
    )


def draw_focals(count: int, *, generator: Generator) -> Tensor:
    """Focal lengths [count]: most as phones and standard zooms have them, a quarter from 22 to 200 mm (of 36 mm)."""
    common = 0.85 * torch.exp(0.25 * torch.randn(count, generator=generator))
    rare = log_uniform(0.6, 5.5, count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < 0.75, common, rare).clamp(0.5, 5.6)


_Parts = tuple[Tensor, Tensor, Tensor, Tensor]  # xyz, normals, R, camera centres


def _orbit(focals: Tensor, cameras: int, points: int, generator: Generator) -> _Parts:
    """An object of radius 1 (rounded or a box), often on a table, seen from an arc around it."""
    count = len(focals)
    sizes = uniform(0.35, 1.0, count, 1, 3, generator=generator)
    directions = normalize(torch.randn(count, points, 3, generator=generator), dim=-1)
    is_box = torch.rand(count, 1, 1, generator=generator) < 0.4
    largest = directions.abs().amax(-1, keepdim=True)
    on_box = directions / largest
    face = (directions.abs() == largest) * directions.sign()
    normals = normalize(torch.where(is_box, face, directions) / sizes, dim=-1)
    bumps = 1 + 0.1 * torch.rand(count, 1, 1, generator=generator) * torch.randn(count, points, 1, generator=generator)
    xyz = torch.where(is_box, on_box, directions) * sizes * bumps
    # Some points lie on the table below it, in some scenes.
    share = uniform(0, 0.5, count, 1, generator=generator) * (torch.rand(count, 1, generator=generator) < 0.6)
    on_table = (torch.rand(count, points, generator=generator) < share)[..., None]
    table = uniform(-2.0, 2.0, count, points, 3, generator=generator)
    table[..., 1] = sizes[..., 1]  # y points down
    xyz = torch.where(on_table, table, xyz)
    normals = torch.where(on_table, torch.tensor([0.0, -1.0, 0.0]), normals)
    R, centres = _arc(focals, cameras, log_uniform(6, 110, count, 1, generator=generator), generator)
    return xyz, normals, R, centres


def _arc(focals: Tensor, cameras: int, spread_deg: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Cameras on an arc that look at about the origin; a ball of radius 1 fills more or less of the photo."""
    count = len(focals)
    spread = torch.deg2rad(spread_deg)
    azimuths = spread * uniform(-0.5, 0.5, count, cameras, generator=generator)
    azimuths[:, 0] = -spread[:, 0] / 2 * uniform(0.6, 1, count, generator=generator)
    azimuths[:, -1] = spread[:, 0] / 2 * uniform(0.6, 1, count, generator=generator)
    tilts = torch.deg2rad(uniform(-10, 50, count, 1, generator=generator))
    tilts = tilts + spread * 0.15 * torch.randn(count, cameras, generator=generator)
    far = 1.0 + 2 * focals * uniform(0.6, 1.5, count, generator=generator)
    far = far[:, None] * log_uniform(0.85, 1.18, count, cameras, generator=generator)
    outward = torch.stack([azimuths.sin() * tilts.cos(), -tilts.sin(), -azimuths.cos() * tilts.cos()], -1)
    centres = far[..., None] * outward
    targets = 0.2 * torch.rand(count, 1, 1, generator=generator) * torch.randn(count, cameras, 3, generator=generator)
    return _looking_at(centres, targets), centres


def _forward(focals: Tensor, cameras: int, points: int, generator: Generator) -> _Parts:
    """A deep scene in front of cameras that stand side by side."""
    count = len(focals)
    step = log_uniform(0.03, 0.5, count, 1, 1, generator=generator)
    centres = step * torch.randn(count, cameras, 3, generator=generator) * torch.tensor([1.0, 0.5, 0.5])
    targets = torch.tensor([0.0, 0.0, 1.0]) + 0.1 * torch.randn(count, cameras, 3, generator=generator)
    converge = torch.rand(count, 1, 1, generator=generator) < 0.5
    targets = torch.where(converge, targets, targets + centres)
    R = _looking_at(centres, targets)
    rays, origins = _rays(focals, R, centres, points, generator)
    relief = log_uniform(1.1, 5.0, count, 1, generator=generator)
    depth = torch.exp(relief.log() * uniform(-1, 1, count, points, generator=generator))
    xyz = origins + rays * depth[..., None]
    return xyz, torch.zeros_like(xyz), R, centres


def _room(focals: Tensor, cameras: int, points: int, generator: Generator) -> _Parts:
    """Inside a box with furniture, looking the same way from places near each other."""
    count = len(focals)
    half = uniform(1.0, 3.0, count, 1, 3, generator=generator) * torch.tensor([1.0, 0.5, 1.0])
    start = uniform(-0.6, 0.6, count, 1, 3, generator=generator) * half
    step = uniform(0.05, 0.35, count, 1, 1, generator=generator)
    centres = start + step * half * torch.randn(count, cameras, 3, generator=generator)
    centres = torch.minimum(torch.maximum(centres, -0.85 * half), 0.85 * half)
    targets = -start + 0.25 * half * torch.randn(count, cameras, 3, generator=generator)
    R = _looking_at(centres, targets)
    rays, origins = _rays(focals, R, centres, points, generator)
    to_walls = torch.where(rays > 0, half - origins, -half - origins) / torch.where(rays == 0, 1e-9, rays)
    depth, wall = to_walls.min(-1)
    is_furniture = torch.rand(count, points, generator=generator) < 0.4
    depth = torch.where(is_furniture, depth * uniform(0.35, 1.0, count, points, generator=generator), depth)
    normals = -torch.nn.functional.one_hot(wall, 3) * rays.sign()
    normals = torch.where(is_furniture[..., None], torch.zeros(()), normals)
    return origins + rays * depth[..., None], normals, R, centres


def _plane(focals: Tensor, cameras: int, points: int, generator: Generator) -> _Parts:
    """A wall, floor or picture, exactly flat in half of the scenes, else with up to 15 % relief."""
    count = len(focals)
    R, centres = _arc(focals, cameras, log_uniform(6, 80, count, 1, generator=generator), generator)
    middle = normalize(centres.mean(1, keepdim=True), dim=-1)
    normal = normalize(middle + 0.35 * torch.randn(count, 1, 3, generator=generator), dim=-1)
    rays, origins = _rays(focals, R, centres, points, generator)
    steepness = (rays * normal).sum(-1)
    depth = -(origins * normal).sum(-1) / torch.where(steepness.abs() < 0.05, -0.05, steepness)
    relief = uniform(0, 0.15, count, 1, generator=generator) * (torch.rand(count, 1, generator=generator) < 0.5)
    xyz = origins + rays * depth.clamp(0.1, 30.0)[..., None]
    xyz = xyz + normal * (relief * torch.randn(count, points, generator=generator))[..., None]
    return xyz, normal.expand_as(xyz), R, centres


def _rotation(focals: Tensor, cameras: int, points: int, generator: Generator) -> _Parts:
    """A camera that turns on its place, or moves by at most a hundredth of the distance."""
    count = len(focals)
    field_of_view = 2 * torch.atan(0.5 / focals)[:, None, None]
    turn = uniform(0.05, 0.4, count, 1, 1, generator=generator) * field_of_view
    R = rotation_from_vector(turn * torch.randn(count, cameras, 3, generator=generator))
    moved = 0.01 * torch.rand(count, 1, 1, generator=generator)
    centres = moved * torch.randn(count, cameras, 3, generator=generator)
    rays, origins = _rays(focals, R, centres, points, generator)
    relief = log_uniform(1.05, 4.0, count, 1, generator=generator)
    depth = torch.exp(relief.log() * uniform(-1, 1, count, points, generator=generator))
    xyz = origins + rays * depth[..., None]
    return xyz, torch.zeros_like(xyz), R, centres


_MAKERS = {"orbit": _orbit, "forward": _forward, "room": _room, "plane": _plane, "rotation": _rotation}


def _looking_at(centres: Tensor, targets: Tensor) -> Tensor:
    """Rotations [..., 3, 3] of cameras at centres that look at targets, y down."""
    z = normalize(targets - centres, dim=-1)
    x = normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]).expand_as(z), z), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def _rays(focals: Tensor, R: Tensor, centres: Tensor, points: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rays with z = 1 in the camera frame, through random places of random photos, and where they start; world."""
    count, cameras = R.shape[:2]
    owner = torch.randint(cameras, (count, points), generator=generator)
    in_photo = uniform(-0.5, 0.5, count, points, 2, generator=generator) / focals[:, None, None]
    in_camera = torch.cat([in_photo, torch.ones(count, points, 1)], -1)
    scene = torch.arange(count)[:, None]
    rays = (R[scene, owner].transpose(-1, -2) @ in_camera[..., None])[..., 0]
    return rays, centres[scene, owner]


def _rolls(scenes: int, cameras: int, generator: Generator) -> Tensor:
    """Cameras are held a little askew; a few photos are turned by quarters or by any angle."""
    roll = torch.deg2rad(4 * torch.randn(scenes, cameras, generator=generator))
    quarters = torch.randint(1, 4, (scenes, cameras), generator=generator) * (math.pi / 2)
    chance = torch.rand(scenes, cameras, generator=generator)
    roll = roll + torch.where(chance < 0.05, quarters, torch.zeros(()))
    roll = torch.where(chance > 0.97, uniform(-math.pi, math.pi, scenes, cameras, generator=generator), roll)
    return rotation_from_vector(roll[..., None] * torch.tensor([0.0, 0.0, 1.0]))


def _half_sizes(scenes: int, cameras: int, generator: Generator) -> Tensor:
    short = _ASPECTS[torch.randint(len(_ASPECTS), (scenes, 1), generator=generator)].expand(-1, cameras)
    is_portrait = torch.rand(scenes, 1, generator=generator) < 0.3
    is_portrait = is_portrait ^ (torch.rand(scenes, cameras, generator=generator) < 0.05)
    one = torch.ones(())
    return torch.stack([torch.where(is_portrait, short, one), torch.where(is_portrait, one, short)], -1) / 2
