"""What every rasterizer checks before it draws."""

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, RenderOptions

_DEGREES = {1: 0, 4: 1, 9: 2, 16: 3}
MIN_QUAT_NORM, MAX_QUAT_NORM = 1e-12, 1e18  # beyond, float32 cannot normalise a quaternion


def check_inputs(
    splats: Splats,
    camera: Camera,
    camera_tensors: CameraTensors | None,
    background: Tensor | None,
    options: RenderOptions,
) -> int | None:
    """Check shapes, dtypes and devices.

    Returns:
        The spherical-harmonics degree to use; None if the colours are plain.

    Raises:
        ValueError: something has another shape, dtype or device than the rasterizers document.
    """
    _check_splats(splats)
    if camera_tensors is not None:
        _check_like(camera_tensors.cam_from_world, "cam_from_world", (4, 4), splats.means)
        _check_like(camera_tensors.K, "K", (3, 3), splats.means)
    if background is not None:
        _check_like(background, "background", (3,), splats.means)
    if camera.width < 1 or camera.height < 1:
        raise ValueError(f"the camera's image must have at least one pixel, got {camera.width} x {camera.height}")
    if not options.near > 0:
        raise ValueError(f"near must be above 0, got {options.near}")
    return _degree(splats.colours, options.sh_degree)


def drawable(splats: Splats, degree: int | None) -> Tensor:
    """Which Gaussians have parameters that can be drawn, bool [N]; the others are left out.

    Every parameter in use is finite, the quaternion is not zero and the opacity is in (0, 1].
    """
    colours = splats.colours if degree is None else splats.colours[:, : (degree + 1) ** 2]
    rows = [splats.means, splats.scales, splats.opacities[:, None], colours.flatten(1)]
    if splats.features is not None:
        rows.append(splats.features)
    is_finite = torch.cat([row.detach() for row in rows], 1).isfinite().all(1)
    return is_finite & is_rotation(splats.quats_wxyz) & (splats.opacities > 0) & (splats.opacities <= 1)


def is_rotation(quats_wxyz: Tensor) -> Tensor:
    """Which quaternions [N, 4] are finite and can be normalised, bool [N]."""
    norm = quats_wxyz.detach().norm(dim=1)
    return (norm >= MIN_QUAT_NORM) & (norm <= MAX_QUAT_NORM)


def _degree(colours: Tensor, wanted: int | None) -> int | None:
    if colours.ndim == 2:
        if wanted is not None:
            raise ValueError(f"sh_degree must be None, for colours are plain, got {wanted}")
        return None
    stored = _DEGREES[colours.shape[1]]
    if wanted is not None and not 0 <= wanted <= stored:
        raise ValueError(f"sh_degree must be 0 to {stored}, the degree of colours, got {wanted}")
    return stored if wanted is None else wanted


def _check_splats(splats: Splats) -> None:
    n = len(splats.means)
    if not splats.means.is_floating_point():
        raise ValueError(f"means must be floating point, got {splats.means.dtype}")
    _check_like(splats.means, "means", (n, 3), splats.means)
    _check_like(splats.quats_wxyz, "quats_wxyz", (n, 4), splats.means)
    _check_like(splats.scales, "scales", (n, 3), splats.means)
    _check_like(splats.opacities, "opacities", (n,), splats.means)
    shape = tuple(splats.colours.shape)
    if shape != (n, 3) and (len(shape) != 3 or shape[1] not in _DEGREES):
        raise ValueError(f"colours must be [{n}, 3] or [{n}, 1|4|9|16, 3], got {list(shape)}")
    _check_like(splats.colours, "colours", (n, *shape[1:-1], 3), splats.means)
    if splats.features is not None:
        if splats.features.ndim != 2:
            raise ValueError(f"features must be [{n}, C], got {list(splats.features.shape)}")
        _check_like(splats.features, "features", (n, splats.features.shape[1]), splats.means)


def _check_like(tensor: Tensor, name: str, shape: tuple[int, ...], means: Tensor) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must be {list(shape)}, got {list(tensor.shape)}")
    if tensor.dtype != means.dtype or tensor.device != means.device:
        raise ValueError(
            f"{name} must be {means.dtype} on {means.device} as means are, got {tensor.dtype} on {tensor.device}"
        )
