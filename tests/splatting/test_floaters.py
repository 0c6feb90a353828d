"""Floaters planted before a wall are found; the wall stays."""

import numpy as np
import pytest
import torch

from splatting import rasterizer
from splatting.camera import Camera
from splatting.floaters import FloaterSigns, floater_scores, floater_signs, likely_floaters
from splatting.gaussians import Gaussians, concatenate
from splatting.visibility import num_seeing, visibilities
from tests.synthetic import arc_of_cameras

SIDE = 60  # of the wall, in Gaussians


def gaussians_at(xyz: np.ndarray, scale: float, opacity: float = 0.95) -> Gaussians:
    """Round grey ones."""
    n = len(xyz)
    return Gaussians(
        means=torch.as_tensor(xyz).float(),
        log_scales=torch.full((n, 3), float(np.log(scale))),
        quats_wxyz=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        opacity_logits=torch.full((n,), float(np.log(opacity / (1 - opacity)))),
        sh=torch.zeros(n, 1, 3),
    )


def wall_and_floaters() -> tuple[Gaussians, tuple[Camera, ...], np.ndarray]:
    """A wall through the middle of what the cameras see, 30 blobs half way to them, and which are blobs."""
    cameras = arc_of_cameras(4, size=(96, 72))
    center = np.zeros(3)
    right, down = cameras[1].R[0], cameras[1].R[1]
    grid = np.linspace(-4, 4, SIDE)
    wall = center + np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2) @ np.stack([right, down])
    random = np.random.default_rng(0)
    toward = 0.5 * np.mean([camera.center for camera in cameras], axis=0)
    blobs = toward + random.uniform(-0.25, 0.25, (30, 3))
    joined = concatenate([gaussians_at(wall, 0.09), gaussians_at(blobs, 0.01, 0.45)])
    return joined, cameras, np.arange(len(joined)) >= len(wall)


@pytest.mark.parametrize(("is_verified", "strength"), [(True, 0.5), (False, 0.9)])
def test_blobs_before_a_wall_are_selected_and_the_wall_is_not(is_verified: bool, strength: float) -> None:
    """Where no photos agree, blobs that hide the wall pass for surfaces in some views: that takes more strength."""
    scene, cameras, is_blob = wall_and_floaters()
    draw = rasterizer.create("cpu")
    wall = scene.select(torch.from_numpy(~is_blob)).activate()
    depths = [draw(wall, camera).median_depth.numpy() for camera in cameras] if is_verified else None
    scores = floater_scores(floater_signs(scene, cameras, draw, verified_depths=depths))
    selected = likely_floaters(scores, strength)
    assert selected[is_blob].mean() > 0.9
    assert selected[~is_blob].mean() < 0.01


def test_a_larger_strength_selects_more_and_never_fewer() -> None:
    scores = np.random.default_rng(0).uniform(0, 1, 1000).astype(np.float32)
    selections = [likely_floaters(scores, strength) for strength in np.linspace(0, 1, 11)]
    assert not selections[0].any()
    assert selections[1].any()
    assert all((selections[i] <= selections[i + 1]).all() for i in range(10))
    with pytest.raises(ValueError, match="strength must be 0 to 1"):
        likely_floaters(scores, 1.2)


def test_each_sign_raises_the_score_and_support_lowers_it() -> None:
    names = [name for name in FloaterSigns.__dataclass_fields__ if name != "num_supports"]
    values = {name: np.array([float(name == other) for other in [None, *names]], np.float32) for name in names}
    scores = floater_scores(FloaterSigns(**values, num_supports=np.zeros(len(names) + 1, np.int64)))
    assert scores[0] == 0
    assert (scores[1:] > 0.2).all()
    assert scores[1 + names.index("before_surface")] == scores.max()
    supported = floater_scores(FloaterSigns(**values, num_supports=np.full(len(names) + 1, 3)))
    assert supported == pytest.approx(scores / 4)


def test_signs_are_about_single_gaussians() -> None:
    cameras = arc_of_cameras(2, size=(64, 48))
    forward = cameras[0].R[2]
    far = gaussians_at(np.zeros((1, 3)), 0.05)
    near = gaussians_at((cameras[0].center + 0.05 * forward)[None], 0.001)
    needle = gaussians_at(np.zeros((1, 3)), 0.3)
    needle.log_scales[0, 1:] = np.log(0.001)
    faint = gaussians_at(np.zeros((1, 3)), 0.05, opacity=0.01)
    scene = concatenate([far, near, needle, faint])
    depth = np.full((48, 64), np.linalg.norm(cameras[0].center), np.float32)
    signs = floater_signs(scene, cameras, rasterizer.create("cpu"), verified_depths=[depth, depth])
    assert signs.near_camera.argmax() == 1
    assert signs.near_camera[1] == 1
    assert signs.needle.tolist()[2] == 1
    assert signs.needle[[0, 1, 3]].max() == 0
    assert signs.faint[3] > 0.9 > signs.faint[0]


def test_a_scene_without_gaussians_has_no_floaters() -> None:
    none = gaussians_at(np.zeros((0, 3)), 1.0)
    assert len(floater_scores(floater_signs(none, arc_of_cameras(2), rasterizer.create("cpu")))) == 0
    with pytest.raises(ValueError, match="one camera"):
        floater_signs(none, (), rasterizer.create("cpu"))


def test_visibility_is_the_transmittance_in_front() -> None:
    camera = arc_of_cameras(1, size=(96, 72))[0]
    line = camera.center + np.array([[2.0], [3.0], [-2.0]]) * camera.R[2]
    scene = gaussians_at(line, 0.1)
    scene.log_scales[0] = np.log(0.35)  # in front, and so large that all of the second one lies behind its middle
    scene.opacity_logits[0] = 0.0
    shares = visibilities(scene, [camera], rasterizer.create("cpu"))
    assert shares.shape == (1, 3)
    assert shares[0, 0] > 0.9
    assert shares[0, 1] == pytest.approx(0.5, abs=0.05)  # a little more: the one in front is not as opaque everywhere
    assert shares[0, 2] == 0  # behind the camera
    assert num_seeing(shares).tolist() == [1, 1, 0]
