"""The native rasterizer against its float64 twin, and what it promises beyond."""

import math
from dataclasses import replace

import pytest
import torch
from splat_scenes import PARAMETERS, edited, leaves, random_splats, relative_l2, tensors_of, turned_camera
from torch import Tensor

from splatting import _native, rasterize_torch
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterize_native import rasterize
from splatting.rasterizer import Render, RenderOptions, create

# Measured: pictures up to 6e-6 (needles), gradients up to 2e-5 relative L2. The project's limit for gradients is 1e-4.
PICTURE_LIMIT, GRADIENT_LIMIT = 1e-5, 1e-4
NAN, INF = math.nan, math.inf


def loss_of(render: Render, *, seed: int = 5) -> Tensor:
    """A loss that looks at colour, alpha and depth with random weights."""
    g = torch.Generator().manual_seed(seed)
    pictures = (render.rgb, render.alpha, render.depth)
    return sum((torch.randn(p.shape, generator=g) * p).sum() for p in pictures)


def both(splats: Splats, camera: Camera, background: Tensor, **options) -> tuple[list, list]:
    """[render, gradients by name] of the native rasterizer and of the twin in float64."""
    results = []
    for draw, dtype in ((rasterize, torch.float32), (rasterize_torch.rasterize, torch.float64)):
        copy, back = leaves(splats, dtype), background.detach().to(dtype).requires_grad_()
        render = draw(copy, camera, background=back, **options)
        loss_of(render).backward()
        gradients = {name: getattr(copy, name).grad for name in PARAMETERS} | {"background": back.grad}
        results.append([render, gradients])
    return results


def assert_same(splats: Splats, camera: Camera, **options) -> None:
    background = torch.tensor([0.2, 0.5, 0.9])
    (render, gradients), (expected, expected_gradients) = both(splats, camera, background, **options)
    for name in ("rgb", "alpha", "depth", "median_depth"):
        assert relative_l2(getattr(render, name), getattr(expected, name)) <= PICTURE_LIMIT, name
    for name, gradient in gradients.items():
        assert relative_l2(gradient, expected_gradients[name]) <= GRADIENT_LIMIT, name


def flat_camera(width: int = 64, height: int = 48) -> Camera:
    return turned_camera(width, height, angle=0.0)


@pytest.mark.parametrize(
    ("n", "radius", "seed"),
    [(600, 0.08, 0), (1500, 0.15, 1), (300, 1.0, 2), (2000, 0.01, 3)],
    ids=["surface", "dense", "huge", "specks"],
)
def test_pictures_and_gradients_agree_with_the_float64_twin(n: int, radius: float, seed: int) -> None:
    assert_same(random_splats(n, seed=seed, radius=radius), turned_camera(76, 57))


@pytest.mark.parametrize(("n", "radius"), [(600, 0.08), (300, 1.0), (2000, 0.01)], ids=["surface", "huge", "specks"])
def test_antialiased_pictures_and_gradients_agree_with_the_float64_twin(n: int, radius: float) -> None:
    assert_same(random_splats(n, seed=n, radius=radius), turned_camera(76, 57), options=RenderOptions(antialiased=True))


def test_antialiasing_keeps_the_brightness_of_what_is_thinner_than_a_pixel() -> None:
    """The pixels add up to the sharp area in px^2 x opacity, without the blur's share."""
    speck = Splats(
        torch.tensor([[0.0, 0.0, 4.0]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), 0.03),
        torch.tensor([0.9]),
        torch.zeros(1, 1, 3),
    )
    camera = flat_camera(64, 64)
    sigma_px = 0.03 / 4 * camera.K[0, 0]
    sharp = 0.9 * 2 * math.pi * sigma_px**2
    sums = [
        float(rasterize(speck, camera, options=RenderOptions(antialiased=antialiased)).alpha.sum())
        for antialiased in (True, False)
    ]
    assert sums[0] == pytest.approx(sharp, rel=0.05)  # contributions below 1/255 are missing
    assert sums[1] > 2 * sharp


