"""The CPU rasterizer: our own kernels, see `splatting/native`."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import Render
from splatting.rasterizer_inputs import check_inputs

try:
    import splatting._native as _native
except ImportError as error:
    raise ImportError(
        "the compiled kernels splatting._native are missing: install the package, or build it with cmake"
    ) from error


def rasterize(
    splats: Splats,
    camera: Camera,
    *,
    background: Tensor | None = None,
    sh_degree: int | None = None,
    near: float = 0.01,
) -> Render:
    """Render one view on the CPU; see `splatting.rasterizer.Rasterizer`.

    Uses `torch.get_num_threads()` threads; pictures and gradients are the same bit for bit for any number of them.
    A Gaussian with a non-finite parameter, a zero quaternion or an opacity outside (0, 1] is not drawn and has zero
    gradients. There is no gradient to the camera, and no second derivative.

    Raises:
        ValueError: shapes do not fit, or a tensor is not float32 on the CPU.
    """
    degree = check_inputs(splats, camera, background, sh_degree, near)
    if splats.means.dtype != torch.float32 or splats.means.device.type != "cpu":
        raise ValueError(
            f"the native rasterizer takes float32 on the CPU, got {splats.means.dtype} on {splats.means.device}"
        )
    view = _native.View(
        camera.K.astype("float64", order="C"),
        camera.cam_from_world.astype("float64", order="C"),
        camera.width,
        camera.height,
        near,
    )
    if background is None:
        background = torch.zeros(3)
    pictures = _Rasterize.apply(
        splats.means, splats.quats_wxyz, splats.scales, splats.opacities, splats.sh, background, view, degree, camera
    )
    return Render(*pictures)


class _Rasterize(torch.autograd.Function):
    """Bridge between autograd and the kernels. The frame in `ctx` belongs to one forward, so several may be pending."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, view, degree, camera = inputs
        *gaussians, background = (tensor.detach().contiguous() for tensor in tensors)
        rgb = torch.empty(camera.height, camera.width, 3)
        alpha, depth, median_depth = (torch.empty(camera.height, camera.width) for _ in range(3))
        frame = _native.Frame()
        splats = _native.Splats(*gaussians, degree)
        _native.forward(frame, splats, view, background, rgb, alpha, depth, median_depth, torch.get_num_threads())
        ctx.frame, ctx.view, ctx.degree = frame, view, degree
        ctx.save_for_backward(*tensors, rgb, alpha, depth)
        ctx.mark_non_differentiable(median_depth)
        ctx.set_materialize_grads(False)
        return rgb, alpha, depth, median_depth

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *tensors, rgb, alpha, depth = (tensor.detach().contiguous() for tensor in ctx.saved_tensors)
        *gaussians, _ = tensors
        g_rgb, g_alpha, g_depth, _ = (None if g is None else g.contiguous() for g in gradients)
        if g_rgb is None:
            g_rgb = torch.zeros_like(rgb)
        if g_alpha is None:
            g_alpha = torch.zeros_like(alpha)
        results = [torch.empty_like(tensor) for tensor in tensors]
        splats = _native.Splats(*gaussians, ctx.degree)
        pictures = (rgb, alpha, depth, g_rgb, g_alpha, g_depth)
        _native.backward(ctx.frame, splats, ctx.view, *pictures, *results, torch.get_num_threads())
        return *results, None, None, None
