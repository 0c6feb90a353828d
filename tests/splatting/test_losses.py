"""The fused loss against its torch twin, and the twin against an independent SSIM."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from splat_scenes import relative_l2

from splatting import _native
from splatting.losses import photometric_loss, photometric_loss_torch, ssim_map


def pictures(height: int, width: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, 3, generator=g)
    noisy = (target + 0.2 * torch.randn(height, width, 3, generator=g)).clamp(0, 1)
    noisy[: height // 3] = target[: height // 3]  # where L1 has its kink
    return noisy, target


def value_and_gradient(loss, rgb: torch.Tensor, target: torch.Tensor, dtype: torch.dtype, **options):
    copy = rgb.detach().to(dtype).requires_grad_()
    value = loss(copy, target.to(dtype), **options)
    (3 * value).backward()
    return float(value.detach()), copy.grad


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("ssim_weight", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (23, 5), (40, 61)])
def test_the_kernel_agrees_with_the_float64_twin(height: int, width: int, ssim_weight: float, masked: bool) -> None:
    rgb, target = pictures(height, width)
    valid = torch.rand(height, width, generator=torch.Generator().manual_seed(1)) < 0.8 if masked else None
    options = {"ssim_weight": ssim_weight, "valid": valid}
    value, gradient = value_and_gradient(photometric_loss, rgb, target, torch.float32, **options)
    expected, expected_gradient = value_and_gradient(photometric_loss_torch, rgb, target, torch.float64, **options)
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert relative_l2(gradient, expected_gradient) < 1e-5  # measured 1.5e-7


@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
def test_every_instruction_set_agrees(instruction_set: str) -> None:
    rgb, target = pictures(30, 37)
    used = _native.instruction_set()
    try:
        _native.use_instruction_set(instruction_set)
        _, gradient = value_and_gradient(photometric_loss, rgb, target, torch.float32)
    finally:
        _native.use_instruction_set(used)
    _, expected = value_and_gradient(photometric_loss_torch, rgb, target, torch.float64)
    assert relative_l2(gradient, expected) < 1e-5


def test_flat_pictures_keep_their_digits() -> None:
    """Variances near zero, where E[x^2] - E[x]^2 cancels."""
    target = torch.full((40, 40, 3), 0.9)
    rgb = target + 0.01 * torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(0))
    _, gradient = value_and_gradient(photometric_loss, rgb, target, torch.float32)
    _, expected = value_and_gradient(photometric_loss_torch, rgb, target, torch.float64)
    assert relative_l2(gradient, expected) < 1e-4


def test_results_are_the_same_bit_for_bit_for_any_number_of_threads() -> None:
    rgb, target = pictures(45, 50)
    used = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 60):
            torch.set_num_threads(threads)
            results.append(value_and_gradient(photometric_loss, rgb, target, torch.float32))
    finally:
        torch.set_num_threads(used)
    assert all(value == results[0][0] and torch.equal(gradient, results[0][1]) for value, gradient in results[1:])


@pytest.mark.parametrize("loss", [photometric_loss, photometric_loss_torch])
def test_equal_pictures_have_no_loss(loss) -> None:
    _, target = pictures(20, 20)
    assert float(loss(target.clone(), target)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [photometric_loss, photometric_loss_torch])
def test_invalid_pixels_have_neither_loss_nor_gradient(loss) -> None:
    rgb, target = pictures(30, 30)
    valid = torch.ones(30, 30, dtype=torch.bool)
    valid[10:20, 5:25] = False
    value, gradient = value_and_gradient(loss, rgb, target, torch.float32, valid=valid)
    assert not gradient[~valid].any()
    assert gradient[valid].any()
    garbage = rgb.clone()
    garbage[~valid] = 7.0
    assert value_and_gradient(loss, garbage, target, torch.float32, valid=valid)[0] == value


def test_ssim_agrees_with_scipys_gaussian_filter() -> None:
    rgb, target = (picture.double().numpy() for picture in pictures(40, 50))

    def blur(x):
        return gaussian_filter(x, 1.5, mode="constant", truncate=5 / 1.5, axes=(0, 1))

    a, b = blur(rgb), blur(target)
    variances = blur(rgb * rgb) - a * a + blur(target * target) - b * b
    covariance = blur(rgb * target) - a * b
    expected = (2 * a * b + 1e-4) * (2 * covariance + 9e-4) / ((a * a + b * b + 1e-4) * (variances + 9e-4))
    ours = ssim_map(torch.as_tensor(rgb), torch.as_tensor(target))
    assert torch.allclose(ours, torch.as_tensor(expected), atol=1e-12)


def test_the_loss_without_a_gradient_is_the_same() -> None:
    rgb, target = pictures(30, 20)
    with_gradient, _ = value_and_gradient(photometric_loss, rgb, target, torch.float32)
    assert float(photometric_loss(rgb, target)) == with_gradient


@pytest.mark.parametrize("loss", [photometric_loss, photometric_loss_torch])
def test_what_does_not_fit_is_refused(loss) -> None:
    rgb = torch.rand(4, 5, 3)
    with pytest.raises(ValueError, match=r"rgb must be \[H, W, 3\]"):
        loss(rgb[..., :2], rgb[..., :2])
    with pytest.raises(ValueError, match=r"target must be \[4, 5, 3\]"):
        loss(rgb, rgb[:3])
    with pytest.raises(ValueError, match="target must not require a gradient"):
        loss(rgb, rgb.clone().requires_grad_())
    with pytest.raises(ValueError, match="ssim_weight must be in"):
        loss(rgb, rgb, ssim_weight=1.5)
    with pytest.raises(ValueError, match=r"valid must be bool \[4, 5\]"):
        loss(rgb, rgb, valid=torch.ones(4, 5))