def test_long_thin_ellipses_keep_their_digits_when_antialiased() -> None:
    splats = random_splats(80, seed=7)
    assert_same(
        replace(splats, scales=torch.tensor([3.0, 2e-3, 2e-3]).expand(80, 3)),
        turned_camera(150, 110),
        options=RenderOptions(antialiased=True),
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_each_stored_degree_of_harmonics_agrees(degree: int) -> None:
    assert_same(random_splats(200, seed=degree, degree=degree), turned_camera(40, 33))


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_lower_degree_than_stored_ignores_the_other_coefficients(degree: int) -> None:
    splats = random_splats(200)
    camera = turned_camera(40, 33)
    assert_same(splats, camera, options=RenderOptions(sh_degree=degree))
    cut = replace(splats, colours=splats.colours[:, : (degree + 1) ** 2].contiguous())
    assert torch.equal(
        rasterize(splats, camera, options=RenderOptions(sh_degree=degree)).rgb, rasterize(cut, camera).rgb
    )


def test_long_thin_ellipses_keep_their_digits() -> None:
    """Needles hundreds of pixels long and a blur wide, at all angles."""
    splats = random_splats(80, seed=7)
    scales = torch.tensor([3.0, 1e-4, 1e-4]).expand(80, 3)
    assert_same(replace(splats, scales=scales), turned_camera(150, 110))
    assert_same(replace(splats, scales=scales * 0.1), turned_camera(150, 110))


def test_nearly_opaque_gaussians_agree() -> None:
    """Opacities around the clamp at 0.999 and at 1, where 1 - alpha is smallest."""
    splats = random_splats(400, seed=8)
    opacities = 1 - torch.logspace(-6, -1, 400)
    assert_same(replace(splats, opacities=opacities), turned_camera(60, 45))
    assert_same(replace(splats, opacities=torch.ones(400)), turned_camera(60, 45))


def test_gaussians_close_to_the_camera_and_at_its_side_agree() -> None:
    splats = random_splats(300, seed=9, radius=0.05)
    means = torch.rand(300, 3, generator=torch.Generator().manual_seed(1)) * 2 - torch.tensor([1.0, 1.0, 0.0])
    assert_same(replace(splats, means=means), flat_camera(), options=RenderOptions(near=0.05))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 70), (33, 1), (32, 32), (8, 65)])
def test_any_size_of_picture_agrees(width: int, height: int) -> None:
    assert_same(random_splats(150, seed=4, radius=0.4), turned_camera(width, height))


@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
def test_every_instruction_set_agrees(instruction_set: str) -> None:
    used = _native.instruction_set()
    try:
        _native.use_instruction_set(instruction_set)
        assert_same(random_splats(500, seed=6), turned_camera(70, 50))
    finally:
        _native.use_instruction_set(used)


def test_results_are_the_same_bit_for_bit_for_any_number_of_threads() -> None:
    splats, camera = random_splats(3000, seed=11, radius=0.1), turned_camera(150, 130)
    used = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            copy, background = (
                leaves(splats),
                torch.rand(3, generator=torch.Generator().manual_seed(0)).requires_grad_(),
            )
            render = rasterize(copy, camera, background=background)
            loss_of(render).backward()
            gradients = [getattr(copy, name).grad for name in PARAMETERS]
            results.append([*tensors_of(render).values(), *gradients, background.grad])
    finally:
        torch.set_num_threads(used)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_equal_depths_are_drawn_in_the_order_given() -> None:
    n = 40
    splats = random_splats(n, seed=12)
    means = torch.tensor([0.0, 0.0, 4.0]).repeat(n, 1)
    splats = replace(splats, means=means, opacities=torch.full((n,), 0.5), scales=5 * splats.scales)
    assert_same(splats, flat_camera())
    reversed_splats = Splats(**{name: getattr(splats, name).flip(0) for name in PARAMETERS})
    assert not torch.allclose(rasterize(splats, flat_camera()).rgb, rasterize(reversed_splats, flat_camera()).rgb)


def test_median_depth_is_that_of_the_gaussian_which_halves_the_transmittance() -> None:
    wide = torch.full((3, 3), 5.0)
    means = torch.tensor([[0.0, 0, 2.0], [0, 0, 3.0], [0, 0, 4.0]])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1)
    splats = Splats(means, quats, wide, torch.tensor([0.3, 0.4, 0.4]), torch.zeros(3, 1, 3))
    render = rasterize(splats, flat_camera(8, 8))
    assert render.median_depth[4, 4] == 3.0  # 0.7, then 0.42
    faint = rasterize(replace(splats, opacities=torch.full((3,), 0.1)), flat_camera(8, 8))
    assert torch.equal(faint.median_depth, torch.zeros(8, 8))


def test_no_gaussians_give_the_background_and_its_gradient() -> None:
    splats = leaves(random_splats(0))
    background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    render = rasterize(splats, flat_camera(5, 4), background=background)
    assert torch.equal(render.rgb, background.detach().expand(4, 5, 3))
    assert not render.alpha.any()
    assert not render.depth.any()
    render.rgb.sum().backward()
    assert torch.allclose(background.grad, torch.full((3,), 20.0))
    assert splats.means.grad.shape == (0, 3)


