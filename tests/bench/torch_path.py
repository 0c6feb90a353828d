"""What a CPU without our kernels would do in torch: gsplat's projection and harmonics, and blending of given pairs.

gsplat's torch rasterizer needs CUDA to find which Gaussian covers which pixel, and nerfacc to blend. Here the list of
pairs is given, exact and free of charge, and nerfacc's two functions are a segmented scan and a sum. That is kind to
torch: what is timed leaves out sorting and binning, which our kernels do in every frame. Two ways to blend:

- `blend_as_gsplat` calls gsplat's `accumulate`, the picture at once;
- `blend` is tuned: one gather for all that a pair needs, and pieces small enough for the cache.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from unittest.mock import patch

import torch
from gsplat.cuda import _torch_impl as gsplat_torch
from torch import Tensor
from torch.nn.functional import conv2d

from splatting import losses
from splatting.camera import Camera
from splatting.gaussians import Splats

MIN_ALPHA, MAX_ALPHA, MIN_TRANSMITTANCE = 1 / 255, 0.999, 1e-4
CANDIDATES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Pairs:
    """Some Gaussian-pixel pairs, by pixel and front to back, as large as fits into memory at once.

    Attributes:
        gaussians: index of the Gaussian [P].
        pixels: index of the pixel, row-major [P].
        firsts: index of the first pair of the same pixel [P].
        centres: the pixel's centre [P, 2], px.
        width, height: of the picture, px.
    """

    gaussians: Tensor
    pixels: Tensor
    firsts: Tensor
    centres: Tensor
    width: int
    height: int


Blend = Callable[[Tensor, Pairs, int], Tensor]


def project(splats: Splats, camera: Camera) -> Tensor:
    """What blending needs of every Gaussian [N, 10]: centre, conic, opacity, colour, depth; by gsplat's torch code."""
    covariances, _ = gsplat_torch._quat_scale_to_covar_preci(splats.quats_wxyz, splats.scales, compute_preci=False)
    pose = torch.as_tensor(camera.cam_from_world).float()
    _, centres, depths, conics, _ = gsplat_torch._fully_fused_projection(
        splats.means,
        covariances,
        pose[None],
        torch.as_tensor(camera.K).float()[None],
        camera.width,
        camera.height,
    )
    directions = splats.means - torch.as_tensor(camera.center).float()
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[splats.colours.shape[1]]
    colours = (gsplat_torch._spherical_harmonics(degree, directions, splats.colours) + 0.5).clamp(min=0)
    return torch.cat([centres[0], conics[0], splats.opacities[:, None], colours, depths[0, :, None]], 1)


def blend(seen: Tensor, pairs: Pairs, num_pixels: int) -> Tensor:
    """Colours [num_pixels, 3] over black; pixels that are not in `pairs` stay black."""
    alphas, colours = _alphas(seen, pairs.gaussians, pairs.centres)
    weights = alphas * _transmittances(alphas, pairs.firsts)
    return torch.zeros(num_pixels, 3).index_add(0, pairs.pixels, weights[:, None] * colours)


def blend_as_gsplat(seen: Tensor, pairs: Pairs, num_pixels: int) -> Tensor:
    """The same by gsplat's `accumulate`; it also sums up the opacity."""

    def render_weight_from_alpha(alphas: Tensor, **_: object) -> tuple[Tensor, Tensor]:
        transmittances = _transmittances(alphas, pairs.firsts)
        return alphas * transmittances, transmittances

    def accumulate_along_rays(weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int) -> Tensor:
        summands = weights[:, None] if values is None else weights[:, None] * values
        return torch.zeros(n_rays, summands.shape[1]).index_add(0, ray_indices, summands)

    nerfacc = ModuleType("nerfacc")
    vars(nerfacc).update(render_weight_from_alpha=render_weight_from_alpha, accumulate_along_rays=accumulate_along_rays)
    centres, conics, opacities, colours = seen[None, :, :2], seen[None, :, 2:5], seen[None, :, 5], seen[None, :, 6:9]
    images = torch.zeros_like(pairs.pixels)
    with patch.dict(sys.modules, nerfacc=nerfacc):
        rgb, _ = gsplat_torch.accumulate(
            centres, conics, opacities, colours, pairs.gaussians, pairs.pixels, images, pairs.width, pairs.height
        )
    return rgb.reshape(num_pixels, 3)


def render(splats: Splats, camera: Camera, pieces: list[Pairs], way: Blend = blend) -> Tensor:
    """The picture [H, W, 3], without gradients."""
    with torch.no_grad():
        seen = project(splats, camera)
        rgb = sum(way(seen, pairs, camera.width * camera.height) for pairs in pieces)
    return rgb.reshape(camera.height, camera.width, 3)


def forward_backward(splats: Splats, camera: Camera, pieces: list[Pairs], gradient: Tensor, way: Blend = blend) -> None:
    """Add dL/d(parameters) to the `grad` of `splats` for dL/d(rgb) = `gradient` [H, W, 3].

    Piece by piece, forward and backward, so that memory is bounded; nothing is computed twice.
    """
    seen = project(splats, camera)
    leaf = seen.detach().requires_grad_()
    flat = gradient.reshape(-1, 3)
    for pairs in pieces:
        way(leaf, pairs, len(flat)).backward(flat)
    seen.backward(leaf.grad)


