"""What a render brings beside the picture: depths, normals, features, weights, radii; and several views at once."""

import math
from dataclasses import replace

import pytest
import torch
from splat_scenes import PARAMETERS, WITH_FEATURES, leaves, random_splats, relative_l2, turned_camera

from splatting import rasterize_native, rasterize_torch
from splatting.gaussians import Splats
from splatting.normals import normals_in_camera
from splatting.rasterizer import CameraTensors, Rasterizer, Render, RenderOptions, rasterize_views

BOTH = pytest.mark.parametrize("draw", [rasterize_native.rasterize, rasterize_torch.rasterize], ids=["cpu", "torch"])
CAMERA = turned_camera(40, 30)


def sheets(opacities: list[float], *, width: float = 50.0) -> Splats:
    """Round sheets before an unturned camera, at z = 2, 3, 4, ..."""
    n = len(opacities)
    means = torch.tensor([[0.0, 0.0, 2.0 + i] for i in range(n)])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    scales = torch.tensor([width, width, 1e-3]).repeat(n, 1)
    return Splats(means, quats, scales, torch.tensor(opacities), torch.zeros(n, 3))


@BOTH
def test_plain_colours_are_drawn_as_they_are(draw: Rasterizer) -> None:
    splats = replace(sheets([0.5]), colours=torch.tensor([[1.5, -2.0, 0.25]]))
    rgb = draw(splats, turned_camera(5, 4, angle=0.0)).rgb
    assert torch.allclose(rgb[2, 2], torch.tensor([0.75, -1.0, 0.125]), atol=1e-4)


@BOTH
def test_features_are_blended_like_colours(draw: Rasterizer) -> None:
    splats = random_splats(300, degree=None)
    render = draw(replace(splats, features=torch.cat([splats.colours, 2 * splats.colours], 1)), CAMERA)
    assert torch.allclose(render.features[..., :3], render.rgb, atol=1e-5)
    assert torch.allclose(render.features[..., 3:], 2 * render.rgb, atol=1e-5)


@BOTH
def test_no_channel_is_not_no_features(draw: Rasterizer) -> None:
    splats = random_splats(20)
    assert draw(splats, CAMERA).features is None
    assert draw(replace(splats, features=torch.zeros(20, 0)), CAMERA).features.shape == (30, 40, 0)


@BOTH
def test_the_median_passes_its_gradient_to_the_gaussian_that_crosses_one_half(draw: Rasterizer) -> None:
    splats = leaves(sheets([0.3, 0.4, 0.4]))
    render = draw(splats, turned_camera(8, 8, angle=0.0))
    assert torch.allclose(render.median_depth, torch.tensor(3.0))
    render.median_depth.sum().backward()
    assert torch.allclose(splats.means.grad[:, 2], torch.tensor([0.0, 64.0, 0.0]))
    assert not splats.opacities.grad.any()


@BOTH
def test_the_camera_has_a_gradient_through_the_median(draw: Rasterizer) -> None:
    splats, camera = sheets([0.3, 0.4]), turned_camera(8, 8, angle=0.0)
    tensors = CameraTensors.of(camera, splats.means)
    tensors.cam_from_world.requires_grad_()
    draw(splats, camera, camera_tensors=tensors).median_depth.sum().backward()
    assert tensors.cam_from_world.grad[2, 3] == pytest.approx(64.0)
    assert tensors.cam_from_world.grad[2, 2] == pytest.approx(3 * 64.0)


@BOTH
def test_expected_depth_is_finite_with_its_gradients_where_nothing_is_seen(draw: Rasterizer) -> None:
    splats = leaves(sheets([0.4, 0.4], width=0.1))
    render = draw(splats, turned_camera(30, 30, angle=0.0))
    assert (render.alpha == 0).any()
    assert not render.expected_depth[render.alpha == 0].any()
    seen = render.expected_depth[render.alpha > 0]
    assert ((seen >= 2 - 1e-5) & (seen <= 3 + 1e-5)).all()
    assert torch.allclose(seen * render.alpha[render.alpha > 0], render.depth[render.alpha > 0])
    render.expected_depth.sum().backward()
    assert all(torch.isfinite(getattr(splats, name).grad).all() for name in PARAMETERS)
    assert splats.means.grad.any()


@BOTH
def test_normals_of_a_sheet_face_the_camera_from_either_side(draw: Rasterizer) -> None:
    half = 0.5 * math.radians(40)
    quats = torch.tensor([[math.cos(half), math.sin(half), 0, 0], [-math.sin(half), math.cos(half), 0, 0]])
    for quat in quats:  # turned by 40 degrees, and by 180 more, about x
        splats = replace(sheets([0.9]), quats_wxyz=quat[None])
        render = draw(splats, turned_camera(9, 9, angle=0.0), options=RenderOptions(with_normals=True))
        normal = render.normals[4, 4] / render.alpha[4, 4]
        angle = math.radians(40)
        assert torch.allclose(normal, torch.tensor([0.0, math.sin(angle), -math.cos(angle)]), atol=1e-4)
    assert render.features is None


def test_normals_are_the_shortest_columns_of_the_rotations_in_the_camera() -> None:
    splats = random_splats(100)
    pose = torch.as_tensor(CAMERA.cam_from_world).float()
    normals = normals_in_camera(splats, pose)
    columns = rasterize_torch.rotation_matrices(splats.quats_wxyz)[torch.arange(100), :, splats.scales.argmin(1)]
    in_camera = splats.means @ pose[:3, :3].T + pose[:3, 3]
    assert torch.allclose((normals * (columns @ pose[:3, :3].T)).sum(1).abs(), torch.ones(100), atol=1e-5)
    assert ((normals * in_camera).sum(1) <= 0).all()


