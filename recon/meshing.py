"""From Gaussians to a triangle mesh: rendered and verified depth, fused, contoured, cleaned, decimated."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from recon.errors import ReconError
from recon.fusion import BYTES_PER_BLOCK, FusionView, faces_seen, fuse, surface
from recon.mesh_between import between_views
from recon.mesh_closing import close_mesh
from recon.mesh_config import MeshConfig
from recon.mesh_depth import merge_depths, near_verified, rendered_depths, usable_depth, verified_depth, weigh
from recon.mesh_levels import Levels, footprints, level_blocks, split_by_level
from recon.mesh_repair import fill_holes, smooth
from recon.mesh_simplify import drop_thin, simplify, turn_slivers, used_part
from recon.progress import Progress, no_progress
from recon.scene import DepthMap, Mesh, View
from recon.visual_hull import cut_to_hull, silhouettes_of
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

log = logging.getLogger(__name__)

# What photos are taken of is nearer than the room around it: a quarter of the pixels shows it.
_FOREGROUND_QUANTILE = 0.25
_CENTRAL_SHARE = 0.9  # of a photo's width and height: what lies in there in all photos is what they were taken of
_STRAY_SHARE = 0.002  # of its vertices at either end of each axis that do not count for its size


def extract_mesh(
    gaussians: Gaussians,
    views: Sequence[View],
    config: MeshConfig | None = None,
    *,
    rasterizer: Rasterizer,
    stereo_depths: Sequence[DepthMap] | None = None,
    progress: Progress = no_progress,
) -> Mesh:
    """Make a mesh of what the training views see.

    Surfaces stay open where no view saw them. Held-out views are not used. Where views have masks, the mesh is that of
    the object alone: what lies inside every mask.

    Args:
        gaussians: the fitted scene, world frame.
        views: undistorted views; held-out ones are ignored.
        stereo_depths: one for each of `views`, at the size of its photo; None if there was no stereo.

    Returns:
        A coloured mesh in the world frame, counter-clockwise from outside, without degenerate faces.

    Raises:
        ReconError: no two views agree on any surface.
        ValueError: `stereo_depths` does not fit `views`, or is missing when `config.depth` is "stereo".
    """
    config = config or MeshConfig()
    fusion_views = depths_to_fuse(
        gaussians, views, config, rasterizer=rasterizer, stereo_depths=stereo_depths, progress=progress
    )
    mesh = mesh_from_depths(fusion_views, config, progress)
    if not config.closed:
        return mesh
    training = [view for view in views if not view.is_heldout]
    return close_mesh(
        mesh,
        fusion_views,
        _object_box(mesh, training),
        silhouettes=silhouettes_of(training),
        max_faces=config.max_faces,
        progress=progress,
    )


def _object_box(mesh: Mesh, views: Sequence[View]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner [3] around what lies in the middle of all photos; around everything if all have masks.

    Raises:
        ReconError: nothing does.
    """
    xyz = mesh.vertices.astype(np.float64)
    if any(view.mask is None for view in views):
        is_central = np.ones(len(xyz), bool)
        for view in views:
            pixels, depth = view.camera.project(xyz)
            size = np.array([view.camera.width, view.camera.height])
            is_central &= (depth > 0) & (np.abs(pixels / size - 0.5) < _CENTRAL_SHARE / 2).all(axis=1)
        xyz = xyz[is_central]
    if len(xyz) == 0:
        raise ReconError(
            "No part of the scene lies in the middle of all photos, so it is unknown what to close.",
            "Give masks of the object, or leave out mesh.closed.",
        )
    low, high = np.quantile(xyz, [_STRAY_SHARE, 1 - _STRAY_SHARE], axis=0)
    return low, high


def depths_to_fuse(
    gaussians: Gaussians,
    views: Sequence[View],
    config: MeshConfig,
    *,
    rasterizer: Rasterizer,
    stereo_depths: Sequence[DepthMap] | None = None,
    progress: Progress = no_progress,
) -> list[FusionView]:
    """The depth maps that `extract_mesh` fuses, weighted: those of the training views, then those between them."""
    if stereo_depths is not None and len(stereo_depths) != len(views):
        raise ValueError(f"stereo_depths must be one for each of {len(views)} views, got {len(stereo_depths)}")
    if stereo_depths is None and config.depth == "stereo":
        raise ValueError("depth is 'stereo' but there are no stereo_depths")
    training = [idx for idx, view in enumerate(views) if not view.is_heldout]
    stereo = [np.zeros(views[idx].rgb.shape[:2], np.float32) for idx in training]
    if config.depth == "gaussians":
        stereo_depths = None
    if stereo_depths is not None:
        stereo = [verified_depth(stereo_depths[idx], config.min_agreeing) for idx in training]
    rendered = [np.zeros_like(depth) for depth in stereo]
    if config.depth != "stereo" and len(gaussians):
        cameras = [views[idx].camera for idx in training]
        rendered = rendered_depths(gaussians, cameras, rasterizer, min_alpha=config.min_alpha, progress=progress)
    merged, certain = [], []
    for idx, verified, render in zip(training, stereo, rendered, strict=True):
        if stereo_depths is not None:
            render = near_verified(render, verified, config.guess_reach * max(render.shape))
        far = config.far_factor * _median_depth(verified if (verified > 0).any() else render)
        depth, is_confirmed = merge_depths(verified, render)
        weight = np.where(is_confirmed, 1.0, config.lone_source_weight).astype(np.float32)
        merged.append(FusionView(views[idx].camera, usable_depth(views[idx], depth, far=far), views[idx].rgb, weight))
        certain.append(replace(merged[-1], depth=np.where(is_confirmed, merged[-1].depth, np.float32(0))))
    silhouettes = silhouettes_of([views[idx] for idx in training])
    weighted = weigh(
        cut_to_hull(merged, silhouettes),
        tolerance=config.agreement,
        max_grazing_deg=config.max_grazing_deg,
        lone_weight=config.lone_weight,
        progress=progress,
    )
    if config.depth != "both" or config.between_weight == 0:
        return weighted
    between = between_views(
        gaussians, certain, rasterizer, weight=config.between_weight, min_alpha=config.min_alpha, progress=progress
    )
    return [*weighted, *cut_to_hull(between, silhouettes)]


