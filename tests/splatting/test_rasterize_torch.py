"""The plain torch rasterizer against gsplat's reference functions and finite differences."""

import pytest
import torch
from gsplat.cuda import _torch_impl as reference
from splat_scenes import PARAMETERS, leaves, random_splats, relative_l2, turned_camera

from splatting.gaussians import Splats
from splatting.rasterize_torch import _opacities_at_pixels, project_gaussians, rasterize
from splatting.rasterizer import CameraTensors, RenderOptions


def test_projection_agrees_with_gsplat() -> None:
    splats, camera = leaves(random_splats(300), torch.float64), turned_camera(64, 48)
    pose, K = torch.as_tensor(camera.cam_from_world), torch.as_tensor(camera.K)
    covariances, _ = reference._quat_scale_to_covar_preci(splats.quats_wxyz, splats.scales, True, False)
    radii, means2d, depths, conics, compensations = reference._fully_fused_projection(
        splats.means, covariances, pose[None], K[None], camera.width, camera.height, calc_compensations=True
    )
    is_seen = (radii[0] > 0).all(-1)
    assert is_seen.sum() > 100
    in_camera = splats.means @ pose[:3, :3].T + pose[:3, 3]
    ours2d, covariances2d, fading = project_gaussians(
        splats.quats_wxyz, splats.scales, in_camera, CameraTensors.of(camera, splats.means), camera
    )
    a, b, c = covariances2d[:, 0, 0], covariances2d[:, 0, 1], covariances2d[:, 1, 1]
    ours = torch.stack([c, -b, a], -1) / (a * c - b * b)[:, None]
    assert torch.allclose(ours2d[is_seen], means2d[0, is_seen])
    assert torch.allclose(ours[is_seen], conics[0, is_seen])
    assert torch.allclose(in_camera[is_seen, 2], depths[0, is_seen])
    assert torch.allclose(fading[is_seen], compensations[0, is_seen])


def test_opacity_at_a_pixel_follows_the_gaussian() -> None:
    mean, covariance = torch.tensor([[1.5, 1.5]]), torch.tensor([[[2.0, 0.5], [0.5, 1.0]]])
    alphas = _opacities_at_pixels(mean, covariance, torch.tensor([0.8]), 4, torch.arange(3)).reshape(3, 4)
    offset = torch.tensor([2.0, -1.0])  # of pixel (3, 0)
    distance2 = offset @ torch.linalg.inv(covariance[0]) @ offset
    assert torch.isclose(alphas[0, 3], 0.8 * torch.exp(-0.5 * distance2))
    assert torch.isclose(alphas[1, 1], torch.tensor(0.8))


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("name", PARAMETERS)
def test_gradients_agree_with_finite_differences(name: str, antialiased: bool) -> None:
    """Few, faint, wide Gaussians: no pixel within the step of a threshold."""
    splats, camera = leaves(random_splats(8, seed=1, radius=2.0), torch.float64), turned_camera(6, 5)
    weights = torch.randn(5, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def loss(values: Splats) -> torch.Tensor:
        render = rasterize(values, camera, options=RenderOptions(antialiased=antialiased))
        pictures = torch.cat([render.rgb, render.alpha[..., None], render.depth[..., None]], -1)
        return (weights * pictures).sum()

    loss(splats).backward()
    parameter = getattr(splats, name)
    step, numeric = 1e-6, torch.zeros_like(parameter)
    with torch.no_grad():
        for i in range(parameter.numel()):
            flat = parameter.view(-1)
            flat[i] += step
            above = loss(splats)
            flat[i] -= 2 * step
            numeric.view(-1)[i] = (above - loss(splats)) / (2 * step)
            flat[i] += step
    assert numeric.any()
    assert relative_l2(parameter.grad, numeric) < 1e-6


def test_a_pixel_ends_before_its_transmittance_falls_to_a_ten_thousandth() -> None:
    n = 4
    means = torch.tensor([[0.0, 0.0, 2.0 + i] for i in range(n)])
    splats = Splats(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), 1e3),
        torch.tensor([0.99, 0.98, 0.9, 0.5]),
        torch.ones(n, 1, 3),
    )
    alpha = rasterize(splats, turned_camera(3, 3, angle=0.0)).alpha
    # 0.01, 0.0002, then 0.00002 would be too little: the third ends the pixel, and so the fourth is not drawn either.
    assert torch.allclose(1 - alpha, torch.full((3, 3), 2e-4), atol=2e-6)
