"""The gsplat adapter: what can be said of it without CUDA, and the whole of it with."""

from dataclasses import replace

import pytest
import torch
from splat_scenes import PARAMETERS, WITH_FEATURES, edited, leaves, random_splats, relative_l2, turned_camera

from splatting import rasterize_gsplat as adapter
from splatting import rasterize_torch
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterize_native import rasterize as rasterize_native
from splatting.rasterizer import CameraTensors, RenderOptions, create
from splatting.spherical_harmonics import evaluate_bases


def test_the_table_of_rasterizers_knows_it() -> None:
    assert create("gsplat") is adapter.rasterize


def test_tensors_on_the_cpu_are_refused() -> None:
    with pytest.raises(ValueError, match="float32 on a CUDA device"):
        adapter.rasterize(random_splats(5), turned_camera(8, 8))


def test_a_gradient_to_the_lens_is_refused_for_gsplat_has_none() -> None:
    tensors = CameraTensors(torch.eye(4), torch.eye(3).requires_grad_())
    with pytest.raises(ValueError, match="no gradient to K"):
        adapter.rasterize(random_splats(5), turned_camera(8, 8), camera_tensors=tensors)


def test_every_argument_the_adapter_passes_is_one_of_gsplats() -> None:
    import inspect

    parameters = inspect.signature(adapter.rasterization).parameters
    assert list(parameters)[:9] == [
        "means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "width", "height",
    ]  # fmt: skip
    assert {"near_plane", "packed", "backgrounds", "render_mode", "rasterize_mode"} <= set(parameters)


def test_surface_depth_is_the_median_where_one_surface_covers_the_pixel() -> None:
    depth, alpha = torch.tensor([[2.7, 0.9, 0.0]]), torch.tensor([[0.9, 0.3, 0.0]])
    assert torch.allclose(adapter._surface_depth(depth, alpha), torch.tensor([[3.0, 0.0, 0.0]]))


def test_surface_depth_stands_in_for_the_median_on_a_flat_wall() -> None:
    splats, camera = random_splats(800, radius=0.3), turned_camera(40, 30, angle=0.0)
    means = splats.means.clone()
    means[:, 2] = 4.0 + 1e-4 * torch.arange(800) / 800
    render = rasterize_native(type(splats)(means, *[getattr(splats, n) for n in PARAMETERS[1:]]), camera)
    ours = adapter._surface_depth(render.depth, render.alpha)
    covered = render.median_depth > 0
    assert covered.sum() > 300
    assert (ours - render.median_depth)[covered].abs().max() < 1e-3


def test_nothing_drawable_gives_the_background_with_zero_gradients() -> None:
    splats = leaves(random_splats(4))
    background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    render = adapter._empty(splats, turned_camera(5, 4), background, with_weights=False)
    assert torch.equal(render.rgb.detach(), background.detach().expand(4, 5, 3))
    render.rgb.sum().backward()
    assert not splats.means.grad.any()
    assert torch.allclose(background.grad, torch.full((3,), 20.0))


def stand_in(
    means,
    quats,
    scales,
    opacities,
    colours,
    viewmats,
    Ks,
    width,
    height,
    *,
    near_plane,
    backgrounds,
    rasterize_mode,
    **_,
):
    """gsplat's `rasterization` as it is documented, by our twin."""
    camera = Camera(Ks[0].detach().double().numpy(), viewmats[0].detach().double().numpy(), width, height)
    tensors, options = CameraTensors(viewmats[0], Ks[0]), RenderOptions(near=near_plane)
    options = replace(options, antialiased=rasterize_mode == "antialiased")
    plain = Splats(means, quats, scales, opacities, torch.zeros_like(means), colours)
    render = rasterize_torch.rasterize(plain, camera, camera_tensors=tensors, options=options)
    blended = render.features + (1 - render.alpha)[..., None] * backgrounds[0]
    in_camera = means @ viewmats[0, :3, :3].T + viewmats[0, :3, 3]
    means2d, covariances, fading = rasterize_torch.project_gaussians(quats, scales, in_camera, tensors, camera)
    a, b, c = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    meta = {
        "conics": (torch.stack([c, -b, a], 1) / (a * c - b * b)[:, None])[None],
        "means2d": means2d[None],
        "opacities": (opacities * fading if options.antialiased else opacities)[None],
        "radii": (in_camera[:, 2:] >= near_plane).int().expand(-1, 2)[None],
    }
    return torch.cat([blended, render.depth[..., None]], -1)[None], render.alpha[None, ..., None], meta


