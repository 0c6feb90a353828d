"""The fit recovers what it can see, keeps its number of Gaussians or lowers it, and is repeatable."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.fit import FitConfig, TrainingView, fit, halved, scene_bounds
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Render, create

SIZE = 48


def _cameras() -> list[Camera]:
    K = np.array([[50.0, 0, SIZE / 2], [0, 50.0, SIZE / 2], [0, 0, 1]])
    cameras = []
    for x in (-0.3, 0.0, 0.3):
        cam_from_world = np.eye(4)
        cam_from_world[0, 3] = x
        cameras.append(Camera(K, cam_from_world, SIZE, SIZE))
    return cameras


def _gaussians(count: int = 60, seed: int = 0) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    means = (torch.rand(count, 3, generator=random) - 0.5) * torch.tensor([2.0, 2.0, 0.5]) + torch.tensor([0, 0, 3.0])
    return Gaussians(
        means,
        torch.full((count, 3), 0.12).log(),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count,), 1.0),
        torch.randn(count, 1, 3, generator=random) * 0.8,
    )


def _views(truth: Gaussians) -> list[TrainingView]:
    rasterize = create("cpu")
    background = torch.tensor([0.2, 0.3, 0.4])
    with torch.no_grad():
        return [TrainingView(c, rasterize(truth.activate(), c, background=background).rgb) for c in _cameras()]


def _perturbed(truth: Gaussians) -> Gaussians:
    random = torch.Generator().manual_seed(1)
    noise = torch.randn(len(truth), 1, 3, generator=random) * 0.5
    return Gaussians(truth.means + 0.01, truth.log_scales, truth.quats_wxyz, truth.opacity_logits, truth.sh + noise)


def _run(start: Gaussians, views: Sequence[TrainingView], **settings: float) -> tuple[Gaussians, list[float]]:
    losses: list[float] = []

    def progress(done: int, total: int, message: str) -> None:
        losses.append(float(message.split()[1].rstrip(",")))

    defaults = {"num_iterations": 120, "dropout": 0.0, "opacity_decay": 1.0, "lr_sh": 0.02, "background_jitter": 0.0}
    config = FitConfig(**{**defaults, **settings})
    background = torch.tensor([0.2, 0.3, 0.4])
    fitted = fit(start, views, config, rasterizer=create("cpu"), background=background, seed=3, progress=progress)
    return fitted, losses


def test_perturbed_colours_are_recovered() -> None:
    truth = _gaussians()
    _, losses = _run(_perturbed(truth), _views(truth))
    assert np.mean(losses[-10:]) < 0.25 * np.mean(losses[:3])


def test_harmonics_learn_at_a_rate_of_their_own() -> None:
    truth = _gaussians()
    start = _perturbed(truth)
    still, _ = _run(start, _views(truth), num_iterations=10, lr_harmonics=0.0)
    moved, _ = _run(start, _views(truth), num_iterations=10, lr_harmonics=1e-3)
    assert not still.sh[:, 1:].any()
    assert 0 < moved.sh[:, 1:].abs().max() < 10 * 1.1e-3
    assert not torch.equal(still.sh[:, 0], start.sh[:, 0])


def test_the_same_seed_gives_the_same_gaussians_bit_for_bit() -> None:
    truth = _gaussians()
    first, _ = _run(_perturbed(truth), _views(truth), num_iterations=20, dropout=0.2)
    second, _ = _run(_perturbed(truth), _views(truth), num_iterations=20, dropout=0.2)
    assert torch.equal(first.means, second.means)
    assert torch.equal(first.sh, second.sh)


def test_gaussians_are_only_ever_removed() -> None:
    truth = _gaussians()
    start = _perturbed(truth)
    start.opacity_logits[:7] = -9.0  # invisible from the beginning
    fitted, _ = _run(start, _views(truth), num_iterations=100)
    assert len(fitted) <= len(truth) - 7
    assert len(fitted) > len(truth) // 2


def test_the_wanted_sh_degree_comes_out() -> None:
    truth = _gaussians()
    fitted, _ = _run(_perturbed(truth), _views(truth), num_iterations=2, sh_degree=2)
    assert fitted.sh_degree == 2


def test_pixels_that_are_not_valid_do_not_matter() -> None:
    truth = _gaussians()
    valid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    valid[:, SIZE // 2 :] = False
    spoiled = []
    for view in _views(truth):
        rgb = view.rgb.clone()
        rgb[:, SIZE // 2 :] = 1.0
        spoiled.append((TrainingView(view.camera, view.rgb, valid), TrainingView(view.camera, rgb, valid)))
    clean, _ = _run(_perturbed(truth), [pair[0] for pair in spoiled], num_iterations=10)
    dirty, _ = _run(_perturbed(truth), [pair[1] for pair in spoiled], num_iterations=10)
    # Not bit for bit: an invalid pixel takes the target's value, which SSIM windows at the border do see.
    left = clean.means[:, 0] < -0.6
    torch.testing.assert_close(clean.sh[left], dirty.sh[left], atol=0.02, rtol=0.05)


def test_progress_can_stop_the_fit() -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int, message: str) -> None:
        if done == 3:
            raise StopError

    truth = _gaussians()
    with pytest.raises(StopError):
        fit(
            truth,
            _views(truth),
            FitConfig(num_iterations=50),
            rasterizer=create("cpu"),
            background=torch.zeros(3),
            seed=0,
            progress=stop,
        )


def test_bounds_scale_with_the_scene() -> None:
    means = _gaussians().means
    small = scene_bounds(means, _cameras())
    larger = []
    for camera in _cameras():
        cam_from_world = camera.cam_from_world.copy()
        cam_from_world[:3, 3] *= 10
        larger.append(Camera(camera.K, cam_from_world, SIZE, SIZE))
    large = scene_bounds(means * 10, larger)
    assert large.extent == pytest.approx(10 * small.extent, rel=1e-5)
    assert large.near == pytest.approx(10 * small.near, rel=1e-5)


def test_without_views_there_is_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="at least one view"):
        fit(
            _gaussians(),
            [],
            FitConfig(),
            rasterizer=create("cpu"),
            background=torch.zeros(3),
            seed=0,
            progress=lambda done, total, message: None,
        )


def test_a_halved_view_shows_the_mean_of_each_block_through_the_same_rays() -> None:
    rgb = torch.rand(7, 9, 3, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(7, 9, dtype=torch.bool)
    valid[0, 0] = False
    camera = Camera(np.array([[50.0, 0, 4.5], [0, 50.0, 3.5], [0, 0, 1]]), np.eye(4), 9, 7)
    half = halved(TrainingView(camera, rgb, valid))
    assert (half.camera.width, half.camera.height) == (4, 3)
    torch.testing.assert_close(half.rgb[1, 2], rgb[2:4, 4:6].mean((0, 1)))
    assert half.valid is not None
    assert not half.valid[0, 0]
    assert half.valid.sum() == 11
    point = np.array([[0.1, -0.05, 2.0]])
    np.testing.assert_allclose(half.camera.project(point)[0], camera.project(point)[0] / 2)


def test_surfaces_turn_more_opaque_when_the_background_cannot_be_counted_on() -> None:
    """A wall in the background's own colour needs no opacity at all, unless the background changes."""
    background = torch.tensor([0.2, 0.3, 0.4])
    views = [TrainingView(camera, background.expand(SIZE, SIZE, 3).contiguous()) for camera in _cameras()]
    start = Gaussians(**{**vars(_gaussians()), "sh": ((background - 0.5) / 0.2821).expand(60, 1, 3).contiguous()})
    still, _ = _run(start, views, num_iterations=60, lr_opacities=0.05)
    jittered, _ = _run(start, views, num_iterations=60, lr_opacities=0.05, background_jitter=1.0)
    alpha = [create("cpu")(fitted.activate(), _cameras()[1]).alpha.mean() for fitted in (still, jittered)]
    assert alpha[1] > alpha[0] + 0.05


