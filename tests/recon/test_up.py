"""Up from floors, tables and walls: exact surfaces, noisy cameras, and what must not be taken for a floor."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.scene import DepthMap, View
from recon.up import Surface, Up, find_up, surface_of_depth
from splatting.camera import Camera
from tests.synthetic import arc_of_cameras, looking_at

TURN = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
Y = np.array([0.0, 1.0, 0.0])


def off_deg(up: Up, truth: np.ndarray = Y) -> float:
    return float(np.rad2deg(np.arccos(np.clip(up.direction @ truth, -1, 1))))


def patch(origin: np.ndarray, u: np.ndarray, v: np.ndarray, normal: np.ndarray, n: int, seed: int) -> Surface:
    """Points on a rectangle with 2 mm of noise at 4 m and normals that are 5 degrees off."""
    generator = np.random.default_rng(seed)
    xyz = origin + generator.uniform(-1, 1, (n, 1)) * u + generator.uniform(-1, 1, (n, 1)) * v
    normals = normal + generator.normal(0, 0.09, (n, 3))
    return Surface(xyz + generator.normal(0, 0.002, (n, 3)), normals / np.linalg.norm(normals, axis=1, keepdims=True))


def clutter(n: int, seed: int = 3) -> Surface:
    """A ball's surface: every normal, no plane."""
    normals = np.random.default_rng(seed).normal(size=(n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(normals * 0.8, normals)


def joined(*parts: Surface) -> Surface:
    normals = [part.normals for part in parts if part.normals is not None]
    return Surface(np.concatenate([part.xyz for part in parts]), np.concatenate(normals) if normals else None)


def floor(height: float = -0.8) -> Surface:
    return patch(np.array([0, height, 0]), np.array([1.5, 0, 0]), np.array([0, 0, 1.5]), Y, 2000, 1)


def wall(lean_deg: float = 0.0) -> Surface:
    c, s = np.cos(np.deg2rad(lean_deg)), np.sin(np.deg2rad(lean_deg))
    up_along, normal = np.array([0, c, s]), np.array([0, s, -c])
    return patch(np.array([0, 0, 1.0]), np.array([2.0, 0, 0]), up_along, normal, 2000, 2)


def rolled(cameras: tuple[Camera, ...], roll_deg: float) -> np.ndarray:
    """Rotations of cameras that were all held askew by as much."""
    turn = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    return np.array([turn @ camera.R for camera in cameras])


def test_a_floor_makes_up_exact_though_the_cameras_were_held_askew() -> None:
    rotations = rolled(arc_of_cameras(5), 4.0)
    without = find_up(rotations, Surface(np.zeros((0, 3))), 4.0)
    found = find_up(rotations, joined(floor(), clutter(2000)), 4.0)
    assert off_deg(without) > 3
    assert off_deg(found) < 0.5
    assert found.floor is not None
    assert found.floor.share == pytest.approx(0.5, abs=0.05)
    assert found.floor.offset == pytest.approx(-0.8, abs=0.01)


def test_three_photos_from_one_side_look_down_on_a_table() -> None:
    cameras = [looking_at(np.array([0.3 * i, 3.0, -3.0]), np.array([0.3 * i, 0, 0])) for i in range(3)]
    rotations = np.array([camera[:3, :3] for camera in cameras])
    assert off_deg(find_up(rotations, Surface(np.zeros((0, 3))), 4.0)) > 30
    assert off_deg(find_up(rotations, joined(floor(0.0), clutter(1000)), 4.0)) < 1


def test_a_wall_tells_how_far_the_cameras_looked_up() -> None:
    cameras = [looking_at(np.array([0.5 * i, -1.0, -4.0]), np.array([0.5 * i, 0.2, 0])) for i in range(3)]
    rotations = np.array([camera[:3, :3] for camera in cameras])
    assert off_deg(find_up(rotations, Surface(np.zeros((0, 3))), 4.0)) > 10
    found = find_up(rotations, joined(wall(), clutter(500)), 4.0)
    assert off_deg(found) < 1
    assert found.num_walls >= 1


def test_a_roof_beside_a_floor_is_no_wall() -> None:
    found = find_up(rolled(arc_of_cameras(5), 2.0), joined(floor(), wall(lean_deg=20.0), clutter(500)), 4.0)
    assert off_deg(found) < 0.5
    assert found.num_walls == 0


def test_clutter_is_neither_floor_nor_wall() -> None:
    rotations = rolled(arc_of_cameras(5), 0.0)
    found = find_up(rotations, clutter(4000), 4.0)
    assert found.floor is None
    assert found.num_walls == 0
    assert off_deg(found) < 3


def test_up_turns_with_the_world() -> None:
    rotations, surface = rolled(arc_of_cameras(5), 3.0), joined(floor(), clutter(1000))
    assert surface.normals is not None
    turned = Surface(surface.xyz @ TURN.T, surface.normals @ TURN.T)
    before, after = find_up(rotations, surface, 4.0), find_up(rotations @ TURN.T, turned, 4.0)
    np.testing.assert_allclose(after.direction, TURN @ before.direction, atol=1e-6)


def test_sparse_points_have_to_lie_on_one_floor_in_great_part() -> None:
    rotations = rolled(arc_of_cameras(5), 4.0)
    on_floor, anywhere = floor().xyz, np.random.default_rng(0).uniform(-1, 1, (4000, 3))
    assert find_up(rotations, Surface(np.concatenate([on_floor, anywhere[:1000]])), 4.0).floor is not None
    assert find_up(rotations, Surface(np.concatenate([on_floor[:400], anywhere])), 4.0).floor is None


def test_depth_maps_give_points_and_normals_towards_the_camera() -> None:
    camera = Camera(
        np.array([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]]), looking_at(np.array([0.0, 2, -2]), np.zeros(3)), 80, 60
    )
    rows, columns = np.mgrid[:60, :80] + 0.5
    rays = (np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(camera.K).T) @ camera.R
    depth = (-camera.center[1] / rays[..., 1]).astype(np.float32)  # where rays meet y = 0; z of a ray is 1
    depth[:, :20] = 0
    view = View("a.png", camera, np.zeros((60, 80, 3), np.uint8), np.ones((60, 80), bool))
    surface = surface_of_depth([view], [DepthMap(depth, depth, np.ones_like(depth, np.uint8))])
    assert surface.normals is not None
    assert len(surface.xyz) == 58 * (80 - 20 - 2)
    np.testing.assert_allclose(surface.xyz[:, 1], 0, atol=1e-5)
    np.testing.assert_allclose(surface.normals, np.tile(Y, (len(surface.xyz), 1)), atol=1e-3)


def test_no_depth_maps_give_no_surface() -> None:
    assert surface_of_depth([], []).xyz.shape == (0, 3)
