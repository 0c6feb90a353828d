"""The rasterizers for use, each against the float64 twin and against gsplat's own torch code: the same claims for all.

gsplat's is skipped, with its reason, where it cannot be used; everything else runs everywhere.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from gsplat.cuda import _torch_impl as gsplat_torch
from splat_scenes import PARAMETERS, leaves, random_splats, relative_l2, tensors_of, turned_camera
from torch import Tensor

from splatting import rasterize_torch
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.gsplat_toolchain import missing_piece
from splatting.rasterizer import (
    DEFAULT_OPTIONS,
    CameraTensors,
    Rasterizer,
    RasterizerName,
    Render,
    RenderOptions,
    create,
)


@dataclass(frozen=True)
class Backend:
    """A rasterizer with its device and limits, relative L2.

    The native kernels keep ellipses as completed squares; gsplat's take the inverse covariance in float32 and, with
    its default flags, approximate exponentials and divisions.
    """

    name: RasterizerName
    device: str
    picture_limit: float
    gradient_limit: float

    def draw(self) -> Rasterizer:
        """The function; skips the test if it cannot be used."""
        if self.device == "cuda":
            missing = missing_piece()
            if missing is None:
                from splatting.rasterize_gsplat import why_unavailable

                missing = why_unavailable()
            if missing is not None:
                pytest.skip(missing.reason)
        return create(self.name)


BACKENDS = [
    pytest.param(Backend("cpu", "cpu", 1e-5, 1e-4), id="cpu"),
    pytest.param(Backend("gsplat", "cuda", 1e-4, 1e-3), id="gsplat", marks=pytest.mark.gpu),
]
each_backend = pytest.mark.parametrize("backend", BACKENDS)
classic_and_antialiased = pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])


def on(device: str, splats: Splats, dtype: torch.dtype = torch.float32) -> Splats:
    return leaves(Splats(**{name: getattr(splats, name).to(device) for name in PARAMETERS}), dtype)


def loss_of(render: Render) -> Tensor:
    """Random weights on colour, alpha and depth."""
    pictures = torch.cat([render.rgb, render.alpha[..., None], render.depth[..., None]], -1)
    weights = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(5))
    return (weights.to(pictures) * pictures).sum()


def draw_both(
    backend: Backend, splats: Splats, camera: Camera, options: RenderOptions = DEFAULT_OPTIONS
) -> list[tuple[Render, dict[str, Tensor]]]:
    """Render and gradients, of the parameters, background and pose, on the CPU; of the backend, then of the twin."""
    results = []
    ways = ((backend.draw(), backend.device, torch.float32), (rasterize_torch.rasterize, "cpu", torch.float64))
    for draw, device, dtype in ways:
        copy = on(device, splats, dtype)
        background = torch.tensor([0.2, 0.5, 0.9], dtype=dtype, device=device).requires_grad_()
        tensors = CameraTensors.of(camera, copy.means)
        tensors.cam_from_world.requires_grad_()
        render = draw(copy, camera, background=background, camera_tensors=tensors, options=options)
        loss_of(render).backward()
        leaf = tensors_of(copy) | {"background": background}
        gradients = {name: tensor.grad.cpu() for name, tensor in leaf.items()}
        results.append((render, gradients | rigid_part(tensors.cam_from_world.grad.cpu(), camera)))
    return results


def rigid_part(pose_gradient: Tensor, camera: Camera) -> dict[str, Tensor]:
    """The part of a pose's gradient along rigid motions; the rest is not defined, and gsplat's differs."""
    turn = pose_gradient[:3] @ torch.as_tensor(camera.cam_from_world).to(pose_gradient)[:3].T
    return {"rotation": turn - turn.T, "translation": pose_gradient[:3, 3]}


@each_backend
@classic_and_antialiased
@pytest.mark.parametrize(
    ("n", "radius", "degree"),
    [(600, 0.08, 3), (1500, 0.15, 1), (300, 1.0, 0), (2000, 0.01, 2)],
    ids=["surface", "dense", "huge", "specks"],
)
def test_pictures_and_gradients_agree_with_the_float64_twin(
    backend: Backend, n: int, radius: float, degree: int, antialiased: bool
) -> None:
    splats = random_splats(n, seed=n, radius=radius, degree=degree)
    (render, found), (expected, wanted) = draw_both(
        backend, splats, turned_camera(76, 57), RenderOptions(antialiased=antialiased)
    )
    for name in ("rgb", "alpha", "depth"):
        assert relative_l2(getattr(render, name).cpu(), getattr(expected, name)) <= backend.picture_limit, name
    for name, gradient in wanted.items():
        assert gradient.any(), name
        assert relative_l2(found[name], gradient) <= backend.gradient_limit, name


@each_backend
def test_what_cannot_be_drawn_is_absent_and_has_no_gradient(backend: Backend) -> None:
    splats, camera = random_splats(60, seed=3, radius=0.3), turned_camera(40, 30)
    quats, opacities = splats.quats_wxyz.clone(), splats.opacities.clone()
    quats[20], opacities[21] = 0.0, float("nan")
    (render, found), (expected, _) = draw_both(backend, replace(splats, quats_wxyz=quats, opacities=opacities), camera)
    assert relative_l2(render.rgb.cpu(), expected.rgb) <= backend.picture_limit
    for name in PARAMETERS:
        assert torch.isfinite(found[name]).all()
        assert not found[name][20:22].any()


@each_backend
def test_no_gaussians_give_the_background(backend: Backend) -> None:
    draw = backend.draw()
    background = torch.tensor([0.1, 0.2, 0.3], device=backend.device)
    render = draw(on(backend.device, random_splats(0)), turned_camera(5, 4), background=background)
    assert torch.equal(render.rgb.detach().cpu(), background.cpu().expand(4, 5, 3))


# One Gaussian at a time, and pixels only where it is alone: the picture tells what projection and harmonics made of it.


def gsplats_alone(splats: Splats, camera: Camera, degree: int, antialiased: bool) -> list[Tensor]:
    """Pictures [H, W, 4] of colour x opacity and opacity, of every Gaussian alone, by gsplat's torch projection."""
    covariances, _ = gsplat_torch._quat_scale_to_covar_preci(splats.quats_wxyz, splats.scales, True, False)
    pose, K = (torch.as_tensor(matrix).to(splats.means) for matrix in (camera.cam_from_world, camera.K))
    radii, centres, _, conics, fading = gsplat_torch._fully_fused_projection(
        splats.means, covariances, pose[None], K[None], camera.width, camera.height, calc_compensations=True
    )
    center = -pose[:3, :3].T @ pose[:3, 3]
    colours = (gsplat_torch._spherical_harmonics(degree, splats.means - center, splats.colours) + 0.5).clamp(min=0)
    opacities = splats.opacities * fading[0] if antialiased else splats.opacities
    y, x = torch.meshgrid(*(torch.arange(size) + 0.5 for size in (camera.height, camera.width)), indexing="ij")
    pictures = []
    for i in range(len(splats.means)):
        dx, dy = x - centres[0, i, 0], y - centres[0, i, 1]
        a, b, c = conics[0, i]
        alpha = (opacities[i] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)).clamp(max=0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, 0) * bool((radii[0, i] > 0).all())
        pictures.append(torch.cat([alpha[..., None] * colours[i], alpha[..., None]], -1))
    return pictures


