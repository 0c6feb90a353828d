"""From exact depth, and from Gaussians on a sphere, to a mesh that is the sphere."""

import json
from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
import trimesh
from analytic_depth import SIX_SIDES, camera_at, plane_view, sphere_depth, sphere_view
from scipy.spatial import cKDTree

from recon.errors import ReconError
from recon.fusion import BYTES_PER_BLOCK, FusionView
from recon.mesh_config import MeshConfig
from recon.mesh_depth import incidence_cosine, merge_depths, near_verified, surface_depth, weigh
from recon.mesh_simplify import drop_thin
from recon.meshing import choose_levels, extract_mesh, mesh_from_depths
from recon.scene import DepthMap, Mesh, View
from splatting.gaussians import Gaussians, Splats
from splatting.rasterizer import Render, create
from tests.photo_sets import scene_dir


def sphere_of_gaussians(n: int = 3000) -> Gaussians:
    """Opaque flat blobs on the unit sphere."""
    directions = np.random.default_rng(0).standard_normal((n, 3))
    means = torch.tensor(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=torch.float32)
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(n, 1)
    sh = torch.tensor([0.9, -0.4, -1.1]).repeat(n, 1, 1)
    return Gaussians(means, torch.full((n, 3), float(np.log(0.03))), quats, torch.full((n,), 4.0), sh)


def sphere_views(heldout: tuple[int, ...] = ()) -> list[View]:
    views = []
    for idx, eye in enumerate(SIX_SIDES):
        seen = sphere_view(eye)
        views.append(View(f"{idx}.png", seen.camera, seen.rgb, np.ones(seen.depth.shape, bool), None, idx in heldout))
    return views


def no_rasterizer(splats: Splats, camera: object, **options: object) -> Render:
    raise AssertionError("must not render")


def signed_volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", np.cross(a, b), c).sum() / 6)


def test_exact_depth_of_a_sphere_gives_the_sphere_with_outward_faces() -> None:
    mesh = mesh_from_depths([sphere_view(eye) for eye in SIX_SIDES], MeshConfig(max_faces=5000))
    assert 4000 < len(mesh.faces) <= 5000
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(radius - 1).mean() < 0.005
    assert signed_volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.03)
    assert (np.abs(mesh.vertex_rgb.astype(int) - [200, 100, 50]) <= 1).all()


def test_every_vertex_is_used_and_no_face_is_degenerate() -> None:
    mesh = mesh_from_depths([sphere_view(eye) for eye in SIX_SIDES], MeshConfig(max_faces=3000))
    assert set(mesh.faces.ravel().tolist()) == set(range(len(mesh.vertices)))
    assert len(drop_thin(mesh).faces) == len(mesh.faces)
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert mesh.vertex_rgb.dtype == np.uint8


def test_verified_stereo_alone_makes_the_mesh_and_heldout_views_do_not() -> None:
    views = sphere_views(heldout=(5,))
    stereo = []
    for view in views:
        depth = sphere_depth(view.camera, radius=1.0 if not view.is_heldout else 1.3)
        agreeing = np.where(np.arange(depth.shape[1]) < 110, 2, 0).astype(np.uint8) * np.ones_like(depth, np.uint8)
        stereo.append(DepthMap(np.where(agreeing > 0, depth, 77.0).astype(np.float32), np.ones_like(depth), agreeing))
    config = MeshConfig(depth="stereo", max_grazing_deg=85)
    empty = sphere_of_gaussians(1).select(torch.zeros(1, dtype=torch.bool))
    mesh = extract_mesh(empty, views, config, rasterizer=no_rasterizer, stereo_depths=stereo)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(radius - 1).max() < 0.05  # neither the unverified 77 nor the held-out 1.3


def test_rendered_gaussians_on_a_sphere_give_the_sphere() -> None:
    config = MeshConfig(depth="gaussians", truncation_voxels=4, max_faces=20_000)
    mesh = extract_mesh(sphere_of_gaussians(), sphere_views(), config, rasterizer=create("cpu"))
    radius = np.linalg.norm(mesh.vertices, axis=1)
    # Blobs of 0.03: what is visible lies up to two deviations in front of their centres.
    assert abs(np.median(radius) - 1.01) < 0.02
    assert np.quantile(np.abs(radius - 1), 0.95) < 0.06
    assert signed_volume(mesh) > 3.4  # 3.45 before simplification


