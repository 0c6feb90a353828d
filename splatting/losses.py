"""How far a rendered picture is from its photo: (1 - w) L1 + w (1 - SSIM), the loss of 3D Gaussian Splatting."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for values in [0, 1]
WINDOW_SIZE, WINDOW_SIGMA = 11, 1.5


def photometric_loss(rgb: Tensor, target: Tensor, *, ssim_weight: float = 0.2, valid: Tensor | None = None) -> Tensor:
    """(1 - w) x mean |rgb - target| + w x (1 - SSIM), over all pixels and channels.

    SSIM with an 11 x 11 Gaussian window of sigma 1.5 px and zero padding. Float32 on the CPU takes a fused kernel;
    everything else is `photometric_loss_torch`. Differentiable in `rgb` once, not in `target`.

    Args:
        rgb: rendered picture [H, W, 3].
        target: photo [H, W, 3], same dtype and device.
        ssim_weight: w in [0, 1].
        valid: bool [H, W]; elsewhere the picture takes the target's value, so that there is neither loss nor gradient.
            The mean still goes over all pixels.

    Returns:
        A scalar.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or `target` wants a gradient.
        ImportError: the compiled kernels are missing.
    """
    _check(rgb, target, ssim_weight, valid)
    if rgb.device.type == "cpu" and rgb.dtype == torch.float32:
        return _FusedLoss.apply(rgb, target, ssim_weight, valid)
    return photometric_loss_torch(rgb, target, ssim_weight=ssim_weight, valid=valid)


def photometric_loss_torch(
    rgb: Tensor, target: Tensor, *, ssim_weight: float = 0.2, valid: Tensor | None = None
) -> Tensor:
    """The same in plain torch, for any float dtype and device."""
    _check(rgb, target, ssim_weight, valid)
    if valid is not None:
        rgb = torch.where(valid[..., None], rgb, target)
    l1 = (rgb - target).abs().mean()
    return (1 - ssim_weight) * l1 + ssim_weight * (1 - ssim_map(rgb, target).mean())


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM at every pixel and channel.

    Args:
        a, b: pictures in [0, 1], [H, W, 3].

    Returns:
        [H, W, 3], 1 where the neighbourhoods agree.

    [1] Wang, Bovik, Sheikh & Simoncelli, Image quality assessment, IEEE TIP 13(4), 2004.
    """
    a, b = (picture.permute(2, 0, 1) for picture in (a, b))  # [3, H, W]
    mean_a, mean_b, squares, product = _blur(torch.cat([a, b, a * a + b * b, a * b])).chunk(4)
    variances = squares - mean_a * mean_a - mean_b * mean_b
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a * mean_a + mean_b * mean_b + SSIM_C1)
    ssim = luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return ssim.permute(1, 2, 0)


def _blur(pictures: Tensor) -> Tensor:
    """Gaussian blur with zero padding, [C, H, W] to the same.

    The channels are groups of one picture: as a batch of pictures torch takes ten times as long on the CPU.
    """
    x = torch.arange(WINDOW_SIZE, dtype=pictures.dtype, device=pictures.device) - WINDOW_SIZE // 2
    window = torch.exp(-x * x / (2 * WINDOW_SIGMA**2))
    channels, reach = len(pictures), WINDOW_SIZE // 2
    window = (window / window.sum()).repeat(channels, 1)
    across = conv2d(pictures[None], window.view(channels, 1, -1, 1), padding=(reach, 0), groups=channels)
    return conv2d(across, window.view(channels, 1, 1, -1), padding=(0, reach), groups=channels)[0]


class _FusedLoss(torch.autograd.Function):
    """Loss and gradient in one walk over the picture; backward only scales the gradient."""

    @staticmethod
    def forward(ctx: Any, rgb: Tensor, target: Tensor, ssim_weight: float, valid: Tensor | None) -> Tensor:
        import splatting._native as _native

        gradient = torch.empty_like(rgb, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        loss = _native.photometric_loss(
            rgb.detach().contiguous(),
            target.contiguous(),
            None if valid is None else valid.contiguous(),
            ssim_weight,
            gradient,
            torch.get_num_threads(),
        )
        ctx.gradient = gradient
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.gradient * scale, None, None, None


def _check(rgb: Tensor, target: Tensor, ssim_weight: float, valid: Tensor | None) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.numel() == 0:
        raise ValueError(f"rgb must be [H, W, 3] with at least one pixel, got {list(rgb.shape)}")
    if not rgb.is_floating_point():
        raise ValueError(f"rgb must be floating point, got {rgb.dtype}")
    if target.shape != rgb.shape or target.dtype != rgb.dtype or target.device != rgb.device:
        raise ValueError(
            f"target must be {list(rgb.shape)} {rgb.dtype} on {rgb.device} as rgb is, "
            f"got {list(target.shape)} {target.dtype} on {target.device}"
        )
    if target.requires_grad:
        raise ValueError("target must not require a gradient: detach it")
    if not 0 <= ssim_weight <= 1:
        raise ValueError(f"ssim_weight must be in [0, 1], got {ssim_weight}")
    if valid is not None and (valid.shape != rgb.shape[:2] or valid.dtype != torch.bool or valid.device != rgb.device):
        raise ValueError(
            f"valid must be bool {list(rgb.shape[:2])} on {rgb.device}, "
            f"got {valid.dtype} {list(valid.shape)} on {valid.device}"
        )