def _median_depth(depth: NDArray[np.float32]) -> float:
    return float(np.median(depth[depth > 0])) if (depth > 0).any() else 0.0


def mesh_from_depths(
    views: Sequence[FusionView], config: MeshConfig | None = None, progress: Progress = no_progress
) -> Mesh:
    """Fuse weighted depth maps and turn the zero level into a clean, coloured mesh.

    Raises:
        ReconError: there is no surface.
    """
    config = config or MeshConfig()
    no_surface = ReconError(
        "No surface was found for a mesh.", "Add photos that show the same parts from neighbouring places."
    )
    if not any((view.depth * view.weight > 0).any() for view in views):
        raise no_surface
    vertices, faces, rgb = _surface_by_levels(views, config, progress)
    progress(2, 4, "Removing loose pieces")
    faces = faces[_in_large_component(faces, len(vertices), config.min_component_share)]
    if len(faces) == 0:
        raise no_surface
    progress(3, 4, "Simplifying the mesh")
    cameras = [view.camera for view in views]
    mesh = used_part(vertices, faces, rgb)
    mesh = fill_holes(mesh, lambda xyz: config.max_hole_px * footprints(xyz, cameras))
    # Errors count as photos show them: in pixels.
    mesh = simplify(smooth(mesh, config.smoothing), config.max_faces, 1 / footprints(mesh.vertices, cameras))
    mesh = drop_thin(turn_slivers(mesh))
    progress(4, 4, "Simplifying the mesh")
    log.info("mesh: %d faces before and %d after simplification", len(faces), len(mesh.faces))
    return mesh


def _surface_by_levels(
    views: Sequence[FusionView], config: MeshConfig, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8]]:
    """Vertices, faces and colours of what the views see the front of, level by level."""
    levels, blocks = choose_levels(views, config)
    parts, first = [], 0
    for level, own_blocks in enumerate(blocks):
        if len(own_blocks) == 0:
            continue
        voxel_size = levels.voxel_of(level)
        truncation = config.truncation_voxels * voxel_size
        volume = fuse(views, voxel_size, truncation, progress, free_weight=config.free_weight, blocks=own_blocks)
        progress(0, 4, "Extracting the surface")
        vertices, faces, rgb = surface(volume)
        log.info("level %d: voxels of %.4g, %d blocks, %d faces", level, voxel_size, len(volume), len(faces))
        del volume
        progress(1, 4, "Removing what no view sees")
        faces = faces[levels.contains(footprints(vertices, levels.cameras), level)[faces].all(axis=1)]
        # What is left out is the far side of the band behind a surface, which free space seen beside it can uncover.
        faces = faces[faces_seen(vertices, faces, views, truncation)]
        parts.append((vertices, faces + np.int32(first), rgb))
        first += len(vertices)
    vertices, faces, rgb = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return vertices, faces, rgb


def choose_levels(views: Sequence[FusionView], config: MeshConfig) -> tuple[Levels, list[NDArray[np.int32]]]:
    """How fine voxels are, and the blocks of each level.

    Foreground voxels are `voxel_px` wide, wider if the blocks of some level would not fit into `memory_mb`.
    """
    cameras = tuple(view.camera for view in views)
    seen = [
        view.depth[(view.depth > 0) & (view.weight > 0)] / np.sqrt(view.camera.K[0, 0] * view.camera.K[1, 1])
        for view in views
    ]
    footprint = float(np.quantile(np.concatenate(seen), _FOREGROUND_QUANTILE))
    levels = Levels(cameras, footprint, config.voxel_px * footprint)
    budget = config.memory_mb * 1e6 / BYTES_PER_BLOCK
    parts = split_by_level(views, levels)
    while (count := max(map(len, blocks := level_blocks(parts, levels, config.truncation_voxels)))) > budget:
        # The number of blocks near surfaces falls with the square of their side; the margin keeps the loop short.
        levels = replace(levels, voxel_size=levels.voxel_size * 1.02 * np.sqrt(count / budget))
        log.info("%d blocks exceed the memory budget; voxels of %.4g instead", count, levels.voxel_size)
    return levels, blocks


def _in_large_component(faces: NDArray[np.int32], num_vertices: int, min_share: float) -> NDArray[np.bool_]:
    """Faces [F] that belong to a connected piece with at least `min_share` of the faces of the largest."""
    if len(faces) == 0:
        return np.zeros(0, bool)
    a, b = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), shape=(num_vertices, num_vertices))
    label = connected_components(graph, directed=False)[1][faces[:, 0]]
    count = np.bincount(label)
    return count[label] >= min_share * count.max()
