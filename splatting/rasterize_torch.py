"""The rasterizer in plain torch: slow, dense, any float dtype. The oracle of the others."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.normals import draw_with_normals
from splatting.radii import visible_radii
from splatting.rasterizer import DEFAULT_OPTIONS, CameraTensors, Render, RenderOptions
from splatting.rasterizer_inputs import check_inputs, drawable
from splatting.spherical_harmonics import evaluate_colours

BLUR_PX2 = 0.3
MIN_ALPHA, MAX_ALPHA, MIN_TRANSMITTANCE = 1 / 255, 0.999, 1e-4
MIN_FADING = 1e-10  # far below what is drawn; keeps the square root's gradient finite
PIXELS_AT_ONCE = 64  # so that what is at work stays in the cache
VIEW_MARGIN = 0.3  # the Jacobian is taken at most this far (x the half view) outside the view


def rasterize(
    splats: Splats,
    camera: Camera,
    *,
    camera_tensors: CameraTensors | None = None,
    background: Tensor | None = None,
    options: RenderOptions = DEFAULT_OPTIONS,
) -> Render:
    """Render one view by autograd, with the rules of `splatting.rasterizer.Rasterizer`.

    Time is H x W x N, memory a thirtieth of that or less: for some thousand Gaussians on a small image. In the dtype of
    `splats`.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together.
    """
    degree = check_inputs(splats, camera, camera_tensors, background, options)
    if options.with_normals:
        return draw_with_normals(rasterize, splats, camera, camera_tensors, background, options)
    background = splats.means.new_zeros(3) if background is None else background
    tensors = CameraTensors.of(camera, splats.means) if camera_tensors is None else camera_tensors
    pose = tensors.cam_from_world
    in_camera, keep = _front_to_back(splats, pose, options.near, drawable(splats, degree))
    means2d, covariances2d, fading = project_gaussians(
        splats.quats_wxyz[keep], splats.scales[keep], in_camera, tensors, camera
    )
    opacities = splats.opacities[keep] * fading if options.antialiased else splats.opacities[keep]
    channels = [_colours(splats, keep, pose, degree), in_camera[:, 2:]]
    if splats.features is not None:
        channels.append(splats.features[keep])
    blended, weights = _blend_all(means2d, covariances2d, opacities, torch.cat(channels, 1), camera)
    radii = visible_radii(means2d, covariances2d.diagonal(dim1=1, dim2=2), opacities, camera)
    transmittance = blended[..., 0]
    everyone = splats.means.detach().new_zeros(len(splats.means))
    return Render(
        rgb=blended[..., 2:5] + transmittance[..., None] * background,
        alpha=1 - transmittance,
        depth=blended[..., 5],
        median_depth=blended[..., 1],
        radii=everyone.index_copy(0, keep, radii),
        features=None if splats.features is None else blended[..., 6:],
        weights=everyone.index_copy(0, keep, weights) if options.with_weights else None,
    )


def rotation_matrices(quats_wxyz: Tensor) -> Tensor:
    """Rotation matrices [N, 3, 3] of quaternions [N, 4] of any length but zero."""
    w, x, y, z = (quats_wxyz / quats_wxyz.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _front_to_back(splats: Splats, pose: Tensor, near: float, is_drawable: Tensor) -> tuple[Tensor, Tensor]:
    """Centres in the camera frame [M, 3] and indices [M] of what is drawn, by depth, equal depths by index."""
    in_camera = splats.means @ pose[:3, :3].T + pose[:3, 3]
    keep = torch.nonzero(is_drawable & (in_camera[:, 2] >= near)).squeeze(1)
    keep = keep[torch.sort(in_camera[keep, 2].detach(), stable=True).indices]
    return in_camera[keep], keep


def project_gaussians(
    quats: Tensor, scales: Tensor, in_camera: Tensor, tensors: CameraTensors, camera: Camera
) -> tuple[Tensor, Tensor, Tensor]:
    """Centres [N, 2] and covariances [N, 2, 2] in the picture, px, and the share antialiasing leaves of opacities [N].

    EWA splatting. `in_camera` [N, 3] are their centres in the camera frame; what lies at z <= 0 means nothing.
    """
    fx, fy, cx, cy = (tensors.K[r, c] for r, c in [(0, 0), (1, 1), (0, 2), (1, 2)])
    z = in_camera[:, 2]
    tx, ty = in_camera[:, 0] / z, in_camera[:, 1] / z
    margin_x, margin_y = VIEW_MARGIN * 0.5 * camera.width / fx, VIEW_MARGIN * 0.5 * camera.height / fy
    tx_kept = tx.clamp(-cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
    ty_kept = ty.clamp(-cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    rows = [torch.stack([fx / z, zero, -fx * tx_kept / z], -1), torch.stack([zero, fy / z, -fy * ty_kept / z], -1)]
    axes = (
        torch.stack(rows, 1) @ tensors.cam_from_world[:3, :3] @ rotation_matrices(quats) * scales[:, None, :]
    )  # [N, 2, 3]
    blur = BLUR_PX2 * torch.eye(2, dtype=z.dtype, device=z.device)
    covariances = axes @ axes.transpose(1, 2) + blur
    area2 = torch.linalg.cross(axes[:, 0], axes[:, 1]).square().sum(-1)
    fading2 = (area2 / torch.linalg.det(covariances)).clamp(min=MIN_FADING**2)
    return torch.stack([fx * tx + cx, fy * ty + cy], -1), covariances, fading2.sqrt()


def _colours(splats: Splats, keep: Tensor, pose: Tensor, degree: int | None) -> Tensor:
    """Colours [M, 3] of the Gaussians at `keep` [M]."""
    if degree is None:
        return splats.colours[keep]
    center = -pose[:3, :3].T @ pose[:3, 3]
    return evaluate_colours(splats.colours[keep], splats.means[keep] - center, degree)


def _blend_all(
    means2d: Tensor, covariances2d: Tensor, opacities: Tensor, channels: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Blend channels [N, 3 + 1 + C] (colour, z, features) some rows at a time, each computed anew for its gradient.

    Returns:
        Transmittance, median depth and the channels [H, W, 2 + 4 + C]; each Gaussian's weight [N], without a gradient.
    """
    bands, weights = [], torch.zeros_like(opacities.detach())
    for rows in torch.arange(camera.height).split(max(1, PIXELS_AT_ONCE // camera.width)):
        tensors = (means2d, covariances2d, opacities, channels)
        band, band_weights = checkpoint(_blend_rows, *tensors, camera.width, rows, use_reentrant=False)
        bands.append(band)
        weights += band_weights
    return torch.cat(bands).unflatten(0, (camera.height, camera.width)), weights


def _blend_rows(
    means2d: Tensor, covariances2d: Tensor, opacities: Tensor, channels: Tensor, width: int, rows: Tensor
) -> tuple[Tensor, Tensor]:
    return _blend(_opacities_at_pixels(means2d, covariances2d, opacities, width, rows), channels)


def _opacities_at_pixels(means2d: Tensor, covariances2d: Tensor, opacities: Tensor, width: int, rows: Tensor) -> Tensor:
    """Opacity of every Gaussian at every pixel centre of some rows [len(rows) * width, N]; 0 where below 1/255."""
    x, y = torch.arange(width).to(means2d) + 0.5, rows.to(means2d) + 0.5
    y, x = torch.meshgrid(y, x, indexing="ij")
    offsets = torch.stack([x, y], -1).reshape(-1, 1, 2) - means2d  # [P, N, 2]
    a, b, c = covariances2d[:, 0, 0], covariances2d[:, 0, 1], covariances2d[:, 1, 1]
    dx, dy = offsets.unbind(-1)
    mahalanobis2 = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / (a * c - b * b)
    alphas = (opacities * torch.exp(-0.5 * mahalanobis2)).clamp(max=MAX_ALPHA)
    return torch.where(alphas >= MIN_ALPHA, alphas, torch.zeros_like(alphas))


def _blend(alphas: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """Blend front to back; a pixel ends before its transmittance falls to MIN_TRANSMITTANCE.

    Args:
        alphas: opacities at pixels [P, N].
        channels: colour, z and features [N, 3 + 1 + C].

    Returns:
        Transmittance, median depth and the channels [P, 2 + 4 + C]; each Gaussian's weight [N], without a gradient.
    """
    with torch.no_grad():
        is_blended = torch.cumprod(1 - alphas, 1) > MIN_TRANSMITTANCE
    alphas = torch.where(is_blended, alphas, torch.zeros_like(alphas))
    start = alphas.new_ones(len(alphas), 1)
    transmittances = torch.cat([start, torch.cumprod(1 - alphas, 1)], 1)  # [P, N + 1]
    weights, final = alphas * transmittances[:, :-1], transmittances[:, -1:]
    crosses_half = (transmittances[:, :-1] > 0.5) & (transmittances[:, 1:] <= 0.5)  # at most one per pixel
    median_depth = crosses_half.to(channels) @ channels[:, 3:4]
    return torch.cat([final, median_depth, weights @ channels], 1), weights.detach().sum(0)
