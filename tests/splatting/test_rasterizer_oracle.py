"""Thousands of Gaussians in saturated pixels against the float64 twin, and the twin against finite differences."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from splat_scenes import WITH_FEATURES, edited, leaves, random_splats, relative_l2, turned_camera
from torch import Tensor

from splatting import _native, rasterize_native, rasterize_torch
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import CameraTensors, Rasterizer, Render, RenderOptions

COUNT, CAMERA = 6000, turned_camera(40, 30)
PICTURES = ("rgb", "alpha", "depth", "median_depth", "normals", "features")
OPTIONS = RenderOptions(with_normals=True, with_weights=True)
GRADIENT_LIMIT = 1e-4  # the project's
# A pixel may differ by more than this where rounding decides whether an opacity reaches 1/255, which Gaussian takes the
# transmittance across one half, or which is the last one.
PIXEL_LIMIT, MAX_SHARE_OF_OTHER_PIXELS = 1e-4, 2e-3


def saturated_scene(degree: int | None) -> Splats:
    """Gaussians of some 2 px in every pixel; their depths are 6e-4 apart, so that no two are a float32 tie."""
    g = torch.Generator().manual_seed(0)
    pixels = torch.rand(COUNT, 2, generator=g).double() * torch.tensor([CAMERA.width, CAMERA.height])
    z = torch.linspace(2, 6, COUNT, dtype=torch.float64)[torch.randperm(COUNT, generator=g)]
    means = torch.as_tensor(CAMERA.unproject(pixels.numpy(), z.numpy()))
    assert torch.as_tensor(CAMERA.project(means.float().double().numpy())[1]).sort().values.diff().min() > 1e-5
    size = z.float() * 2 / float(CAMERA.K[0, 0])
    scales = size[:, None] * torch.exp(0.5 * torch.randn(COUNT, 3, generator=g))
    others = random_splats(COUNT, seed=1, degree=degree, channels=2)
    return replace(others, means=means.float(), scales=scales, opacities=0.05 + 0.9 * torch.rand(COUNT, generator=g))


def draw_and_differentiate(
    draw: Rasterizer, splats: Splats, dtype: torch.dtype, options: RenderOptions = OPTIONS, camera: Camera = CAMERA
) -> tuple[Render, dict[str, Tensor]]:
    """The view, and gradients by name of a loss with random weights on every picture."""
    copy, background = leaves(splats, dtype), torch.tensor([0.2, 0.5, 0.9]).to(dtype).requires_grad_()
    tensors = CameraTensors.of(camera, copy.means)
    tensors = CameraTensors(tensors.cam_from_world.requires_grad_(), tensors.K.requires_grad_())
    render = draw(copy, camera, camera_tensors=tensors, background=background, options=options)
    pictures = [getattr(render, name) for name in PICTURES]
    sum((w * p).sum() for w, p in zip(random_weights(render), pictures, strict=True)).backward()
    gradients = {name: getattr(copy, name).grad for name in WITH_FEATURES}
    camera_gradients = {"pose": tensors.cam_from_world.grad, "K": tensors.K.grad}
    return render, gradients | camera_gradients | {"background": background.grad}


@cache
def twin_of_saturated(degree: int | None) -> tuple[Render, dict[str, Tensor]]:
    return draw_and_differentiate(rasterize_torch.rasterize, saturated_scene(degree), torch.float64)


def assert_agree(ours: tuple[Render, dict[str, Tensor]], expected: tuple[Render, dict[str, Tensor]]) -> None:
    (render, gradients), (twin, twin_gradients) = ours, expected
    for name in PICTURES:
        difference = (getattr(render, name) - getattr(twin, name)).abs()
        is_other = difference.reshape(*render.alpha.shape, -1).amax(-1) > PIXEL_LIMIT
        assert is_other.float().mean() <= MAX_SHARE_OF_OTHER_PIXELS, name
        assert relative_l2(getattr(render, name), getattr(twin, name)) <= GRADIENT_LIMIT, name
    for name in ("radii", "weights"):
        assert relative_l2(getattr(render, name), getattr(twin, name)) <= GRADIENT_LIMIT, name
    for name, gradient in gradients.items():
        expected_gradient = twin_gradients[name]
        if name == "background":
            expected_gradient = expected_gradient + change_where_pixels_end_elsewhere(render, twin)
        assert relative_l2(gradient, expected_gradient) <= GRADIENT_LIMIT, name


def change_where_pixels_end_elsewhere(render: Render, twin: Render) -> Tensor:
    """What the background's gradient gains [3] in pixels whose last Gaussian is another.

    All that a saturated picture has of this gradient are transmittances of about 1e-4, so that one such pixel shows.
    """
    change = (twin.alpha - render.alpha).detach()
    change = torch.where(change.abs() > 1e-5, change, 0.0)
    return (random_weights(render)[0] * change[..., None]).sum((0, 1))


def random_weights(render: Render) -> list[Tensor]:
    """The weights of every picture in the loss."""
    g = torch.Generator().manual_seed(5)
    return [torch.randn(getattr(render, name).shape, generator=g) for name in PICTURES]


def test_nine_in_ten_pixels_of_the_large_scene_are_saturated() -> None:
    final = 1 - twin_of_saturated(3)[0].alpha
    assert final.min() >= 1e-4
    assert (final < 1e-3).float().mean() > 0.9


@pytest.mark.parametrize("degree", [3, None], ids=["harmonics", "plain colours"])
@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
def test_saturated_pictures_and_all_gradients_agree_with_the_float64_twin(
    instruction_set: str, degree: int | None
) -> None:
    used = _native.instruction_set()
    try:
        _native.use_instruction_set(instruction_set)
        ours = draw_and_differentiate(rasterize_native.rasterize, saturated_scene(degree), torch.float32)
    finally:
        _native.use_instruction_set(used)
    assert_agree(ours, twin_of_saturated(degree))


def tiny_scene(degree: int | None) -> Splats:
    """Few, wide Gaussians, opaque enough to have a median: no pixel within the step of a threshold."""
    splats = random_splats(4, seed=3, radius=1.5, degree=degree, channels=2)
    means = torch.tensor([[0.3, 0.2, 3.0], [-0.4, 0.1, 3.5], [0.1, -0.3, 4.2], [0.2, 0.3, 5.0]])
    return replace(splats, means=means, opacities=torch.tensor([0.3, 0.4, 0.5, 0.6]))


@pytest.mark.parametrize("degree", [1, None], ids=["harmonics", "plain colours"])
@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
def test_all_gradients_of_the_twin_agree_with_finite_differences(antialiased: bool, degree: int | None) -> None:
    splats, camera = leaves(tiny_scene(degree), torch.float64), turned_camera(3, 2)
    options = replace(OPTIONS, antialiased=antialiased)
    tensors = CameraTensors.of(camera, splats.means)
    background = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)

    def pictures(*inputs: Tensor) -> tuple[Tensor, ...]:
        *gaussians, pose, K, behind = inputs
        drawn = Splats(*gaussians)
        moved = CameraTensors(pose, K)
        render = rasterize_torch.rasterize(drawn, camera, camera_tensors=moved, background=behind, options=options)
        return tuple(getattr(render, name) for name in PICTURES)

    gaussians = [getattr(splats, name) for name in WITH_FEATURES]
    inputs = (*gaussians, *(t.requires_grad_() for t in (tensors.cam_from_world, tensors.K, background)))
    assert (pictures(*inputs)[PICTURES.index("median_depth")] > 0).any()
    assert torch.autograd.gradcheck(pictures, inputs, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_everything_asked_for_is_the_same_bit_for_bit_for_any_number_of_threads() -> None:
    splats = random_splats(3000, seed=11, radius=0.1, channels=5)
    camera, used, results = turned_camera(150, 130), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            render, gradients = draw_and_differentiate(rasterize_native.rasterize, splats, torch.float32, camera=camera)
            results.append([*vars(render).values(), *gradients.values()])
    finally:
        torch.set_num_threads(used)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def assert_all_agree(splats: Splats, camera: Camera) -> tuple[Render, dict[str, Tensor]]:
    """Everything there is, of both rasterizers; at few Gaussians no pixel is at a threshold."""
    ours = draw_and_differentiate(rasterize_native.rasterize, splats, torch.float32, camera=camera)
    assert_agree(ours, draw_and_differentiate(rasterize_torch.rasterize, splats, torch.float64, camera=camera))
    return ours


def test_no_gaussians_have_every_channel() -> None:
    render, gradients = assert_all_agree(random_splats(0, channels=2), turned_camera(5, 4))
    assert render.features.shape == (4, 5, 2)
    assert render.weights.shape == (0,)
    assert not gradients["pose"].any()


def test_one_pixel_has_every_channel() -> None:
    assert_all_agree(random_splats(150, seed=4, radius=0.4, channels=3), turned_camera(1, 1))


def test_behind_the_camera_nothing_has_a_channel() -> None:
    splats = random_splats(50, channels=2)
    away = replace(splats, means=splats.means - torch.tensor([0.0, 0.0, 100.0]))
    render, gradients = assert_all_agree(away, turned_camera(20, 15))
    assert not any(getattr(render, name).any() for name in ("features", "normals", "weights", "radii"))
    assert not any(gradients[name].any() for name in WITH_FEATURES)


@pytest.mark.parametrize("opacity", [1.001 / 255, 0.999 / 255])
def test_an_opacity_of_one_in_255_decides_about_every_channel(opacity: float) -> None:
    splats = random_splats(60, seed=3, radius=0.3, channels=2)
    render, _ = assert_all_agree(replace(splats, opacities=torch.full((60,), opacity)), turned_camera(40, 30))
    assert bool(render.radii.any()) == (opacity * 255 > 1)


@pytest.mark.parametrize("value", [0.0, float("nan")], ids=["zero", "nan"])
def test_a_quaternion_that_is_none_has_no_gradient_through_its_normal(value: float) -> None:
    splats = edited(random_splats(60, seed=3, radius=0.3, channels=2), quats_wxyz=(20, value))
    _, gradients = assert_all_agree(splats, turned_camera(40, 30))
    for name in WITH_FEATURES:
        assert torch.isfinite(gradients[name]).all()
        assert not gradients[name][20].any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gaussian_with_a_non_finite_feature_is_as_good_as_absent(value: float) -> None:
    splats = edited(random_splats(60, seed=3, radius=0.3, channels=3), features=(20, value))
    render, gradients = assert_all_agree(splats, turned_camera(40, 30))
    assert torch.equal(render.rgb, absent_at_20(splats).rgb)
    assert all(torch.isfinite(gradients[name]).all() and not gradients[name][20].any() for name in WITH_FEATURES)
    assert render.radii[20] == render.weights[20] == 0


def absent_at_20(splats: Splats) -> Render:
    absent, camera = edited(splats, opacities=(20, 0.0), features=(20, 0.0)), turned_camera(40, 30)
    tensors, background = CameraTensors.of(camera, splats.means), torch.tensor([0.2, 0.5, 0.9])
    return rasterize_native.rasterize(absent, camera, camera_tensors=tensors, background=background)
