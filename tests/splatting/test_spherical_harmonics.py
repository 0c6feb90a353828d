"""Spherical harmonics against gsplat's and their own orthogonality."""

import math

import pytest
import torch
from gsplat.cuda import _torch_impl as reference

from splatting.spherical_harmonics import evaluate_bases, evaluate_colours, rgb_from_sh, sh_from_rgb


def sphere(n: int) -> torch.Tensor:
    """Fibonacci points on the unit sphere: nearly equal areas."""
    i = torch.arange(n, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * i / n, math.pi * (1 + 5**0.5) * i
    r = torch.sqrt(1 - z * z)
    return torch.stack([r * torch.cos(turn), r * torch.sin(turn), z], -1)


def test_bases_are_orthonormal_on_the_sphere() -> None:
    bases = evaluate_bases(3, sphere(20_000))
    products = bases.T @ bases * (4 * math.pi / 20_000)
    assert torch.allclose(products, torch.eye(16, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_agree_with_gsplat(degree: int) -> None:
    directions = torch.randn(50, 3, dtype=torch.float64)
    sh = torch.randn(50, 16, 3, dtype=torch.float64)
    expected = (reference._spherical_harmonics(degree, directions, sh) + 0.5).clamp(min=0)
    assert torch.allclose(evaluate_colours(sh, directions, degree), expected, atol=1e-12)


def test_constant_coefficients_and_colours_are_inverse() -> None:
    rgb = torch.rand(10, 3)
    assert torch.allclose(rgb_from_sh(sh_from_rgb(rgb)), rgb, atol=1e-6)
    shown = evaluate_colours(sh_from_rgb(rgb)[:, None], torch.randn(10, 3), 0)
    assert torch.allclose(shown, rgb, atol=1e-6)


def test_an_unknown_degree_is_refused() -> None:
    with pytest.raises(ValueError, match="degree must be 0 to 3"):
        evaluate_bases(4, torch.zeros(1, 3))
