"""The CPU rasterizer: our own kernels, see `splatting/native`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatting.camera import Camera, Floats
from splatting.gaussians import Splats
from splatting.normals import draw_with_normals
from splatting.rasterizer import DEFAULT_OPTIONS, CameraTensors, Render, RenderOptions
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
    options: RenderOptions = DEFAULT_OPTIONS,
) -> Render:
    """Render one view on the CPU; see `splatting.rasterizer.Rasterizer`.

    Uses `torch.get_num_threads()` threads; pictures and gradients are the same bit for bit for any number of them.
    There is no second derivative.

    Raises:
        ValueError: shapes do not fit, or a tensor is not float32 on the CPU.
    """
    degree = check_inputs(splats, camera, camera_tensors, background, options)
    if splats.means.dtype != torch.float32 or splats.means.device.type != "cpu":
        raise ValueError(
            f"the native rasterizer takes float32 on the CPU, got {splats.means.dtype} on {splats.means.device}"
        )
    if options.with_normals:
        return draw_with_normals(rasterize, splats, camera, camera_tensors, background, options)
    pose, K = (None, None) if camera_tensors is None else (camera_tensors.cam_from_world, camera_tensors.K)
    view = _native.View(
        _float64(camera.K if K is None else K.detach().numpy()),
        _float64(camera.cam_from_world if pose is None else pose.detach().numpy()),
        camera.width,
        camera.height,
        options.near,
        options.antialiased,
    )
    if background is None:
        background = torch.zeros(3)
    job = _Job(view, camera, -1 if degree is None else degree, options.with_weights)
    colours = splats.colours[:, None] if degree is None else splats.colours
    gaussians = (splats.means, splats.quats_wxyz, splats.scales, splats.opacities, colours, splats.features)
    return Render(**dict(zip(_OUTPUTS, _Rasterize.apply(*gaussians, background, pose, K, job), strict=True)))


_OUTPUTS = ("rgb", "alpha", "depth", "median_depth", "features", "radii", "weights")


@dataclass(frozen=True)
class _Job:
    """What to draw beside the tensors; the degree -1 means plain colours."""

    view: Any
    camera: Camera
    degree: int
    with_weights: bool


def _float64(matrix: Floats) -> NDArray[np.float64]:
    return np.ascontiguousarray(matrix, dtype=np.float64)


def _plain(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().contiguous()


class _Rasterize(torch.autograd.Function):
    """Bridge between autograd and the kernels. The frame in `ctx` belongs to one forward, so several may be pending."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor | None, ...]:
        *tensors, _, _, job = inputs  # the job's view has the values of the camera's tensors
        *gaussians, background = map(_plain, tensors)
        size, features = (job.camera.height, job.camera.width), gaussians[-1]
        rgb = torch.empty(*size, 3)
        alpha, depth, median_depth = (torch.empty(size) for _ in range(3))
        blended = None if features is None else torch.empty(*size, features.shape[1])
        radii = torch.empty(len(gaussians[0]))
        weights = torch.empty_like(radii) if job.with_weights else None
        outputs = (rgb, alpha, depth, median_depth, blended, radii, weights)
        ctx.frame, ctx.job = _native.Frame(), job
        splats = _native.Splats(*gaussians, job.degree)
        _native.forward(ctx.frame, splats, job.view, background, *outputs, torch.get_num_threads())
        ctx.save_for_backward(*tensors, rgb, alpha, depth, blended)
        ctx.mark_non_differentiable(*(tensor for tensor in (radii, weights) if tensor is not None))
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *gaussians, background, rgb, alpha, depth, blended = map(_plain, ctx.saved_tensors)
        g_rgb, g_alpha, g_depth, g_median, g_blended = map(_plain, gradients[:5])
        g_rgb = torch.zeros_like(rgb) if g_rgb is None else g_rgb
        g_alpha = torch.zeros_like(alpha) if g_alpha is None else g_alpha
        results: list[Tensor | None] = [torch.empty_like(tensor) for tensor in gaussians[:-1]]
        results.append(None if g_blended is None else torch.empty_like(gaussians[-1]))
        results.append(torch.empty_like(background))
        g_camera = torch.empty(16) if any(ctx.needs_input_grad[7:9]) else None
        splats = _native.Splats(*gaussians, ctx.job.degree)
        pictures = (rgb, alpha, depth, blended, g_rgb, g_alpha, g_depth, g_median, g_blended)
        _native.backward(ctx.frame, splats, ctx.job.view, *pictures, *results, g_camera, torch.get_num_threads())
        return *results, *_camera_gradients(g_camera), None


def _camera_gradients(numbers: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of cam_from_world [4, 4] and K [3, 3] from those of [R | t] by rows, fx, fy, cx, cy."""
    if numbers is None:
        return None, None
    pose, K = torch.zeros(4, 4), torch.zeros(3, 3)
    pose[:3] = numbers[:12].reshape(3, 4)
    K[0, 0], K[1, 1], K[0, 2], K[1, 2] = numbers[12:]
    return pose, K
