"""Fuse depth maps into a truncated signed distance field on sparse blocks of voxels.

The field holds, per voxel, the weighted mean of the signed distances along the rays that saw it [1], and is kept only
in blocks of 8 x 8 x 8 voxels near a measured surface [2].

[1] Curless & Levoy, A Volumetric Method for Building Complex Models from Range Images, 1996.
[2] Niessner et al., Real-time 3D Reconstruction at Scale using Voxel Hashing, 2013.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import recon._native as _native
from recon.progress import Progress, no_progress
from splatting.camera import Camera

BLOCK_SIZE: int = _native.BLOCK_SIZE
VOXELS_PER_BLOCK = BLOCK_SIZE**3
BYTES_PER_BLOCK = VOXELS_PER_BLOCK * 6 * 4  # distance, weight and four colour sums, float32
_KEY_BIAS = 1 << 20  # block coordinates must lie in [-2^20, 2^20); as in the kernel
_BLOCKS_PER_CALL = 4096  # so that progress is reported several times a second


@dataclass(frozen=True)
class FusionView:
    """What one camera contributes to a fusion.

    Attributes:
        camera: its size is that of the arrays.
        depth: [H, W] float32, z in the camera frame; 0 where there is none.
        rgb: [H, W, 3] uint8.
        weight: [H, W] float32, >= 0; pixels of weight 0 are ignored.
    """

    camera: Camera
    depth: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for name, shape in (("depth", size), ("rgb", (*size, 3)), ("weight", size)):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} must be {list(shape)}, got {list(np.shape(getattr(self, name)))}")
        if not np.isfinite(self.depth).all() or not np.isfinite(self.weight).all():
            raise ValueError("depth and weight must be finite")


@dataclass(frozen=True)
class TsdfVolume:
    """A truncated signed distance field on B sparse blocks, sorted by block coordinates.

    Voxel (i, j, k) of the block at `c` lies at `voxel_size * (8 c + (i, j, k))` in the world frame.

    Attributes:
        blocks: block coordinates [B, 3] int32.
        distance: [B, 512] float32 in [-1, 1], in units of `truncation`, positive in front of surfaces.
        weight: [B, 512] float32, 0 where no view saw the voxel.
        color_sum: [B, 512, 4] float32, weighted sum of RGB in [0, 255] and the sum of the weights.
        voxel_size: world units.
        truncation: world units.
    """

    blocks: NDArray[np.int32]
    distance: NDArray[np.float32]
    weight: NDArray[np.float32]
    color_sum: NDArray[np.float32]
    voxel_size: float
    truncation: float

    def __len__(self) -> int:
        return len(self.blocks)


def num_threads() -> int:
    """Threads of the kernels: as many as torch takes."""
    return torch.get_num_threads()


def surface_blocks(views: Sequence[FusionView], voxel_size: float, truncation: float) -> NDArray[np.int32]:
    """Coordinates [B, 3] of the blocks within the truncation distance of a depth map, sorted; B may be 0.

    Raises:
        ValueError: the voxels are so small that the scene does not fit into 2^20 blocks either way.
    """
    if not (voxel_size > 0 and truncation > 0):
        raise ValueError(f"voxel_size and truncation must be positive, got {voxel_size} and {truncation}")
    keys = [np.empty(0, np.int64)]
    for view in views:
        camera, depth = view.camera, np.where(view.weight > 0, view.depth, 0).astype(np.float32)
        _check_reach(view, voxel_size)
        keys.append(
            np.unique(
                _native.touched_blocks(depth, camera.K, camera.cam_from_world, voxel_size, truncation, num_threads())
            )
        )
    merged = np.unique(np.concatenate(keys))
    mask = (1 << 21) - 1
    return (np.stack([merged >> 42, merged >> 21 & mask, merged & mask], axis=1) - _KEY_BIAS).astype(np.int32)


def _check_reach(view: FusionView, voxel_size: float) -> None:
    camera = view.camera
    corner_stretch = np.linalg.norm([camera.width / camera.K[0, 0], camera.height / camera.K[1, 1], 1.0])
    reach = np.abs(camera.center).max() + float(view.depth.max(initial=0)) * corner_stretch
    if reach / (voxel_size * BLOCK_SIZE) > _KEY_BIAS - 2:
        raise ValueError(f"voxel_size {voxel_size} is too small for a scene that reaches {reach:.3g} from the origin")


def fuse(
    views: Sequence[FusionView],
    voxel_size: float,
    truncation: float,
    progress: Progress = no_progress,
    *,
    free_weight: float = 1.0,
    blocks: NDArray[np.int32] | None = None,
) -> TsdfVolume:
    """Fuse depth maps.

    The result is the same for any number of threads. Memory is `BYTES_PER_BLOCK` for each of `surface_blocks`.

    Args:
        views: depth maps with colours and weights; K without skew. May be empty.
        voxel_size: side of a voxel, world units.
        truncation: distances along the ray are cut off here, world units; a few voxels.
        free_weight: how much a view's weight counts at voxels that it looks through, farther than `truncation` in front
            of what it sees.
        blocks: the blocks to fill [B, 3], sorted as `surface_blocks` sorts them; all of those if None.

    Returns:
        The field; empty if no pixel has a depth and a weight.
    """
    blocks = surface_blocks(views, voxel_size, truncation) if blocks is None else blocks
    n = len(blocks)
    distance = np.zeros((n, VOXELS_PER_BLOCK), np.float32)
    weight = np.zeros((n, VOXELS_PER_BLOCK), np.float32)
    color_sum = np.zeros((n, VOXELS_PER_BLOCK, 4), np.float32)
    total = len(views) * n
    for view_idx, view in enumerate(views):
        depth, rgb, view_weight = map(np.ascontiguousarray, (view.depth, view.rgb, view.weight))
        for begin in range(0, n, _BLOCKS_PER_CALL):
            part = slice(begin, begin + _BLOCKS_PER_CALL)
            progress(view_idx * n + begin, total, "Fusing depth maps")
            _native.integrate(
                depth, rgb, view_weight, view.camera.K, view.camera.cam_from_world, blocks[part],
                voxel_size, truncation, free_weight, distance[part], weight[part], color_sum[part], num_threads(),
            )  # fmt: skip
    np.divide(distance, weight, out=distance, where=weight > 0)
    progress(total, total, "Fusing depth maps")
    return TsdfVolume(blocks, distance, weight, color_sum, voxel_size, truncation)


def surface(
    volume: TsdfVolume, min_weight: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8]]:
    """Extract the zero level of a field by surface nets.

    A cell carries surface only if all its eight corners were seen with more than `min_weight`, so surfaces stay open
    at the border of what was seen. Surface nets rather than marching cubes: one vertex a cell shared by its
    neighbours needs no stitching across blocks and gives fewer slivers.

    Returns:
        Vertices [V, 3] in the world frame, faces [F, 3] counter-clockwise from the positive side, colours [V, 3].

    [1] Gibson, Constrained Elastic Surface Nets, 1998.
    """
    return _native.surface_nets(
        volume.blocks, _neighbors(volume.blocks), volume.distance, volume.weight, volume.color_sum,
        volume.voxel_size, min_weight, num_threads(),
    )  # fmt: skip


def _neighbors(blocks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Index of the block at each of the offsets {0, 1}^3 [B, 8] (x slowest), -1 where there is none."""
    keys = _keys(blocks.astype(np.int64))
    columns = []
    for offset in np.ndindex(2, 2, 2):
        wanted = _keys(blocks.astype(np.int64) + offset)
        found = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
        columns.append(np.where(keys[found] == wanted, found, -1) if len(keys) else found)
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.int32)