def test_what_lies_outside_the_object_mask_is_left_out() -> None:
    views = [replace(view, mask=np.arange(160)[None, :].repeat(120, axis=0) < 80) for view in sphere_views()[:1]]
    depth = sphere_depth(views[0].camera)
    stereo = [DepthMap(depth, np.ones_like(depth), np.full(depth.shape, 2, np.uint8))]
    config = MeshConfig(depth="stereo")
    empty = sphere_of_gaussians(1).select(torch.zeros(1, dtype=torch.bool))
    mesh = extract_mesh(empty, views, config, rasterizer=no_rasterizer, stereo_depths=stereo)
    in_image, _ = views[0].camera.project(mesh.vertices)
    assert in_image[:, 0].max() < 81


def test_loose_pieces_are_dropped() -> None:
    view = sphere_view((0, 0, 3))
    depth = view.depth.copy()
    depth[2:6, 2:6] = 2.0  # a speck beside the sphere
    mesh = mesh_from_depths(
        [replace(view, depth=depth, weight=(depth > 0).astype(np.float32))], MeshConfig(min_component_share=0.05)
    )
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1).max() < 0.1


def test_voxels_grow_until_the_field_fits_into_memory() -> None:
    views = [sphere_view(eye) for eye in SIX_SIDES]
    free, _ = choose_levels(views, MeshConfig(voxel_px=0.5))
    bounded, blocks = choose_levels(views, MeshConfig(voxel_px=0.5, memory_mb=16))
    assert bounded.voxel_size > free.voxel_size
    assert max(map(len, blocks)) * BYTES_PER_BLOCK <= 16e6


