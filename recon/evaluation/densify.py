"""The classical fit, to compare ours with: few Gaussians at first, densified on the way by gsplat's `DefaultStrategy`.

Learning rates and the start's opacity are those of 3D Gaussian Splatting [1] as gsplat's example trainer has them. The
strategy refines every 100 steps by its own thresholds. Its own runs have 30,000 steps and grow from step 500 to the
middle; shorter ones here grow from a sixth of the steps, 500 at most, up to `GROW_UNTIL`. In gsplat 1.5.3 opacities are
never reset (`step % reset_every == 0 & step > 0` is always false), and neither are they here.

[1] Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, 2023.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.fit import FitConfig, OnStep, TrainingView, scene_bounds
from splatting.gaussians import Gaussians
from splatting.losses import photometric_loss
from splatting.rasterizer import Rasterizer, RenderOptions

GROW_FROM, GROW_UNTIL = 1 / 6, 0.6  # of the steps
LAST_FIRST_GROWTH = 500
RATES = {"means": 1.6e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "constant": 2.5e-3, "harmonics": 1.25e-4}
EPSILON = 1e-15


def fit_with_densification(
    gaussians: Gaussians,
    views: Sequence[TrainingView],
    config: FitConfig,
    *,
    rasterizer: Rasterizer,
    background: Tensor,
    seed: int,
    progress: Callable[[int, int, str], None],
    is_verified: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Gaussians:
    """Optimise Gaussians and grow more where the picture asks for them; see `splatting.fit.fit` for the arguments.

    Of `config` only `num_iterations`, `sh_degree` and `ssim_weight` count; `is_verified` does not.

    Raises:
        ImportError: gsplat is missing.
    """
    from gsplat.strategy import DefaultStrategy  # takes seconds to import

    num_steps = config.num_iterations
    bounds = scene_bounds(gaussians.means, [view.camera for view in views])
    leaves = _leaves(gaussians, config.sh_degree)
    optimizers = {name: torch.optim.Adam([leaf], lr=RATES[name], eps=EPSILON) for name, leaf in leaves.items()}
    start = min(LAST_FIRST_GROWTH, round(GROW_FROM * num_steps))
    strategy = DefaultStrategy(refine_start_iter=start, refine_stop_iter=round(GROW_UNTIL * num_steps))
    strategy.check_sanity(leaves, optimizers)
    state = strategy.initialize_state(scene_scale=bounds.extent)
    order: list[int] = []
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the strategy splits by torch's global generator
        for step in range(1, num_steps + 1):
            if not order:
                order = random.permutation(len(views)).tolist()
            view = views[order.pop()]
            optimizers["means"].param_groups[0]["lr"] = RATES["means"] * bounds.extent * 0.01 ** (step / num_steps)
            render = rasterizer(
                _joined(leaves).activate(),
                view.camera,
                background=background,
                options=RenderOptions(near=bounds.near),
            )
            target = view.over(background)
            loss = photometric_loss(render.rgb, target, ssim_weight=config.ssim_weight, valid=view.valid)
            loss.backward()
            seen = _what_the_strategy_sees(leaves["means"], render.radii, view.camera)
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            strategy.step_post_backward(leaves, optimizers, state, step, seen)
            if on_step is not None:
                on_step(step, lambda: _joined(leaves).detach())
            progress(step, num_steps, f"loss {loss.item():.4f}, {len(leaves['means']):,} Gaussians")
    return _joined(leaves).detach()


def picture_gradient(means: Tensor, gradient: Tensor, camera: Camera) -> Tensor:
    """What a loss changes by when Gaussians move in the picture, [N, 2] per px, from its gradient to their centres.

    A pixel along x is `depth / fx` along the camera's x axis. The rasterizer's gradient to the centres is that of the
    whole drawing, so a part comes with it that gsplat's gradient to the projected centres has not: the ellipse's shape
    and the colour change with the direction, too. It is the smaller the smaller the Gaussian is beside its distance: of
    Gaussians as wide as 1/80 of it, 1.1 % of the gradient (the test beside this measures it).

    Args:
        means: centres [N, 3], world frame.
        gradient: of the loss to them [N, 3].
        camera: that drew them.

    Returns:
        [N, 2]; 0 for Gaussians at or behind the camera.
    """
    R, t = (torch.from_numpy(part).to(means) for part in (camera.R, camera.t))
    depth = means @ R[2] + t[2]
    focal = means.new_tensor([camera.K[0, 0], camera.K[1, 1]])
    return (gradient @ R.T)[:, :2] * depth.clamp(min=0)[:, None] / focal


def _what_the_strategy_sees(means: Tensor, radii: Tensor, camera: Camera) -> dict[str, object]:
    """The entries of gsplat's `info` that `DefaultStrategy` reads, for one camera."""
    means2d = means.detach().new_zeros(1, len(means), 2).requires_grad_()
    assert means.grad is not None
    means2d.grad = picture_gradient(means.detach(), means.grad, camera)[None]
    return {
        "width": camera.width,
        "height": camera.height,
        "n_cameras": 1,
        "radii": radii[None, :, None].expand(1, -1, 2),
        "gaussian_ids": None,
        "means2d": means2d,
    }


def _leaves(gaussians: Gaussians, sh_degree: int) -> dict[str, torch.nn.Parameter]:
    """Parameters by gsplat's names, the harmonics widened to the degree."""
    sh = gaussians.sh.new_zeros(len(gaussians), (sh_degree + 1) ** 2, 3)
    shared = min(sh.shape[1], gaussians.sh.shape[1])
    sh[:, :shared] = gaussians.sh[:, :shared]
    tensors = {
        "means": gaussians.means,
        "scales": gaussians.log_scales,
        "quats": gaussians.quats_wxyz,
        "opacities": gaussians.opacity_logits,
        "constant": sh[:, :1],
        "harmonics": sh[:, 1:],
    }
    return {name: torch.nn.Parameter(tensor.detach().clone()) for name, tensor in tensors.items()}


def _joined(leaves: dict[str, torch.nn.Parameter]) -> Gaussians:
    sh = torch.cat([leaves["constant"], leaves["harmonics"]], dim=1)
    return Gaussians(leaves["means"], leaves["scales"], leaves["quats"], leaves["opacities"], sh)
