"""Textures: the colours of the photos in the right places, at one exposure, from what is seen only."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

import recon._native as _native
from recon.atlas import unwrap
from recon.exposure import photo_gains
from recon.mesh_rendering import render_mesh
from recon.photo_samples import photo_of_mesh, raster_mesh
from recon.scene import Mesh, Texture, View
from recon.texture import TextureConfig, color_mesh
from splatting.camera import Camera

SIDE = 160  # of the photos
CONFIG = TextureConfig(side_px=256)
EYES = [
    *((0.0, 0.0, -3.0), (2.6, 0.0, -1.5), (2.6, 0.0, 1.5), (0.0, 0.0, 3.0)),
    *((-2.6, 0.0, 1.5), (-2.6, 0.0, -1.5), (0.0, 2.9, -0.8), (0.0, -2.9, -0.8)),
]
Colors = Callable[[np.ndarray], np.ndarray]


def camera_at(eye: tuple[float, float, float]) -> Camera:
    """Looking at the origin."""
    z = -np.array(eye) / np.linalg.norm(eye)
    x = np.cross([0.1, 1, 0.05], z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = R, -R @ np.array(eye)
    return Camera(np.array([[180.0, 0, 80], [0, 180, 80], [0, 0, 1]]), matrix, SIDE, SIDE)


def waves(xyz: np.ndarray) -> np.ndarray:
    """A pattern finer than the faces of the sphere."""
    return 128 + 90 * np.sin(9 * xyz + [0, 1, 2])


def sphere_mesh(subdivisions: int = 3) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions)
    grey = np.full((len(sphere.vertices), 3), 77, np.uint8)
    return Mesh(sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32), grey)


def photo_of_sphere(eye: tuple[float, float, float], colors: Colors = waves) -> View:
    """An exact picture of the unit sphere, black around it."""
    camera = camera_at(eye)
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.K).T @ camera.R
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ camera.center
    inside = along**2 - (camera.center @ camera.center - 1)
    hits = camera.center + rays * (-along - np.sqrt(np.maximum(inside, 0)))[..., None]
    rgb = np.where((inside > 0)[..., None], colors(hits), 0)
    return View("photo", camera, np.round(rgb.clip(0, 255)).astype(np.uint8), np.ones((SIDE, SIDE), bool))


def all_photos(colors: Colors = waves) -> list[View]:
    return [photo_of_sphere(eye, colors) for eye in EYES]


def constant(*rgb: float) -> Colors:
    return lambda xyz: np.broadcast_to(np.array(rgb), xyz.shape)


def texture_of(mesh: Mesh) -> Texture:
    assert mesh.texture is not None
    return mesh.texture


def covered_texels(texture: Texture) -> np.ndarray:
    side = len(texture.rgb)
    return texture.rgb.reshape(-1, 3)[_native.raster_uv(texture.uv, texture.faces, side)[0]].astype(float)


def test_a_texture_shows_a_new_view_what_is_there_and_finer_than_vertices_do() -> None:
    mesh = color_mesh(sphere_mesh(), all_photos(), CONFIG)
    unknown = photo_of_sphere((1.7, 1.7, -1.9))
    errors = []
    for use_texture in (True, False):
        rgb, covered, facing = render_mesh(mesh, unknown.camera, use_texture=use_texture)
        use = (covered == 1) & (facing > 0.3)
        errors.append(np.sqrt(np.mean((rgb[use] - unknown.rgb[use]) ** 2)))
    assert errors[0] < 5  # of 255; the flat faces lie up to half a pixel inside of the sphere
    assert errors[1] > 2 * errors[0]
    assert texture_of(mesh).seen_share == pytest.approx(1, abs=0.01)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    meshes = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        meshes.append(color_mesh(sphere_mesh(2), all_photos(), CONFIG))
    torch.set_num_threads(before)
    assert np.array_equal(texture_of(meshes[0]).rgb, texture_of(meshes[1]).rgb)
    assert np.array_equal(meshes[0].vertex_rgb, meshes[1].vertex_rgb)


def test_what_no_photo_shows_is_made_up_from_what_lies_around_it_and_reported() -> None:
    mesh = color_mesh(sphere_mesh(), [photo_of_sphere(EYES[0], constant(200, 90, 30))], CONFIG)
    # A camera at distance 3 sees (1 - 1/3) / 2 of a sphere; the border pixels are too doubtful to count as seen.
    assert 0.25 < texture_of(mesh).seen_share < 0.36
    assert np.abs(np.median(covered_texels(texture_of(mesh)), axis=0) - [200, 90, 30]).max() <= 1
    assert np.abs(mesh.vertex_rgb[mesh.vertices[:, 2] > 0.5] - [200.0, 90, 30]).max() < 40


def test_without_any_photo_that_sees_it_a_mesh_keeps_its_colours() -> None:
    away = photo_of_sphere(EYES[0])
    turned = away.camera.cam_from_world.copy()
    turned[:3] *= [[-1], [1], [-1]]  # looking the other way
    mesh = color_mesh(sphere_mesh(2), [replace(away, camera=replace(away.camera, cam_from_world=turned))], CONFIG)
    assert texture_of(mesh).seen_share == 0
    assert (texture_of(mesh).rgb == 77).all()


def test_photos_of_different_exposure_leave_no_seams() -> None:
    factors = (0.8, 1.25, 0.9, 1.1, 1.0, 0.85, 1.2, 0.95)
    views = [photo_of_sphere(eye, constant(*(120 * f,) * 3)) for eye, f in zip(EYES, factors, strict=True)]
    spread = [np.ptp(np.percentile(covered_texels(texture_of(color_mesh(sphere_mesh(), views, c))), (2, 98)))
              for c in (CONFIG, replace(CONFIG, equalize=False))]  # fmt: skip
    assert spread[0] <= 4
    assert spread[1] > 3 * spread[0]


def test_gains_are_recovered_among_shine_and_occlusion() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(40, 150, (500, 3))
    gains = np.array([[1.2, 1.1, 0.9], [0.9, 1.0, 1.1], [1.0, 0.8, 1.3], [0.8, 1.2, 0.8]])
    rgb = (points[None] / gains[:, None]).astype(np.float32)
    odd = random.random((4, 500)) < 0.15
    rgb[odd] = random.uniform(0, 255, (odd.sum(), 3))
    weight = (random.random((4, 500)) < 0.6).astype(np.float32)
    found = photo_gains(rgb, weight)
    ratio = found / gains
    np.testing.assert_allclose(ratio / ratio.mean(axis=0), 1, atol=0.02)
    assert np.array_equal(photo_gains(rgb, np.zeros_like(weight)), np.ones((4, 3)))


def test_what_stands_in_front_leaves_no_colour_behind_it() -> None:
    wall = trimesh.creation.box((4, 4, 0.1)).subdivide_to_size(0.15)
    wall.apply_translation((0, 0, 1))
    both = trimesh.util.concatenate([wall, trimesh.creation.icosphere(subdivisions=3, radius=0.5)])
    grey = np.full((len(both.vertices), 3), 77, np.uint8)
    mesh = Mesh(both.vertices.astype(np.float32), both.faces.astype(np.int32), grey)
    views = []
    for eye in EYES[:2] + EYES[5:6]:
        camera = camera_at(eye)
        _, face = raster_mesh(mesh.vertices, mesh.faces, camera)
        is_ball = mesh.vertices[mesh.faces[:, 0], 2] < 0.6
        colors = np.where(is_ball[face, None] & (face >= 0)[..., None], [250, 0, 0], [0, 0, 250]).astype(np.uint8)
        views.append(View("photo", camera, colors, np.ones((SIDE, SIDE), bool)))
    colored = color_mesh(mesh, views, CONFIG)
    front = np.abs(mesh.vertices[:, 2] - 0.95) < 0.01
    odd = np.abs(colored.vertex_rgb[front] - [0.0, 0, 250]).max(axis=1) > 30
    assert odd.mean() < 0.02  # the ball hides a tenth of the wall from each photo
    assert np.abs(colored.vertex_rgb[mesh.vertices[:, 2] < -0.2] - [250.0, 0, 0]).max() <= 30


def test_one_photo_that_differs_from_the_others_is_outvoted() -> None:
    near = [(0.0, 0.0, -3.0), (0.5, 0.1, -3.0), (-0.5, 0.2, -3.0), (0.1, 0.6, -3.0)]
    views = [photo_of_sphere(eye, constant(60, 120, 60)) for eye in near]
    rgb = views[0].rgb.copy()
    rgb[60:110, 60:110] = [250, 250, 0]  # somebody walks by
    mesh = color_mesh(sphere_mesh(), [replace(views[0], rgb=rgb), *views[1:]], CONFIG)
    middle = (np.abs(mesh.vertices[:, :2]) < 0.3).all(axis=1) & (mesh.vertices[:, 2] < 0)
    assert np.abs(mesh.vertex_rgb[middle] - [60.0, 120, 60]).max() < 25


@pytest.mark.parametrize("part", ["mask", "valid"])
def test_pixels_outside_the_object_and_the_photo_are_not_used(part: str) -> None:
    views = []
    for view in all_photos(constant(60, 60, 60)):
        use = np.ones((SIDE, SIDE), bool)
        use[:, SIDE // 2 :] = False
        rgb = np.where(use[..., None], view.rgb, [0, 255, 0]).astype(np.uint8)
        views.append(replace(view, rgb=rgb, **{part: use}))
    texels = covered_texels(texture_of(color_mesh(sphere_mesh(), views, CONFIG)))
    assert np.percentile(texels[:, 1] - texels[:, 0], 99.9) <= 8  # the pixels beside it are sampled between pixels


def test_vertices_alone_are_coloured_when_no_texture_is_wanted() -> None:
    mesh = color_mesh(sphere_mesh(4), all_photos(), TextureConfig(side_px=0))
    assert mesh.texture is None
    assert np.abs(mesh.vertex_rgb - waves(mesh.vertices)).mean() < 4


def test_depth_of_a_drawn_mesh_is_exact_and_the_nearest_face_wins() -> None:
    mesh, camera = sphere_mesh(5), camera_at((0, 0, -3))
    depth, face = raster_mesh(mesh.vertices, mesh.faces, camera)
    row, column = np.nonzero(face >= 0)
    points = camera.unproject(np.stack([column, row], axis=1) + 0.5, depth[row, column].astype(np.float64))
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 2e-3  # how far faces lie inside of the sphere
    assert (points[:, 2] < 0).all()
    assert (depth[face < 0] == 0).all()
    # A sphere of radius 1 at distance 3 is a disc of radius f / sqrt(8).
    assert len(row) == pytest.approx(np.pi * (180 / np.sqrt(8)) ** 2, rel=0.01)


def test_faces_behind_the_camera_draw_nothing() -> None:
    mesh = sphere_mesh(2)
    _, face = raster_mesh(mesh.vertices, mesh.faces, camera_at((0, 0, -0.5)))
    drawn = np.unique(face[face >= 0])
    assert (mesh.vertices[mesh.faces[drawn]][:, :, 2] > -0.5).all()


def test_charts_do_not_overlap_and_stay_inside() -> None:
    mesh = sphere_mesh(4)  # more faces than one part
    uv, faces = unwrap(mesh.vertices, mesh.faces, np.ones(len(mesh.vertices), np.float32), 512)
    assert uv.min() >= 0
    assert uv.max() <= 1
    a, b, c = (uv[faces[:, k]] * 512 for k in range(3))
    areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    inner = _native.raster_uv(uv, faces, 512)
    owned = np.bincount(inner[1], minlength=len(faces))
    assert areas.sum() > 0.4 * 512**2
    assert (owned >= np.floor(0.5 * areas)).all()  # an overlapped face would own few texels
    corner = np.zeros(len(uv), np.int32)
    corner[faces] = mesh.faces
    assert np.array_equal(corner[faces], mesh.faces)  # a place belongs to one vertex


def test_parts_that_photos_resolve_finer_get_more_texels() -> None:
    mesh = sphere_mesh(4)
    scale = np.where(mesh.vertices[:, 0] > 0, 3, 1).astype(np.float32)
    uv, faces = unwrap(mesh.vertices, mesh.faces, scale, 512)
    a, b, c = (uv[faces[:, k]] for k in range(3))
    areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    x = mesh.vertices[mesh.faces][:, :, 0]
    assert areas[(x > 0.3).all(axis=1)].mean() > 4 * areas[(x < -0.3).all(axis=1)].mean()


def test_quality_falls_towards_the_border_and_towards_depth_steps() -> None:
    view, mesh = photo_of_sphere(EYES[0]), sphere_mesh()
    quality = photo_of_mesh(view, mesh.vertices, mesh.faces).quality
    assert quality[80, 80] == 1
    depth, _ = raster_mesh(mesh.vertices, mesh.faces, view.camera)
    rim = np.flatnonzero(depth[80])[0]
    assert quality[80, rim] <= 1e-3 < quality[80, rim + 3]
    assert 0 < quality[0, 80] < 0.2


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one view"):
        color_mesh(sphere_mesh(1), [], CONFIG)
    with pytest.raises(ValueError, match="side_px"):
        TextureConfig(side_px=-1)
    with pytest.raises(ValueError, match="does not exist"):
        raster_mesh(np.zeros((2, 3), np.float32), np.array([[0, 1, 2]], np.int32), camera_at((0, 0, -3)))
    with pytest.raises(ValueError, match="uv must lie"):
        _native.raster_uv(np.full((3, 2), np.nan, np.float32), np.array([[0, 1, 2]], np.int32), 8)