@BOTH
def test_features_stay_their_own_beside_normals(draw: Rasterizer) -> None:
    splats = random_splats(200, channels=2)
    alone, along = draw(splats, CAMERA), draw(splats, CAMERA, options=RenderOptions(with_normals=True))
    assert torch.allclose(along.features, alone.features, atol=1e-6)
    assert along.normals.shape == (30, 40, 3)
    assert (along.normals.norm(dim=-1) <= along.alpha + 1e-5).all()


@BOTH
def test_weights_are_the_gradient_of_a_feature_of_ones(draw: Rasterizer) -> None:
    splats = replace(random_splats(400, radius=0.2), features=torch.ones(400, 1).requires_grad_())
    render = draw(splats, CAMERA, options=RenderOptions(with_weights=True))
    render.features.sum().backward()
    assert torch.allclose(render.weights, splats.features.grad[:, 0], rtol=1e-4, atol=1e-6)
    assert float(render.weights.sum()) == pytest.approx(float(render.alpha.detach().sum()), rel=1e-5)
    assert not render.weights.requires_grad
    assert draw(splats, CAMERA).weights is None


@BOTH
def test_radii_reach_as_far_as_the_gaussian_is_visible(draw: Rasterizer) -> None:
    camera = turned_camera(81, 81, angle=0.0)
    splats = replace(sheets([0.6]), means=torch.tensor([[0.0, 0.1, 3.0]]), scales=torch.tensor([[0.4, 0.15, 0.01]]))
    render = draw(splats, camera)
    visible = (render.alpha >= 1 / 255).any(0).nonzero()
    assert float(visible.max() - visible.min() + 1) / 2 == pytest.approx(float(render.radii[0]), abs=0.5)
    assert not render.radii.requires_grad


@BOTH
def test_what_lies_beside_the_picture_has_no_radius(draw: Rasterizer) -> None:
    splats = random_splats(400)
    radii = draw(splats, CAMERA).radii
    pixels, depths = CAMERA.project(splats.means.double().numpy())
    is_far_out = torch.as_tensor((abs(pixels - [20, 15]) > 200).any(1) | (depths < 0.01))
    is_inside = torch.as_tensor((pixels > 0).all(1) & (pixels < [40, 30]).all(1) & (depths > 0.01))
    assert is_far_out.sum() > 10
    assert not radii[is_far_out].any()
    assert (radii[is_inside] > 0).all()


def test_several_views_are_the_single_ones_and_their_gradients_add_up() -> None:
    splats, cameras = random_splats(300, channels=1), [turned_camera(40, 30, angle=angle) for angle in (0.2, 0.3, 0.4)]
    draw, options = rasterize_native.rasterize, RenderOptions(with_normals=True, with_weights=True)
    together, apart = leaves(splats), leaves(splats)
    background = torch.tensor([0.1, 0.2, 0.3])
    renders = rasterize_views(draw, together, cameras, background=background, options=options)
    singles = [draw(apart, camera, background=background, options=options) for camera in cameras]
    for render, single in zip(renders, singles, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(vars(render).values(), vars(single).values(), strict=True))
    total(renders).backward()
    for single in singles:
        total([single]).backward()
    for name in WITH_FEATURES:
        assert relative_l2(getattr(together, name).grad, getattr(apart, name).grad) < 1e-6


def total(renders: list[Render]) -> torch.Tensor:
    return sum(render.rgb.square().sum() + render.features.sum() + render.normals.sum() for render in renders)


def test_every_view_takes_its_own_camera_tensors() -> None:
    splats, cameras = random_splats(200), [turned_camera(20, 15, angle=angle) for angle in (0.2, 0.4)]
    tensors = [CameraTensors.of(camera, splats.means) for camera in reversed(cameras)]
    swapped = rasterize_views(rasterize_native.rasterize, splats, cameras, camera_tensors=tensors)
    assert torch.allclose(swapped[0].rgb, rasterize_native.rasterize(splats, cameras[1]).rgb, atol=1e-5)
    with pytest.raises(ValueError, match="camera_tensors must be as many as cameras, 2, got 1"):
        rasterize_views(rasterize_native.rasterize, splats, cameras, camera_tensors=tensors[:1])
    assert rasterize_views(rasterize_native.rasterize, splats, []) == []


@BOTH
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colours": torch.zeros(5, 4)}, r"colours must be \[5, 3\] or \[5, 1\|4\|9\|16, 3\], got \[5, 4\]"),
        ({"features": torch.zeros(5)}, r"features must be \[5, C\], got \[5\]"),
        ({"features": torch.zeros(4, 2)}, r"features must be \[5, 2\], got \[4, 2\]"),
    ],
)
def test_misshapen_colours_and_features_are_refused(draw: Rasterizer, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(replace(random_splats(5), **change), CAMERA)


@BOTH
def test_a_degree_for_plain_colours_is_refused(draw: Rasterizer) -> None:
    with pytest.raises(ValueError, match="sh_degree must be None, for colours are plain"):
        draw(random_splats(5, degree=None), CAMERA, options=RenderOptions(sh_degree=0))