@torch.no_grad()
def find_pairs(splats: Splats, camera: Camera, *, pairs_at_once: int, near: float = 0.01) -> list[Pairs]:
    """All pairs that matter: opacity at the pixel at least 1/255, up to where the pixel is saturated."""
    seen = project(splats, camera)
    order = torch.sort(seen[:, 9], stable=True).indices
    drawn = (seen[order, 9] >= near) & (seen[order, 5] >= MIN_ALPHA)
    found = list(_covered(seen, order[drawn], camera))
    gaussians, pixels = (torch.cat(part) for part in zip(*found, strict=True))
    by_pixel = torch.sort(pixels, stable=True)  # within a pixel they stay front to back
    gaussians, pixels = gaussians[by_pixel.indices].long(), by_pixel.values.long()
    open_pairs = _before_saturation(seen, gaussians, pixels, camera.width)
    return list(_pieces(gaussians[open_pairs], pixels[open_pairs], camera, pairs_at_once))


def _alphas(seen: Tensor, gaussians: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Opacities [P] and colours [P, 3] of pairs."""
    rows = seen.index_select(0, gaussians)
    dx, dy = (centres - rows[:, :2]).unbind(1)
    a, b, c, opacities = rows[:, 2:6].unbind(1)
    sigmas = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    return (opacities * torch.exp(-sigmas)).clamp(max=MAX_ALPHA), rows[:, 6:9]


def _transmittances(alphas: Tensor, firsts: Tensor) -> Tensor:
    """What is left of the light before every pair [P]."""
    logs = torch.log1p(-alphas).double()  # a float32 scan over millions of pairs would lose its digits
    before = torch.cumsum(logs, 0) - logs
    return torch.exp(before - before.index_select(0, firsts)).float()


def _centres(pixels: Tensor, width: int) -> Tensor:
    return torch.stack([pixels % width, pixels // width], 1) + 0.5


def _covered(seen: Tensor, gaussians: Tensor, camera: Camera) -> Iterator[tuple[Tensor, Tensor]]:
    """Gaussians and pixels, int32, of all pairs above 1/255, in the order of `gaussians`."""
    x, y, a, b, c, opacities = seen[gaussians, :6].unbind(1)
    reach = torch.sqrt(2 * torch.log(opacities * 255) / (a * c - b * b))
    low_x, high_x = _pixel_range(x, reach * c.sqrt(), camera.width)
    low_y, high_y = _pixel_range(y, reach * a.sqrt(), camera.height)
    columns = high_x - low_x
    counts = columns * (high_y - low_y)
    piece = torch.cumsum(counts, 0) // CANDIDATES_AT_ONCE
    for rows in torch.split(torch.arange(len(gaussians)), torch.bincount(piece).tolist()):
        repeats = counts[rows]
        within = torch.arange(int(repeats.sum())) - torch.repeat_interleave(torch.cumsum(repeats, 0) - repeats, repeats)
        row = torch.repeat_interleave(rows, repeats)
        pixels = (low_y[row] + within // columns[row]) * camera.width + low_x[row] + within % columns[row]
        alphas, _ = _alphas(seen, gaussians[row], _centres(pixels, camera.width))
        keep = alphas >= MIN_ALPHA
        yield gaussians[row][keep].int(), pixels[keep].int()


def _pixel_range(middle: Tensor, half: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel, and the one behind the last, whose centre is within `half` of `middle`."""
    low = torch.ceil(middle - half - 0.5).clamp(0, size).long()
    return low, torch.maximum(torch.floor(middle + half + 0.5).clamp(0, size).long(), low)


def _firsts(pixels: Tensor) -> Tensor:
    """For every pair the index of the first pair of its pixel; `pixels` is sorted."""
    _, counts = torch.unique_consecutive(pixels, return_counts=True)
    return torch.repeat_interleave(torch.cumsum(counts, 0) - counts, counts)


def _before_saturation(seen: Tensor, gaussians: Tensor, pixels: Tensor, width: int) -> Tensor:
    """Whether the transmittance of the pixel is still above 1e-4 behind a pair [P]."""
    alphas = torch.cat(
        [
            _alphas(seen, g, _centres(p, width))[0]
            for g, p in zip(gaussians.split(CANDIDATES_AT_ONCE), pixels.split(CANDIDATES_AT_ONCE), strict=True)
        ]
    )
    logs = torch.log1p(-alphas).double()
    scan = torch.cumsum(logs, 0)
    return torch.exp(scan - (scan - logs)[_firsts(pixels)]) > MIN_TRANSMITTANCE


def _pieces(gaussians: Tensor, pixels: Tensor, camera: Camera, pairs_at_once: int) -> Iterator[Pairs]:
    """Cut between pixels."""
    start = 0
    while start < len(pixels):
        end = min(start + pairs_at_once, len(pixels))
        if end < len(pixels):
            end = int(torch.searchsorted(pixels, pixels[end]))
        part = slice(start, end)
        own = pixels[part].clone()
        centres = _centres(own, camera.width)
        yield Pairs(gaussians[part].clone(), own, _firsts(own), centres, camera.width, camera.height)
        start = end


def photometric_loss(rgb: Tensor, target: Tensor) -> Tensor:
    """`photometric_loss_torch` as the authors of 3DGS convolve: with all 11 x 11 weights, not rows, then columns."""
    with patch.object(losses, "_blur", _blur_11x11):
        return losses.photometric_loss_torch(rgb, target)


def _blur_11x11(pictures: Tensor) -> Tensor:
    """Gaussian blur of sigma 1.5 px with zero padding, [C, H, W] to the same."""
    x = torch.arange(11.0) - 5
    window = torch.exp(-(x * x + (x * x)[:, None]) / (2 * 1.5**2))
    window = (window / window.sum()).expand(len(pictures), 1, 11, 11).contiguous()
    return conv2d(pictures[None], window, padding=5, groups=len(pictures))[0]