def test_a_masked_view_expects_the_background_around_its_object() -> None:
    rgb, mask = torch.rand(4, 4, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 4)
    mask[1, 2] = 1
    target = TrainingView(_cameras()[0], rgb, mask=mask).over(torch.tensor([1.0, 0.0, 0.5]))
    torch.testing.assert_close(target[1, 2], rgb[1, 2])
    torch.testing.assert_close(target[0, 0], torch.tensor([1.0, 0.0, 0.5]))


def test_dropout_never_asks_for_more_than_full_opacity() -> None:
    """What is left is made up for, but a Gaussian of more than full opacity would not be drawn at all."""
    start = replace(_gaussians(), opacity_logits=torch.full((60,), 4.0))
    opacities: list[Tensor] = []

    def watch(splats: Splats, camera: Camera, **options: Any) -> Render:
        opacities.append(splats.opacities.detach())
        return create("cpu")(splats, camera, **options)

    config = FitConfig(num_iterations=10, dropout=0.5, coarse_share=0)
    background = torch.zeros(3)
    fit(start, _views(start), config, rasterizer=watch, background=background, seed=0, progress=lambda *_: None)
    last = opacities[-1]
    assert 0.2 < (last == 0).float().mean() < 0.8
    assert last[last > 0].min() > 0.99
    assert last.max() <= 1


def test_guesses_move_further_than_what_is_verified() -> None:
    truth = _gaussians()
    start = replace(truth, means=truth.means + torch.tensor([0.02, 0.0, 0.0]))
    is_verified = torch.arange(len(truth)) < 30
    settings: dict[str, Any] = {"rasterizer": create("cpu"), "background": torch.zeros(3), "seed": 0}
    moved = []
    for boost in (1.0, 5.0):
        config = FitConfig(num_iterations=30, guess_boost=boost, coarse_share=0)
        fitted = fit(start, _views(truth), config, progress=lambda *_: None, is_verified=is_verified, **settings)
        moved.append((fitted.means - start.means).norm(dim=1))
    assert len(moved[0]) == len(moved[1]) == len(truth)
    assert moved[1][~is_verified].mean() > 2 * moved[0][~is_verified].mean()
    assert moved[1][is_verified].mean() < 1.5 * moved[0][is_verified].mean()