def test_gaussians_all_behind_the_camera_have_zero_gradients() -> None:
    splats = random_splats(50)
    copy = leaves(replace(splats, means=splats.means - torch.tensor([0.0, 0.0, 100.0])))
    loss_of(rasterize(copy, flat_camera())).backward()
    assert all(not getattr(copy, name).grad.any() for name in PARAMETERS)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_gaussian_with_a_non_finite_parameter_is_as_good_as_absent(name: str, value: float) -> None:
    splats, camera = random_splats(60, seed=3, radius=0.3), flat_camera()
    bad = edited(splats, **{name: (20, value)})
    absent = edited(splats, opacities=(20, 0.0))
    copy = leaves(bad)
    render = rasterize(copy, camera)
    assert torch.equal(render.rgb, rasterize(absent, camera).rgb)
    loss_of(render).backward()
    for parameter in PARAMETERS:
        gradient = getattr(copy, parameter).grad
        assert torch.isfinite(gradient).all()
        assert not gradient[20].any()
    expected = rasterize_torch.rasterize(bad, camera)
    assert torch.allclose(render.rgb, expected.rgb, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"quats_wxyz": (20, 0.0)}, {"quats_wxyz": (20, 1e-30)}, {"opacities": (20, 1.5)}, {"opacities": (20, -0.5)}],
    ids=["zero quaternion", "tiny quaternion", "opacity above 1", "negative opacity"],
)
def test_what_is_not_drawable_is_absent_in_both_rasterizers(change: dict) -> None:
    splats, camera = random_splats(60, seed=3, radius=0.3), flat_camera()
    bad, absent = edited(splats, **change), edited(splats, opacities=(20, 0.0))
    for draw in (rasterize, rasterize_torch.rasterize):
        assert torch.equal(draw(bad, camera).rgb, draw(absent, camera).rgb)


@pytest.mark.parametrize("antialiased", [False, True])
def test_overflowing_sizes_and_places_do_no_harm(antialiased: bool) -> None:
    splats, camera = random_splats(60, seed=3, radius=0.3), flat_camera()
    copy = leaves(edited(edited(splats, scales=(20, 1e30), means=(21, 1e30)), scales=(22, 0.0)))
    render = rasterize(copy, camera, options=RenderOptions(antialiased=antialiased))
    loss_of(render).backward()
    assert torch.isfinite(render.rgb).all()
    assert all(torch.isfinite(getattr(copy, name).grad).all() for name in PARAMETERS)


def test_two_forwards_may_be_pending_before_their_backwards() -> None:
    splats, cameras = random_splats(300), [turned_camera(40, 30, angle=angle) for angle in (0.2, 0.4)]
    apart = leaves(splats)
    for camera in cameras:
        loss_of(rasterize(apart, camera)).backward()
    together = leaves(splats)
    renders = [rasterize(together, camera) for camera in cameras]
    for render in renders:
        loss_of(render).backward()
    assert all(torch.equal(getattr(apart, n).grad, getattr(together, n).grad) for n in PARAMETERS)


def test_each_picture_alone_has_its_gradient() -> None:
    splats, camera = random_splats(200, seed=2), turned_camera(40, 30)
    for name in ("rgb", "alpha", "depth"):
        results = []
        for draw, dtype in ((rasterize, torch.float32), (rasterize_torch.rasterize, torch.float64)):
            copy = leaves(splats, dtype)
            getattr(draw(copy, camera), name).square().sum().backward()
            results.append(copy)
        assert relative_l2(results[0].means.grad, results[1].means.grad) <= GRADIENT_LIMIT
        assert relative_l2(results[0].opacities.grad, results[1].opacities.grad) <= GRADIENT_LIMIT


def test_parameters_changed_between_forward_and_backward_are_refused() -> None:
    splats = leaves(random_splats(20))
    render = rasterize(splats, flat_camera())
    with torch.no_grad():
        splats.means.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss_of(render).backward()


def test_tensors_that_are_not_contiguous_are_drawn_alike() -> None:
    splats, camera = random_splats(50), flat_camera()
    strided = Splats(**{name: torch.stack([getattr(splats, name)] * 2, -1)[..., 0] for name in PARAMETERS})
    assert torch.equal(rasterize(strided, camera).rgb, rasterize(splats, camera).rgb)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(5, 2)}, r"means must be \[5, 3\], got \[5, 2\]"),
        ({"quats_wxyz": torch.zeros(4, 4)}, r"quats_wxyz must be \[5, 4\], got \[4, 4\]"),
        ({"colours": torch.zeros(5, 5, 3)}, r"colours must be \[5, 3\] or \[5, 1\|4\|9\|16, 3\], got \[5, 5, 3\]"),
        ({"scales": torch.ones(5, 3).double()}, "scales must be torch.float32 on cpu"),
    ],
)
def test_misshapen_input_is_refused_with_its_name(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rasterize(replace(random_splats(5), **change), flat_camera())


def test_other_dtypes_degrees_and_planes_are_refused() -> None:
    splats = random_splats(5, degree=1)
    with pytest.raises(ValueError, match="float32 on the CPU"):
        rasterize(leaves(splats, torch.float64), flat_camera())
    with pytest.raises(ValueError, match="sh_degree must be 0 to 1"):
        rasterize(splats, flat_camera(), options=RenderOptions(sh_degree=2))
    with pytest.raises(ValueError, match="near must be above 0"):
        rasterize(splats, flat_camera(), options=RenderOptions(near=0.0))
    with pytest.raises(ValueError, match=r"background must be \[3\]"):
        rasterize(splats, flat_camera(), background=torch.zeros(4))


def test_the_table_of_rasterizers_knows_it() -> None:
    assert create("cpu") is rasterize
    assert create("torch") is rasterize_torch.rasterize
