"""The CPU rasterizer: our own kernels, see `splatting/native`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatting.camera import Camera, Floats
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, Render
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
    camera_tensors: CameraTensors | None = None,
    background: Tensor | None = None,
    sh_degree: int | None = None,
    near: float = 0.01,
    antialiased: bool = False,
) -> Render:
    """Render one view on the CPU; see `splatting.rasterizer.Rasterizer`.

    Uses `torch.get_num_threads()` threads; pictures and gradients are the same bit for bit for any number of them.
    A Gaussian with a non-finite parameter, a zero quaternion or an opacity outside (0, 1] is not drawn and has zero
    gradients. There is no second derivative.

    Raises:
        ValueError: shapes do not fit, or a tensor is not float32 on the CPU.
    """
    degree = check_inputs(splats, camera, camera_tensors, background, sh_degree, near)
    if splats.means.dtype != torch.float32 or splats.means.device.type != "cpu":
        raise ValueError(
            f"the native rasterizer takes float32 on the CPU, got {splats.means.dtype} on {splats.means.device}"
        )
    pose, K = (None, None) if camera_tensors is None else (camera_tensors.cam_from_world, camera_tensors.K)
    view = _native.View(
        _float64(camera.K if K is None else K.detach().numpy()),
        _float64(camera.cam_from_world if pose is None else pose.detach().numpy()),
        camera.width,
        camera.height,
        near,
        antialiased,
    )
    if background is None:
        background = torch.zeros(3)
    gaussians = (splats.means, splats.quats_wxyz, splats.scales, splats.opacities, splats.sh)
    return Render(*_Rasterize.apply(*gaussians, background, pose, K, view, degree, camera))


def _float64(matrix: Floats) -> NDArray[np.float64]:
    return np.ascontiguousarray(matrix, dtype=np.float64)


class _Rasterize(torch.autograd.Function):
    """Bridge between autograd and the kernels. The frame in `ctx` belongs to one forward, so several may be pending."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, _, _, view, degree, camera = inputs  # the view has the values of the camera's tensors
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
        g_camera = torch.empty(16) if any(ctx.needs_input_grad[6:8]) else None
        splats = _native.Splats(*gaussians, ctx.degree)
        pictures = (rgb, alpha, depth, g_rgb, g_alpha, g_depth)
        _native.backward(ctx.frame, splats, ctx.view, *pictures, *results, g_camera, torch.get_num_threads())
        return *results, *_camera_gradients(g_camera), None, None, None


def _camera_gradients(numbers: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of cam_from_world [4, 4] and K [3, 3] from those of [R | t] by rows, fx, fy, cx, cy."""
    if numbers is None:
        return None, None
    pose, K = torch.zeros(4, 4), torch.zeros(3, 3)
    pose[:3] = numbers[:12].reshape(3, 4)
    K[0, 0], K[1, 1], K[0, 2], K[1, 2] = numbers[12:]
    return pose, K
