"""What a rasterizer is, and the table of those we have."""

import importlib
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats

RasterizerName = Literal["native", "gsplat", "torch"]


@dataclass(frozen=True)
class Render:
    """One rendered view, float32, [H, W, ...].

    Attributes:
        rgb: colour over the background [H, W, 3]; not clamped above.
        alpha: accumulated opacity [H, W] in [0, 1].
        depth: accumulated depth, the sum of weight x z, [H, W]; divide by `alpha` for the expected depth.
        median_depth: z of the Gaussian at which the transmittance falls to one half or below [H, W]; 0 where it never
            does. Carries no gradient.
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    median_depth: Tensor


@dataclass(frozen=True)
class CameraTensors:
    """Pose and lens of a camera as tensors, of the dtype and on the device of the Gaussians, to be optimised.

    The entries are differentiated as if they were independent: make `cam_from_world` from a rotation's parameters, so
    that only the part along rigid motions counts. The rasterizers differ in the other part.

    Attributes:
        cam_from_world: rigid transform [4, 4]; its last row is taken to be 0, 0, 0, 1.
        K: intrinsics [3, 3] in px; only fx, fy, cx and cy are looked at.
    """

    cam_from_world: Tensor
    K: Tensor

    @classmethod
    def of(cls, camera: Camera, like: Tensor) -> "CameraTensors":
        """The values of a camera, in the dtype and on the device of `like`."""
        return cls(torch.as_tensor(camera.cam_from_world).to(like), torch.as_tensor(camera.K).to(like))


class Rasterizer(Protocol):
    """Draws Gaussians; differentiable in every tensor of `Splats`, in `background` and in `camera_tensors`.

    The rules are those of the 3DGS paper as gsplat implements them: 2D covariance + 0.3 px^2, contributions below
    1/255 skipped, opacity clamped at 0.999, a pixel ends before its transmittance falls to 1e-4, front to back by z.
    """

    def __call__(
        self,
        splats: Splats,
        camera: Camera,
        *,
        camera_tensors: CameraTensors | None = None,
        background: Tensor | None = None,
        sh_degree: int | None = None,
        near: float = 0.01,
        antialiased: bool = False,
    ) -> Render:
        """Render one view.

        Args:
            splats: the Gaussians, in the world frame; N may be 0.
            camera: the view.
            camera_tensors: pose and lens instead of those of `camera`, to take gradients to them.
            background: colour [3] behind everything; black if None.
            sh_degree: use spherical harmonics up to this degree only; all that are stored if None.
            near: Gaussians whose centre is nearer than this (z, world units) are not drawn.
            antialiased: fade Gaussians thinner than a pixel as much as the 0.3 px^2 widen them: opacity x
                sqrt(det(covariance) / det(covariance + 0.3)) [1].

        Returns:
            The view, on the device of `splats`.

        [1] Yu et al., Mip-Splatting: Alias-free 3D Gaussian Splatting, CVPR 2024, eq. 9.
        """
        ...


_BACKENDS = {
    "native": ("splatting.rasterize_native", "rasterize"),
    "gsplat": ("splatting.rasterize_gsplat", "rasterize"),
    "torch": ("splatting.rasterize_torch", "rasterize"),
}


def create(name: RasterizerName) -> Rasterizer:
    """Import a rasterizer by name.

    Raises:
        ValueError: there is no rasterizer of that name.
        ImportError: its package or its compiled part is missing; the message says how to get it.
    """
    if name not in _BACKENDS:
        raise ValueError(f"rasterizer must be one of {', '.join(_BACKENDS)}, got {name!r}")
    module, function = _BACKENDS[name]
    return getattr(importlib.import_module(module), function)