def harmonics(degree, directions, coefficients, masks):
    """gsplat's `spherical_harmonics` as documented: no half is added, nothing clamped, what is masked is undefined."""
    bases = evaluate_bases(degree, directions / directions.norm(dim=1, keepdim=True))
    colours = (bases[..., None] * coefficients[:, : bases.shape[1]]).sum(1)
    return torch.where(masks[:, None], colours, torch.nan)


@pytest.mark.parametrize("degree", [2, None], ids=["harmonics", "plain colours"])
@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
def test_all_that_goes_through_the_adapter_is_that_of_the_twin(monkeypatch, antialiased: bool, degree) -> None:
    monkeypatch.setattr(adapter, "rasterization", stand_in)
    monkeypatch.setattr(adapter, "spherical_harmonics", harmonics)
    splats, camera = random_splats(200, degree=degree, channels=2), turned_camera(24, 18)
    splats = edited(splats, opacities=(7, 0.0), features=(9, float("nan")))
    background = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    options = RenderOptions(antialiased=antialiased, with_weights=True, near=0.5)
    results = []
    for draw in (
        lambda s, c: adapter._draw(s, camera, c, background, options, degree),
        lambda s, c: rasterize_torch.rasterize(s, camera, camera_tensors=c, background=background, options=options),
    ):
        copy = leaves(splats, torch.float64)
        tensors = CameraTensors.of(camera, copy.means)
        tensors.cam_from_world.requires_grad_()
        render = draw(copy, tensors)
        (render.rgb.square().sum() + render.depth.sum() + render.features.square().sum()).backward()
        gradients = [getattr(copy, name).grad for name in WITH_FEATURES]
        results.append((render, [*gradients, tensors.cam_from_world.grad]))
    (render, gradients), (twin, twin_gradients) = results
    for name in ("rgb", "alpha", "depth", "radii", "features", "weights"):
        assert relative_l2(getattr(render, name), getattr(twin, name)) < 1e-9, name
    for gradient, expected in zip(gradients, twin_gradients, strict=True):
        assert relative_l2(gradient, expected) < 1e-9
    assert not render.weights.requires_grad


def test_the_surface_depth_has_the_gradient_of_the_expected_depth() -> None:
    depth, alpha = (torch.tensor(values, requires_grad=True) for values in ([1.8, 0.9], [0.9, 0.3]))
    adapter._surface_depth(depth, alpha).sum().backward()
    assert torch.allclose(depth.grad, torch.tensor([1 / 0.9, 0.0]))
    assert torch.allclose(alpha.grad, torch.tensor([-1.8 / 0.81, 0.0]))


@pytest.mark.gpu
@pytest.mark.parametrize("antialiased", [False, True])
def test_pictures_and_gradients_agree_with_the_twin_on_cuda(antialiased: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    splats, camera = random_splats(500, channels=2), turned_camera(76, 57)
    options = RenderOptions(antialiased=antialiased, with_normals=True, with_weights=True)
    results = []
    for draw, device, dtype in (
        (adapter.rasterize, "cuda", torch.float32),
        (rasterize_torch.rasterize, "cpu", torch.float64),
    ):
        copy = leaves(Splats(*[getattr(splats, n).to(device) for n in WITH_FEATURES]), dtype)
        tensors = CameraTensors.of(camera, copy.means)
        tensors.cam_from_world.requires_grad_()
        render = draw(copy, camera, camera_tensors=tensors, options=options)
        pictures = (render.rgb, render.depth, render.features, render.normals)
        (render.alpha.sum() + sum(picture.square().sum() for picture in pictures)).backward()
        results.append((render, copy, tensors.cam_from_world.grad.cpu().double()))
    (render, copy, pose), (expected, twin, twin_pose) = results
    for name in ("rgb", "features", "normals", "radii", "weights"):
        assert relative_l2(getattr(render, name).cpu(), getattr(expected, name)) < 1e-3, name
    for name in WITH_FEATURES:
        assert relative_l2(getattr(copy, name).grad.cpu(), getattr(twin, name).grad) < 1e-3
    turns = []
    for gradient in (pose, twin_pose):  # along rotations of the camera's frame; the rest is not defined
        turn = gradient[:3] @ torch.as_tensor(camera.cam_from_world)[:3].T
        turns.append(turn - turn.T)
    assert relative_l2(turns[0], turns[1]) < 1e-3
    assert relative_l2(pose[:3, 3], twin_pose[:3, 3]) < 1e-3