def _keys(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    biased = blocks + _KEY_BIAS
    return biased[:, 0] << 42 | biased[:, 1] << 21 | biased[:, 2]


def faces_seen(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], views: Sequence[FusionView], tolerance: float
) -> NDArray[np.bool_]:
    """Faces [F] of which some view sees the front, at its measured depth up to `tolerance` (world units, along z).

    Depth of weight 0 sees nothing.
    """
    seen = np.zeros(len(faces), np.uint8)
    vertices, faces = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
    for view in views:
        _native.faces_seen(
            np.ascontiguousarray(view.depth), np.ascontiguousarray(view.weight),
            view.camera.K, view.camera.cam_from_world, vertices, faces, tolerance, seen, num_threads(),
        )  # fmt: skip
    return seen.astype(bool)


def count_agreement(
    views: Sequence[FusionView], tolerance: float, progress: Progress = no_progress
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Compare every depth map with all others.

    Args:
        tolerance: largest relative difference of two depths of one surface.

    Returns:
        For each view how many others show the same surface at a pixel [H, W], and how many look through it [H, W].
        Others that see something in front of it, or nothing, count as neither.
    """
    counts = []
    for a_idx, a in enumerate(views):
        progress(a_idx, len(views), "Comparing depth maps")
        agreeing, conflicting = np.zeros(a.depth.shape, np.uint8), np.zeros(a.depth.shape, np.uint8)
        for b in views:
            if b is not a:
                _native.compare_depths(
                    np.ascontiguousarray(a.depth), a.camera.K, a.camera.cam_from_world,
                    np.ascontiguousarray(b.depth), b.camera.K, b.camera.cam_from_world,
                    tolerance, agreeing, conflicting, num_threads(),
                )  # fmt: skip
        counts.append((agreeing, conflicting))
    return counts
