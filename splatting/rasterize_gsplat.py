"""The CUDA rasterizer: gsplat. The only module that imports it."""

import sys
from contextlib import redirect_stdout

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.gsplat_toolchain import MissingPiece, compile_error, missing_piece, own_tools_on_path
from splatting.normals import draw_with_normals
from splatting.radii import visible_radii
from splatting.rasterizer import DEFAULT_OPTIONS, CameraTensors, Render, RenderOptions
from splatting.rasterizer_inputs import check_inputs, drawable

try:
    from gsplat import rasterization, spherical_harmonics
except ImportError as error:
    raise ImportError('the CUDA rasterizer needs gsplat: pip install "gsplat>=1.5"') from error


def why_unavailable() -> MissingPiece | None:
    """Why gsplat's CUDA kernels cannot be used, None if they can. Compiles them on first use, which takes minutes."""
    missing = missing_piece()
    if missing is not None:
        return missing
    try:
        with own_tools_on_path(), redirect_stdout(sys.stderr):  # gsplat prints, and stdout is for our own events
            _load_kernels()
    except Exception as error:  # noqa: BLE001 - a compiler that fails raises whatever it likes
        return compile_error(error)
    return None


def _load_kernels() -> None:
    """Compile and load gsplat's kernels.

    Raises:
        ImportError: gsplat went on without them; what else the compiler raises.
    """
    from gsplat.cuda import _backend

    if _backend._C is None:
        raise ImportError("gsplat finds no CUDA toolkit")


def rasterize(
    splats: Splats,
    camera: Camera,
    *,
    camera_tensors: CameraTensors | None = None,
    background: Tensor | None = None,
    options: RenderOptions = DEFAULT_OPTIONS,
) -> Render:
    """Render one view on a CUDA device; see `splatting.rasterizer.Rasterizer`.

    gsplat's kernels blend no median, so `median_depth` is the expected depth (`depth / alpha`) where `alpha` is at
    least one half, with the gradient of the expected depth, and 0 elsewhere. At the edge of a surface in front of
    another the two differ. Nor do they tell the weights: asked for, these cost a second, small rendering and its
    gradient, for a Gaussian's weight is the gradient of the picture of ones with respect to its own one.

    Raises:
        ValueError: shapes do not fit, a tensor is not float32 on a CUDA device, or `camera_tensors.K` wants a gradient,
            which gsplat does not have.
    """
    degree = check_inputs(splats, camera, camera_tensors, background, options)
    if camera_tensors is not None and camera_tensors.K.requires_grad:
        raise ValueError("gsplat has no gradient to K: optimise the pose alone, or use another rasterizer")
    if splats.means.dtype != torch.float32 or not splats.means.is_cuda:
        raise ValueError(f"gsplat takes float32 on a CUDA device, got {splats.means.dtype} on {splats.means.device}")
    if options.with_normals:
        return draw_with_normals(rasterize, splats, camera, camera_tensors, background, options)
    tensors = CameraTensors.of(camera, splats.means) if camera_tensors is None else camera_tensors
    background = splats.means.new_zeros(3) if background is None else background
    return _draw(splats, camera, tensors, background, options, degree)


def _draw(
    splats: Splats,
    camera: Camera,
    tensors: CameraTensors,
    background: Tensor,
    options: RenderOptions,
    degree: int | None,
) -> Render:
    if not len(splats.means):
        return _empty(splats, camera, background, options.with_weights)
    drawn = drawable(splats, degree)
    channels = [_colours(splats, drawn, tensors.cam_from_world, degree)]
    if splats.features is not None:
        channels.append(splats.features)
    # The kernels skip what has no opacity; picking rows would wait for the GPU and copy all harmonics, forth and back.
    opacities = torch.where(drawn, splats.opacities, torch.zeros_like(splats.opacities))
    kept = Splats(splats.means, splats.quats_wxyz, splats.scales, opacities, torch.cat(channels, 1))
    behind = torch.cat([background, background.new_zeros(kept.colours.shape[1] - 3)])
    blended, alpha, meta = _rasterization(kept, camera, tensors, behind, options)
    depth = blended[..., -1]
    weights = _weights(kept, camera, tensors, options) if options.with_weights else None
    return Render(
        blended[..., :3],
        alpha,
        depth,
        _surface_depth(depth, alpha),
        _radii(meta, camera),
        features=None if splats.features is None else blended[..., 3:-1],
        weights=weights,
    )


