"""Normals of Gaussians, the same for every rasterizer."""

from dataclasses import replace

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, Rasterizer, Render, RenderOptions
from splatting.rasterizer_inputs import is_rotation


def normals_in_camera(splats: Splats, cam_from_world: Tensor) -> Tensor:
    """The shortest axis of each Gaussian, turned towards the camera.

    Differentiable in the quaternions and the pose; which axis is the shortest, and which way it is turned, is taken as
    given. A Gaussian whose quaternion is no rotation gets the normal of none, without a gradient.

    Args:
        splats: N Gaussians in the world frame.
        cam_from_world: rigid transform [4, 4].

    Returns:
        Unit vectors in the camera frame [N, 3].
    """
    rotation, translation = cam_from_world[:3, :3], cam_from_world[:3, 3:]
    none = torch.tensor([1.0, 0, 0, 0]).to(splats.means)
    quats = torch.where(is_rotation(splats.quats_wxyz)[:, None], splats.quats_wxyz, none)
    # One row for each coordinate: twice as fast in torch as one for each Gaussian.
    normals = rotation @ _rotated_axes(quats.T.contiguous(), splats.scales.detach().argmin(1))  # [3, N]
    with torch.no_grad():
        in_camera = rotation @ splats.means.T + translation
        sign = torch.where((normals * in_camera).sum(0) > 0, -1.0, 1.0).to(normals)
    return (normals * sign).T


def draw_with_normals(
    draw: Rasterizer,
    splats: Splats,
    camera: Camera,
    camera_tensors: CameraTensors | None,
    background: Tensor | None,
    options: RenderOptions,
) -> Render:
    """Draw by a rasterizer that knows no normals: they are three features before the Gaussians' own."""
    pose = (camera_tensors or CameraTensors.of(camera, splats.means)).cam_from_world
    render = draw(
        with_normals_as_features(splats, pose),
        camera,
        camera_tensors=camera_tensors,
        background=background,
        options=replace(options, with_normals=False),
    )
    return split_normals(render, splats.features is not None)


def with_normals_as_features(splats: Splats, cam_from_world: Tensor) -> Splats:
    """The same Gaussians with their normals as three features before their own."""
    normals = normals_in_camera(splats, cam_from_world)
    return replace(
        splats, features=normals if splats.features is None else torch.cat([normals, splats.features], dim=1)
    )


def split_normals(render: Render, has_features: bool) -> Render:
    """Undo `with_normals_as_features` in the picture."""
    assert render.features is not None
    own = render.features[..., 3:] if has_features else None
    return replace(render, normals=render.features[..., :3], features=own)


def _rotated_axes(quats_wxyz: Tensor, axes: Tensor) -> Tensor:
    """Columns `axes` [N] of the rotation matrices of quaternions [4, N], [3, N].

    With the unit quaternion (w, v) and the axis e: 2 (v . e) v + (2 w^2 - 1) e + 2 w (v x e).
    """
    unit = quats_wxyz * quats_wxyz.square().sum(0).rsqrt()
    w, v = unit[0], unit[1:]
    e = (axes == torch.arange(3, device=axes.device)[:, None]).to(unit)
    return 2 * v.gather(0, axes[None]) * v + (2 * w * w - 1) * e + 2 * w * torch.linalg.cross(v, e, dim=0)
