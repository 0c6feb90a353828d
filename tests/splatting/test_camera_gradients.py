"""Gradients to the camera: the native rasterizer against its float64 twin, the twin against finite differences."""

from collections.abc import Callable

import pytest
import torch
from splat_scenes import PARAMETERS, leaves, random_splats, relative_l2, turned_camera
from torch import Tensor

from splatting import rasterize_native, rasterize_torch
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, Render, RenderOptions

GRADIENT_LIMIT = 1e-4  # the project's; measured: up to 6e-6


def camera_leaves(camera: Camera, dtype: torch.dtype) -> CameraTensors:
    tensors = CameraTensors.of(camera, torch.zeros(0, dtype=dtype))
    return CameraTensors(tensors.cam_from_world.requires_grad_(), tensors.K.requires_grad_())


def loss_of(render: Render) -> Tensor:
    """Random weights on colour, alpha and depth."""
    pictures = torch.cat([render.rgb, render.alpha[..., None], render.depth[..., None]], -1)
    return (torch.randn(pictures.shape, generator=torch.Generator().manual_seed(2)) * pictures).sum()


def camera_gradients(
    draw: Callable[..., Render], dtype: torch.dtype, splats: Splats, camera: Camera, *, antialiased: bool = False
) -> list[Tensor]:
    """Of cam_from_world [4, 4] and K [3, 3]."""
    tensors = camera_leaves(camera, dtype)
    loss_of(
        draw(leaves(splats, dtype), camera, camera_tensors=tensors, options=RenderOptions(antialiased=antialiased))
    ).backward()
    return [tensors.cam_from_world.grad, tensors.K.grad]


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
@pytest.mark.parametrize(
    ("n", "radius", "degree"),
    [(600, 0.08, 3), (1500, 0.15, 1), (300, 1.0, 0), (2000, 0.01, 2)],
    ids=["surface", "dense", "huge", "specks"],
)
def test_gradients_to_the_camera_agree_with_the_float64_twin(
    n: int, radius: float, degree: int, antialiased: bool
) -> None:
    """Huge Gaussians reach into the view from beyond the margin where the Jacobian is held."""
    splats, camera = random_splats(n, seed=n, radius=radius, degree=degree), turned_camera(76, 57)
    ours = camera_gradients(rasterize_native.rasterize, torch.float32, splats, camera, antialiased=antialiased)
    expected = camera_gradients(rasterize_torch.rasterize, torch.float64, splats, camera, antialiased=antialiased)
    for name, gradient, twin in zip(("cam_from_world", "K"), ours, expected, strict=True):
        assert twin.any()
        assert relative_l2(gradient, twin) <= GRADIENT_LIMIT, name


@pytest.mark.parametrize("name", ["cam_from_world", "K"])
def test_gradients_of_the_twin_agree_with_finite_differences(name: str) -> None:
    """Few, wide Gaussians, some beyond the margin: no pixel within the step of a threshold."""
    splats, camera = leaves(random_splats(8, seed=1, radius=2.0), torch.float64), turned_camera(6, 5)
    tensors = camera_leaves(camera, torch.float64)
    loss_of(rasterize_torch.rasterize(splats, camera, camera_tensors=tensors)).backward()
    parameter = getattr(tensors, name)
    step, numeric = 1e-6, torch.zeros_like(parameter)
    with torch.no_grad():
        for i in range(parameter.numel()):
            ends = []
            for change in (step, -2 * step):
                parameter.view(-1)[i] += change
                ends.append(loss_of(rasterize_torch.rasterize(splats, camera, camera_tensors=tensors)))
            parameter.view(-1)[i] += step
            numeric.view(-1)[i] = (ends[0] - ends[1]) / (2 * step)
    assert numeric.any()
    assert relative_l2(parameter.grad, numeric) < 1e-6


def test_pictures_are_those_of_the_camera_with_the_same_values() -> None:
    splats, camera, other = random_splats(300), turned_camera(40, 30), turned_camera(40, 30, angle=0.1, focal=0.7)
    for draw in (rasterize_native.rasterize, rasterize_torch.rasterize):
        moved = draw(splats, camera, camera_tensors=CameraTensors.of(other, splats.means))
        assert torch.allclose(moved.rgb, draw(splats, other).rgb, atol=1e-5)
        assert not torch.allclose(moved.rgb, draw(splats, camera).rgb, atol=1e-2)


def test_asking_for_the_camera_does_not_change_the_other_gradients() -> None:
    splats, camera = random_splats(700), turned_camera(40, 30)
    alone, along = leaves(splats), leaves(splats)
    loss_of(rasterize_native.rasterize(alone, camera)).backward()
    tensors = camera_leaves(camera, torch.float32)
    loss_of(rasterize_native.rasterize(along, camera, camera_tensors=tensors)).backward()
    for name in PARAMETERS:
        assert relative_l2(getattr(along, name).grad, getattr(alone, name).grad) < 1e-6


def test_gradients_to_the_camera_are_the_same_bit_for_bit_for_any_number_of_threads() -> None:
    splats, camera = random_splats(5000, seed=11), turned_camera(150, 130)
    used, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            results.append(camera_gradients(rasterize_native.rasterize, torch.float32, splats, camera))
    finally:
        torch.set_num_threads(used)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_no_gaussians_give_the_camera_zero_gradients() -> None:
    splats = random_splats(0)
    for gradient in camera_gradients(rasterize_native.rasterize, torch.float32, splats, turned_camera(5, 4)):
        assert not gradient.any()


def moved(camera: Camera, motion: Tensor) -> CameraTensors:
    """The camera after a small rotation (vector, rad) and translation, both in its own frame, [6]."""
    x, y, z = motion[:3]
    zero = torch.zeros(())
    generator = torch.stack([zero, -z, y, motion[3], z, zero, -x, motion[4], -y, x, zero, motion[5], *[zero] * 4])
    still = CameraTensors.of(camera, motion)
    return CameraTensors(torch.linalg.matrix_exp(generator.reshape(4, 4)) @ still.cam_from_world, still.K)


def test_a_camera_turned_by_half_a_degree_is_pulled_back() -> None:
    """80 steps of Adam take half a degree and 0.02 (of 4) to a tenth of them; measured: a fiftieth."""
    splats, camera = random_splats(800, seed=3), turned_camera(96, 72)
    target = rasterize_native.rasterize(splats, camera).rgb
    start = torch.tensor([0.006, -0.006, 0.002, 0.015, -0.01, 0.01])  # 0.5 degrees
    motion = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([motion], lr=2e-3, betas=(0.5, 0.9))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    for _ in range(80):
        optimizer.zero_grad()
        render = rasterize_native.rasterize(splats, camera, camera_tensors=moved(camera, motion))
        (render.rgb - target).square().sum().backward()
        optimizer.step()
        schedule.step()
    assert motion[:3].norm() < 0.1 * start[:3].norm()
    assert motion[3:].norm() < 0.1 * start[3:].norm()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cam_from_world": torch.eye(3)}, r"cam_from_world must be \[4, 4\], got \[3, 3\]"),
        ({"K": torch.eye(3).double()}, "K must be torch.float32 on cpu"),
    ],
)
def test_misshapen_cameras_are_refused_with_their_name(change: dict, message: str) -> None:
    tensors = CameraTensors(**({"cam_from_world": torch.eye(4), "K": torch.eye(3)} | change))
    for draw in (rasterize_native.rasterize, rasterize_torch.rasterize):
        with pytest.raises(ValueError, match=message):
            draw(random_splats(5), turned_camera(8, 8), camera_tensors=tensors)