def _rasterization(
    splats: Splats, camera: Camera, tensors: CameraTensors, background: Tensor, options: RenderOptions
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Blended channels [H, W, C + 1], the last being the depth, alpha [H, W] and what gsplat tells beside them."""
    channels, alphas, meta = rasterization(
        splats.means,
        splats.quats_wxyz,
        splats.scales,
        splats.opacities,
        splats.colours,
        tensors.cam_from_world[None],
        tensors.K[None],
        camera.width,
        camera.height,
        near_plane=options.near,
        packed=False,
        backgrounds=background[None],
        render_mode="RGB+D",
        rasterize_mode="antialiased" if options.antialiased else "classic",
    )
    return channels[0], alphas[0, ..., 0], meta


def _colours(splats: Splats, drawn: Tensor, pose: Tensor, degree: int | None) -> Tensor:
    """Colours [N, 3]; undefined for Gaussians outside of `drawn` [N]."""
    if degree is None:
        return splats.colours
    directions = splats.means + pose[:3, :3].T @ pose[:3, 3]
    return (spherical_harmonics(degree, directions, splats.colours, drawn) + 0.5).clamp(min=0)


def _weights(splats: Splats, camera: Camera, tensors: CameraTensors, options: RenderOptions) -> Tensor:
    """Sum over pixels of each Gaussian's blending weight [N]."""
    means, quats, scales, opacities = (
        tensor.detach() for tensor in (splats.means, splats.quats_wxyz, splats.scales, splats.opacities)
    )
    with torch.enable_grad():
        ones = torch.ones_like(means[:, :1]).requires_grad_()
        alone = Splats(means, quats, scales, opacities, ones)
        fixed = CameraTensors(tensors.cam_from_world.detach(), tensors.K.detach())
        blended, _, _ = _rasterization(alone, camera, fixed, ones.new_zeros(1), options)
        return torch.autograd.grad(blended[..., 0].sum(), ones)[0][:, 0]


@torch.no_grad()
def _radii(meta: dict[str, Tensor], camera: Camera) -> Tensor:
    """Exact radii [N] from gsplat's inverse covariances; its own are whole pixels."""
    a, b, c = meta["conics"][0].unbind(-1)
    variances = torch.stack([c, a], 1) / (a * c - b * b)[:, None]
    radii = visible_radii(meta["means2d"][0], variances, meta["opacities"][0], camera)
    return torch.where((meta["radii"][0] > 0).all(-1), radii, torch.zeros_like(radii))


def _surface_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    """Expected depth where the picture is at least half opaque, else 0."""
    return torch.where(alpha >= 0.5, depth / alpha.clamp(min=0.5), torch.zeros_like(depth))


def _empty(splats: Splats, camera: Camera, background: Tensor, with_weights: bool) -> Render:
    """The background alone; still differentiable in it, and with zero gradients to the Gaussians."""
    nothing = 0 * sum(tensor.nan_to_num(0, 0, 0).sum() for tensor in vars(splats).values() if tensor is not None)
    zeros = splats.means.new_zeros(camera.height, camera.width) + nothing
    nobody = splats.means.detach().new_zeros(len(splats.means))
    return Render(
        background + zeros[..., None],
        zeros,
        zeros,
        zeros,
        nobody,
        features=None if splats.features is None else zeros[..., None].expand(-1, -1, splats.features.shape[1]),
        weights=nobody if with_weights else None,
    )
