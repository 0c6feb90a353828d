"""What every rasterizer checks before it draws."""

import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors

_DEGREES = {1: 0, 4: 1, 9: 2, 16: 3}
MIN_QUAT_NORM, MAX_QUAT_NORM = 1e-12, 1e18  # beyond, float32 cannot normalise a quaternion


def check_inputs(
    splats: Splats,
    camera: Camera,
    camera_tensors: CameraTensors | None,
    background: Tensor | None,
    sh_degree: int | None,
    near: float,
) -> int:
    """Check shapes, dtypes and devices.

    Returns:
        The spherical-harmonics degree to use.

    Raises:
        ValueError: something has another shape, dtype or device than the rasterizers document.
    """
    _check_splats(splats)
    stored = _DEGREES[splats.sh.shape[1]]
    if sh_degree is not None and not 0 <= sh_degree <= stored:
        raise ValueError(f"sh_degree must be 0 to {stored}, the degree of sh, got {sh_degree}")
    if camera_tensors is not None:
        _check_like(camera_tensors.cam_from_world, "cam_from_world", (4, 4), splats.means)
        _check_like(camera_tensors.K, "K", (3, 3), splats.means)
    if background is not None:
        _check_like(background, "background", (3,), splats.means)
    if camera.width < 1 or camera.height < 1:
        raise ValueError(f"the camera's image must have at least one pixel, got {camera.width} x {camera.height}")
    if not near > 0:
        raise ValueError(f"near must be above 0, got {near}")
    return stored if sh_degree is None else sh_degree


def drawable(splats: Splats, num_bases: int) -> Tensor:
    """Which Gaussians have parameters that can be drawn, bool [N]; the others are left out.

    Every parameter in use is finite, the quaternion is not zero and the opacity is in (0, 1].
    """
    rows = [splats.means, splats.quats_wxyz, splats.scales, splats.opacities[:, None], splats.sh[:, :num_bases]]
    is_finite = torch.stack([torch.isfinite(row).flatten(1).all(1) for row in rows]).all(0)
    norm = splats.quats_wxyz.norm(dim=1)
    has_rotation = (norm >= MIN_QUAT_NORM) & (norm <= MAX_QUAT_NORM)
    return is_finite & has_rotation & (splats.opacities > 0) & (splats.opacities <= 1)


def _check_splats(splats: Splats) -> None:
    n = len(splats.means)
    if not splats.means.is_floating_point():
        raise ValueError(f"means must be floating point, got {splats.means.dtype}")
    _check_like(splats.means, "means", (n, 3), splats.means)
    _check_like(splats.quats_wxyz, "quats_wxyz", (n, 4), splats.means)
    _check_like(splats.scales, "scales", (n, 3), splats.means)
    _check_like(splats.opacities, "opacities", (n,), splats.means)
    if splats.sh.ndim != 3 or splats.sh.shape[1] not in _DEGREES:
        raise ValueError(f"sh must be [{n}, 1|4|9|16, 3], got {list(splats.sh.shape)}")
    _check_like(splats.sh, "sh", (n, splats.sh.shape[1], 3), splats.means)


def _check_like(tensor: Tensor, name: str, shape: tuple[int, ...], means: Tensor) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must be {list(shape)}, got {list(tensor.shape)}")
    if tensor.dtype != means.dtype or tensor.device != means.device:
        raise ValueError(
            f"{name} must be {means.dtype} on {means.device} as means are, got {tensor.dtype} on {tensor.device}"
        )
