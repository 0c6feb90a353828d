"""Normals of depth maps: exact on planes, steady under noise, and one surface never leans on another."""

import numpy as np
import pytest
from analytic_depth import camera_at

from recon.depth_normals import depth_normals
from splatting.camera import Camera


def plane_depth(camera: Camera, normal: np.ndarray, offset: float) -> np.ndarray:
    """Depth of the plane `normal @ x = offset` in the camera's frame."""
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T
    return (offset / (rays @ normal)).astype(np.float32)


@pytest.mark.parametrize("normal", [[0, 0, -1.0], [0.5, 0, -1.0], [0.3, -0.8, -0.6]])
def test_planes_have_their_normal_everywhere(normal: list[float]) -> None:
    camera, unit = camera_at((0, 0, 3), 80, 60, 90), np.array(normal) / np.linalg.norm(normal)
    found = depth_normals(plane_depth(camera, unit, -2.0), camera)
    np.testing.assert_allclose(found, np.broadcast_to(unit, (60, 80, 3)), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=1e-5)


def test_noise_of_half_a_percent_turns_them_by_a_few_degrees_only() -> None:
    camera, unit = camera_at((0, 0, 3), 160, 120, 150), np.array([0.3, -0.8, -0.6]) / np.linalg.norm([0.3, -0.8, -0.6])
    depth = plane_depth(camera, unit, -2.0)
    noisy = depth * (1 + 0.005 * np.random.default_rng(0).normal(size=depth.shape))
    found = depth_normals(noisy.astype(np.float32), camera)
    angles = np.rad2deg(np.arccos(np.clip(found @ unit, -1, 1)))
    assert np.median(angles) < 4


def test_a_step_in_depth_leaves_both_sides_as_they_are() -> None:
    camera = camera_at((0, 0, 3), 80, 60, 90)
    depth = np.full((60, 80), 2.0, np.float32)
    depth[:, 40:] = 3.0
    np.testing.assert_allclose(depth_normals(depth, camera), np.broadcast_to([0, 0, -1], (60, 80, 3)), atol=1e-3)


def test_what_is_unknown_has_none() -> None:
    camera = camera_at((0, 0, 3), 80, 60, 90)
    depth = np.full((60, 80), 2.0, np.float32)
    depth[20:30, 20:30] = 0
    found = depth_normals(depth, camera)
    assert not found[20:30, 20:30].any()
    np.testing.assert_allclose(found[19, 25], [0, 0, -1], atol=1e-3)
    with pytest.raises(ValueError, match=r"\[60, 80\]"):
        depth_normals(depth[:40], camera)