@each_backend
@classic_and_antialiased
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_projection_harmonics_and_their_gradients_are_those_of_gsplats_torch_code(
    backend: Backend, degree: int, antialiased: bool
) -> None:
    """Each Gaussian alone, half of them thinner than a pixel."""
    draw, camera = backend.draw(), turned_camera(40, 30)
    splats = random_splats(24, seed=40 + degree, radius=0.08, degree=degree)
    ours, theirs = on(backend.device, splats), leaves(splats, torch.float64)
    expected = gsplats_alone(theirs, camera, degree, antialiased)
    num_seen = 0
    for i, picture in enumerate(expected):
        alone = Splats(**{name: getattr(ours, name)[i : i + 1] for name in PARAMETERS})
        render = draw(alone, camera, options=RenderOptions(antialiased=antialiased))
        found = torch.cat([render.rgb, render.alpha[..., None]], -1)
        assert relative_l2(found.cpu(), picture) <= backend.picture_limit
        weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(i))
        (weights.to(found) * found).sum().backward()
        (weights * picture).sum().backward(retain_graph=True)
        num_seen += bool(picture.any())
    assert num_seen >= 12
    for name in PARAMETERS:
        assert relative_l2(getattr(ours, name).grad.cpu(), getattr(theirs, name).grad) <= backend.gradient_limit, name