def test_incidence_is_exact_on_a_plane() -> None:
    view = plane_view((1.5, 0, 2.5))
    u, v = np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(view.camera.K).T @ view.camera.R
    expected = np.abs(rays[..., 2]) / np.linalg.norm(rays, axis=-1)
    # float32 inverse depth over steps of 2 px: 1e-7 / 2e-3 relative
    np.testing.assert_allclose(incidence_cosine(view.depth, view.camera)[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-3)


def test_pixels_beside_a_depth_step_keep_their_incidence() -> None:
    view = plane_view((0, 0, 3))
    depth = view.depth.copy()
    depth[:, 80:] *= 2
    cosine = incidence_cosine(depth, view.camera)
    exact = incidence_cosine(view.depth, view.camera)
    np.testing.assert_allclose(cosine[:, 70:90], exact[:, 70:90], atol=0.02)


def test_depth_that_others_look_through_weighs_next_to_nothing() -> None:
    views = [plane_view((0, 0, 3)), plane_view((1, 0, 3))]
    depth = views[0].depth.copy()
    depth[50:60, 80:90] *= 0.8
    weights = weigh([replace(views[0], depth=depth), views[1]], tolerance=0.015, max_grazing_deg=80, lone_weight=0.25)[
        0
    ].weight
    assert (weights[52:58, 82:88] < 0.02).all()
    assert (weights[10:40, 60:100] > 0.5).all()


def test_surface_depth_is_expected_depth_where_unmixed_else_median() -> None:
    alpha = torch.tensor([[1.0, 1.0, 0.4]])
    depth = surface_depth(
        Render(torch.zeros(1, 3, 3), alpha, torch.tensor([[2.01, 2.5, 0.8]]), torch.full((1, 3), 2.0), torch.zeros(0))
    )
    np.testing.assert_allclose(depth, [[2.01, 2.0, 0.0]], rtol=1e-6)


def test_views_without_depth_are_an_error_the_user_can_mend() -> None:
    with pytest.raises(ReconError, match="No surface") as caught:
        extract_mesh(
            sphere_of_gaussians().select(torch.zeros(3000, dtype=torch.bool)), sphere_views(), rasterizer=no_rasterizer
        )
    assert caught.value.hint


def test_stereo_that_does_not_fit_the_views_is_refused() -> None:
    with pytest.raises(ValueError, match="stereo_depths"):
        extract_mesh(sphere_of_gaussians(), sphere_views(), rasterizer=no_rasterizer, stereo_depths=[])
    with pytest.raises(ValueError, match="stereo"):
        extract_mesh(sphere_of_gaussians(), sphere_views(), MeshConfig(depth="stereo"), rasterizer=no_rasterizer)


@pytest.mark.parametrize(
    ("name", "value"), [("depth", "lidar"), ("voxel_px", 0.0), ("max_faces", 1), ("min_alpha", 2.0)]
)
def test_absurd_settings_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        MeshConfig(**{name: value})


@pytest.mark.data
def test_true_depth_of_a_statue_gives_its_true_mesh() -> None:
    folder = scene_dir("cat_statue")
    meta = json.loads((folder / "cameras.json").read_text())
    names = json.loads((folder / "splits.json").read_text())["splits"]["6"]["train"]
    views = []
    for image in meta["images"]:
        if image["file"].split("/")[-1] not in [name.split("/")[-1] for name in names]:
            continue
        depth = imageio.imread(folder / image["depth"]).astype(np.float32) / meta["depth"]["scale"]
        camera = replace(
            camera_at((0, 0, 1)),
            K=np.diag([image["fx"], image["fy"], 1.0]),
            width=image["width"],
            height=image["height"],
        )
        camera.K[:2, 2] = image["cx"], image["cy"]
        camera.cam_from_world[:3] = image["w2c"]
        depth[depth > 3 * np.median(depth)] = 0
        size = depth.shape
        views.append(
            FusionView(
                camera.resized(size[1], size[0]), depth, np.zeros((*size, 3), np.uint8), (depth > 0).astype(np.float32)
            )
        )
    assert len(views) == 6
    mesh = mesh_from_depths(
        weigh(views, tolerance=0.015, max_grazing_deg=80, lone_weight=0.25), MeshConfig(memory_mb=100)
    )
    truth = trimesh.load(folder / "mesh_gt.ply", process=False)
    low, high = np.array(meta["object_bbox"])
    on_object = ((mesh.vertices > low + 0.02) & (mesh.vertices < high)).all(axis=1)
    samples = cKDTree(trimesh.sample.sample_surface(truth, 400_000, seed=0)[0])
    distance = samples.query(mesh.vertices[on_object])[0]
    assert on_object.sum() > 1000
    assert np.median(distance) < 0.005 * meta["object_diagonal"]  # samples of the truth lie 0.3 % apart


def test_verified_stereo_goes_before_rendered_depth() -> None:
    stereo = np.array([[2.0, 2.0, 2.0, 0.0, 0.0]], np.float32)
    rendered = np.array([[2.02, 3.0, 0.0, 1.5, 0.0]], np.float32)
    depth, is_certain = merge_depths(stereo, rendered)
    np.testing.assert_array_equal(depth, np.float32([[2.0, 2.0, 2.0, 1.5, 0.0]]))
    assert is_certain.tolist() == [[True, True, True, False, False]]


def test_rendered_depth_is_believed_only_near_what_two_photos_agree_on() -> None:
    verified = np.zeros((40, 60), np.float32)
    verified[:, :20] = 2.0
    kept = near_verified(np.full((40, 60), 3.0, np.float32), verified, reach=8.0)
    assert (kept[:, :28] == 3).all()
    assert (kept[:, 28:] == 0).all()
    assert (near_verified(np.full((40, 60), 3.0, np.float32), np.zeros_like(verified), reach=8.0) == 0).all()


def test_guesses_far_from_verified_depth_leave_the_mesh_open() -> None:
    views, stereo = sphere_views(), []
    for view in views:
        depth = sphere_depth(view.camera)
        depth[depth.shape[0] // 2 :] = 0
        stereo.append(DepthMap(depth, np.ones_like(depth), np.full(depth.shape, 2, np.uint8)))
    areas = []
    for reach in (0.02, 1.0):
        mesh = extract_mesh(
            sphere_of_gaussians(),
            views,
            MeshConfig(guess_reach=reach),
            rasterizer=create("cpu"),
            stereo_depths=stereo,
        )
        areas.append(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).area / (4 * np.pi))
    assert areas[0] < 0.9
    assert areas[1] > 0.97


def test_a_closed_mesh_is_watertight_and_leaves_the_room_out() -> None:
    views = sphere_views()
    stereo = []
    for view in views:
        depth = sphere_depth(view.camera)
        depth = np.where(depth > 0, depth, 12.0).astype(np.float32)
        stereo.append(DepthMap(depth, np.ones_like(depth), np.full(depth.shape, 2, np.uint8)))
    config = MeshConfig(depth="stereo", closed=True, max_faces=20_000)
    empty = sphere_of_gaussians(1).select(torch.zeros(1, dtype=torch.bool))
    mesh = extract_mesh(empty, views, config, rasterizer=no_rasterizer, stereo_depths=stereo)
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight
    assert len(mesh.faces) <= 20_000
    assert np.quantile(np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1), 0.9) < 0.03
