"""Moved Gaussians: the picture from the moved camera is the same, whatever the similarity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from splatting.camera import Camera
from splatting.gaussians import Gaussians
from splatting.rasterize_torch import rasterize
from splatting.spherical_harmonics import evaluate_colours
from splatting.transforms import rotated_sh, transformed
from tests.splatting.splat_scenes import random_splats, turned_camera

TURN = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
SHIFT = np.array([3.0, -2.0, 0.5])


def gaussians_with(degree: int) -> Gaussians:
    splats = random_splats(400, degree=degree)
    return Gaussians(splats.means, splats.scales.log(), splats.quats_wxyz, splats.opacities.logit(), splats.colours)


def moved(camera: Camera, scale: float) -> Camera:
    """From first principles: what it sees at `scale * TURN @ x + SHIFT` is what it saw at x, `scale` times as far."""
    cam_from_new = np.eye(4)
    cam_from_new[:3, :3] = camera.R @ TURN.T
    cam_from_new[:3, 3] = scale * camera.t - camera.R @ TURN.T @ SHIFT
    return replace(camera, cam_from_world=cam_from_new)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [0.37, 12.0])
def test_the_moved_camera_sees_the_same_picture(degree: int, scale: float) -> None:
    before, camera = gaussians_with(degree), turned_camera(48, 40)
    after = transformed(before, scale, TURN, SHIFT)
    first = rasterize(before.activate(), camera)
    second = rasterize(after.activate(), moved(camera, scale))
    assert first.rgb.std() > 0.1
    # float32 parameters far from the origin: 1e-5 of rounding, no step of the rasterizer's thresholds was met
    assert (first.rgb - second.rgb).abs().max() < 1e-3
    assert torch.allclose(second.median_depth, scale * first.median_depth, rtol=1e-4, atol=1e-5)


def test_leaving_the_harmonics_as_they_are_is_seen() -> None:
    before, camera = gaussians_with(3), turned_camera(48, 40)
    after = replace(transformed(before, 1.0, TURN, SHIFT), sh=before.sh)
    difference = rasterize(before.activate(), camera).rgb - rasterize(after.activate(), moved(camera, 1.0)).rgb
    assert difference.abs().max() > 0.1


def test_harmonics_turn_with_the_world() -> None:
    sh = torch.randn(30, 16, 3, dtype=torch.float64) * 0.1
    directions = torch.randn(30, 3, dtype=torch.float64)
    turned = evaluate_colours(rotated_sh(sh, TURN), directions @ torch.from_numpy(TURN).T, 3)
    assert torch.allclose(turned, evaluate_colours(sh, directions, 3), atol=1e-12)


def test_there_and_back_is_where_we_were() -> None:
    before = gaussians_with(3)
    back = transformed(transformed(before, 2.5, TURN, SHIFT), 1 / 2.5, TURN.T, -TURN.T @ SHIFT / 2.5)
    for name in ("means", "log_scales", "quats_wxyz", "sh"):
        assert torch.allclose(getattr(back, name), getattr(before, name), atol=1e-5), name


def test_no_gaussians_stay_none() -> None:
    nothing = gaussians_with(2).select(torch.zeros(400, dtype=torch.bool))
    assert len(transformed(nothing, 2.0, TURN, SHIFT)) == 0


@pytest.mark.parametrize(
    ("scale", "R"), [(0.0, TURN), (np.inf, TURN), (1.0, -TURN), (1.0, 2 * TURN), (1.0, np.eye(4)), (np.nan, TURN)]
)
def test_what_is_no_similarity_is_refused(scale: float, R: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"similarity|rotation"):
        transformed(gaussians_with(0), scale, R, SHIFT)
