"""PSNR and SSIM against independent computations."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from splatting.metrics import exposure_matched, psnr, ssim


def pictures(size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.random((size, size + 8, 3))
    return np.clip(target + 0.1 * rng.standard_normal(target.shape), 0, 1), target


def test_psnr_follows_the_mean_squared_error() -> None:
    target = np.full((4, 5, 3), 0.5)
    assert psnr(target + 0.1, target) == pytest.approx(20.0)
    rgb, target = pictures()
    assert psnr(rgb, target) == pytest.approx(-10 * math.log10(np.square(rgb - target).mean()))
    assert psnr(target, target) == 100.0


def test_masked_psnr_sees_only_the_mask() -> None:
    target = np.full((4, 6, 3), 0.5)
    rgb, mask = target.copy(), np.zeros((4, 6), bool)
    rgb[:, :3], rgb[:, 3:], mask[:, :3] = 0.6, 0.0, True
    assert psnr(rgb, target, mask) == pytest.approx(20.0)


def test_ssim_agrees_with_scikit_image_away_from_the_border() -> None:
    """scikit-image mirrors at the border where we pad with zeros: embed the picture in black, which both then see."""
    rgb, target = (np.pad(picture, ((16, 16), (16, 16), (0, 0))) for picture in pictures())
    expected = structural_similarity(
        rgb, target, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True, truncate=5 / 1.5,
    )[1].mean()  # fmt: skip
    assert ssim(rgb, target) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_a_small_picture_by_the_plain_double_loop() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((6, 7, 3)), rng.random((6, 7, 3))
    window = np.array([math.exp(-(k * k) / 4.5) for k in range(-5, 6)])
    window = np.outer(window, window) / np.outer(window, window).sum()
    padded_a, padded_b = (np.pad(x, ((5, 5), (5, 5), (0, 0))) for x in (a, b))
    values = []
    for y in range(6):
        for x in range(7):
            for c in range(3):
                p, q = padded_a[y : y + 11, x : x + 11, c], padded_b[y : y + 11, x : x + 11, c]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
                cov = (window * p * q).sum() - mp * mq
                values.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-12)


def test_equal_pictures_are_perfectly_similar_and_tensors_are_welcome() -> None:
    _, target = pictures()
    assert ssim(torch.as_tensor(target), target) == pytest.approx(1.0)


def test_what_does_not_fit_is_refused() -> None:
    rgb, target = pictures()
    with pytest.raises(ValueError, match=r"target must be \[48, 56, 3\]"):
        ssim(rgb, target[1:])
    with pytest.raises(ValueError, match="mask must be bool"):
        psnr(rgb, target, np.ones((48, 56)))
    with pytest.raises(ValueError, match="no pixel"):
        psnr(rgb, target, np.zeros((48, 56), bool))


def test_matching_exposure_takes_out_gain_and_offset_and_nothing_else() -> None:
    _, target = pictures()
    target = 0.2 + 0.5 * target
    darker = (target - np.array([0.02, 0.0, -0.05])) / np.array([1.2, 1.1, 0.9])
    np.testing.assert_allclose(exposure_matched(darker, target), target, atol=1e-9)
    noise = 0.05 * np.random.default_rng(1).standard_normal(target.shape)
    assert psnr(exposure_matched(darker + noise, target), target) == pytest.approx(
        psnr(target + noise, target), abs=0.7
    )
    flat = np.full_like(target, 0.3)
    np.testing.assert_allclose(exposure_matched(flat, target), np.broadcast_to(target.mean((0, 1)), target.shape))


def test_matching_exposure_looks_at_the_mask_only() -> None:
    _, target = pictures()
    mask = np.zeros(target.shape[:2], bool)
    mask[:20] = True
    rgb = np.where(mask[..., None], target / 1.25, 0.0)
    np.testing.assert_allclose(exposure_matched(rgb, target, mask)[mask], target[mask], atol=1e-9)
