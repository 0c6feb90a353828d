"""The gsplat adapter: what can be said of it without CUDA, and the whole of it with."""

import pytest
import torch
from splat_scenes import PARAMETERS, leaves, random_splats, relative_l2, turned_camera

from splatting import rasterize_torch
from splatting.rasterize_native import rasterize as rasterize_native
from splatting.rasterizer import CameraTensors, RenderOptions, create

adapter = pytest.importorskip("splatting.rasterize_gsplat")


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


@pytest.mark.gpu
@pytest.mark.parametrize("antialiased", [False, True])
def test_pictures_and_gradients_agree_with_the_twin_on_cuda(antialiased: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    splats, camera = random_splats(500), turned_camera(76, 57)
    results = []
    for draw, device, dtype in (
        (adapter.rasterize, "cuda", torch.float32),
        (rasterize_torch.rasterize, "cpu", torch.float64),
    ):
        copy = leaves(type(splats)(*[getattr(splats, n).to(device) for n in PARAMETERS]), dtype)
        tensors = CameraTensors.of(camera, copy.means)
        tensors.cam_from_world.requires_grad_()
        render = draw(copy, camera, camera_tensors=tensors, options=RenderOptions(antialiased=antialiased))
        (render.rgb.square().sum() + render.alpha.sum() + render.depth.square().sum()).backward()
        results.append((render, copy, tensors.cam_from_world.grad.cpu().double()))
    (render, copy, pose), (expected, twin, twin_pose) = results
    assert relative_l2(render.rgb.cpu(), expected.rgb) < 1e-4
    for name in PARAMETERS:
        assert relative_l2(getattr(copy, name).grad.cpu(), getattr(twin, name).grad) < 1e-3
    turns = []
    for gradient in (pose, twin_pose):  # along rotations of the camera's frame; the rest is not defined
        turn = gradient[:3] @ torch.as_tensor(camera.cam_from_world)[:3].T
        turns.append(turn - turn.T)
    assert relative_l2(turns[0], turns[1]) < 1e-3
    assert relative_l2(pose[:3, 3], twin_pose[:3, 3]) < 1e-3
