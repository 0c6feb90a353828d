"""The CUDA rasterizer: gsplat. The only module that imports it."""

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, Render
from splatting.rasterizer_inputs import check_inputs, drawable
from splatting.spherical_harmonics import num_bases

try:
    from gsplat import rasterization
except ImportError as error:
    raise ImportError('the CUDA rasterizer needs gsplat: pip install "gsplat>=1.5"') from error


def why_unavailable() -> str | None:
    """Why gsplat's CUDA kernels cannot be used, None if they can. Compiles them on first use, which takes minutes."""
    try:
        from gsplat.cuda import _backend
    except Exception as error:  # noqa: BLE001 - a compiler that fails raises whatever it likes
        return (str(error) or type(error).__name__).splitlines()[0]
    return None if _backend._C is not None else "its kernels need nvcc and a C++ compiler, which were not found"


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
    """Render one view on a CUDA device; see `splatting.rasterizer.Rasterizer`.

    gsplat's kernels blend no median, so `median_depth` is the expected depth (`depth / alpha`) where `alpha` is at
    least one half, and 0 elsewhere. At the edge of a surface in front of another the two differ.

    Raises:
        ValueError: shapes do not fit, a tensor is not float32 on a CUDA device, or `camera_tensors.K` wants a gradient,
            which gsplat does not have.
    """
    degree = check_inputs(splats, camera, camera_tensors, background, sh_degree, near)
    if camera_tensors is not None and camera_tensors.K.requires_grad:
        raise ValueError("gsplat has no gradient to K: optimise the pose alone, or use another rasterizer")
    if splats.means.dtype != torch.float32 or not splats.means.is_cuda:
        raise ValueError(f"gsplat takes float32 on a CUDA device, got {splats.means.dtype} on {splats.means.device}")
    tensors = CameraTensors.of(camera, splats.means) if camera_tensors is None else camera_tensors
    background = splats.means.new_zeros(3) if background is None else background
    keep = drawable(splats, num_bases(degree))
    if not keep.any():
        return _empty(splats, camera, background)
    channels, alphas, _ = rasterization(
        splats.means[keep],
        splats.quats_wxyz[keep],
        splats.scales[keep],
        splats.opacities[keep],
        splats.sh[keep],
        tensors.cam_from_world[None],
        tensors.K[None],
        camera.width,
        camera.height,
        near_plane=near,
        sh_degree=degree,
        packed=False,
        backgrounds=background[None],
        render_mode="RGB+D",
        rasterize_mode="antialiased" if antialiased else "classic",
    )
    rgb, depth, alpha = channels[0, ..., :3], channels[0, ..., 3], alphas[0, ..., 0]
    return Render(rgb, alpha, depth, _surface_depth(depth, alpha))


def _surface_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    """Expected depth where the picture is at least half opaque, else 0; no gradient."""
    depth, alpha = depth.detach(), alpha.detach()
    return torch.where(alpha >= 0.5, depth / alpha.clamp(min=0.5), torch.zeros_like(depth))


def _empty(splats: Splats, camera: Camera, background: Tensor) -> Render:
    """The background alone; still differentiable in it, and with zero gradients to the Gaussians."""
    nothing = 0 * sum(tensor.nan_to_num(0, 0, 0).sum() for tensor in vars(splats).values())
    zeros = splats.means.new_zeros(camera.height, camera.width) + nothing
    return Render(background + zeros[..., None], zeros, zeros, zeros.detach())
