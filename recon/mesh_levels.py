"""Voxels that grow with the distance: near things are meshed finely, far ones as coarsely as photos show them.

Space is cut into levels by the footprint of a pixel there, that of the camera that comes nearest: level l has
footprints of 2^l to 2^(l + 1) times the foreground's, and voxels 2^l times as wide. So a far background costs little,
and the memory goes to what the photos were taken of. The levels are fused one after the other and overlap a little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon.fusion import FusionView, surface_blocks
from splatting.camera import Camera

MAX_LEVELS = 6
OVERLAP = 1.02  # levels overlap by this factor of the footprint, so that no crack shows where they meet


@dataclass(frozen=True)
class Levels:
    """How voxels grow.

    Attributes:
        cameras: those whose pixels are meant.
        footprint: width of a pixel in the foreground, world units.
        voxel_size: side of a voxel of level 0, world units.
        num_levels: the last one reaches to infinity.
    """

    cameras: tuple[Camera, ...]
    footprint: float
    voxel_size: float
    num_levels: int = MAX_LEVELS

    def voxel_of(self, level: int) -> float:
        """Side of a voxel of a level, world units."""
        return self.voxel_size * 2**level

    def contains(self, footprint: NDArray[np.floating], level: int) -> NDArray[np.bool_]:
        """Which places [N] belong to a level, the overlap included, by the `footprints` there."""
        above = footprint * OVERLAP >= self.footprint * 2.0**level if level else np.ones(len(footprint), bool)
        is_last = level + 1 == self.num_levels
        return above & (is_last | (footprint < self.footprint * 2.0 ** (level + 1) * OVERLAP))


def footprints(xyz: NDArray[np.floating], cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """Width of a pixel at points [N, 3] of the world, the smallest of all cameras, whatever they look at [N]."""
    smallest = np.full(len(xyz), np.inf)
    for camera in cameras:
        distance = np.linalg.norm(xyz - camera.center, axis=1)
        np.minimum(smallest, distance / np.sqrt(camera.K[0, 0] * camera.K[1, 1]), out=smallest)
    return smallest


def split_by_level(views: Sequence[FusionView], levels: Levels) -> list[list[FusionView]]:
    """For each level the views with the depth that lies in it."""
    parts: list[list[FusionView]] = [[] for _ in range(levels.num_levels)]
    for view in views:
        row, column = np.nonzero((view.depth > 0) & (view.weight > 0))
        xyz = view.camera.unproject(np.stack([column + 0.5, row + 0.5], axis=1), view.depth[row, column].astype(float))
        footprint = footprints(xyz, levels.cameras)
        for level, part in enumerate(parts):
            here = levels.contains(footprint, level)
            depth = np.zeros_like(view.depth)
            depth[row[here], column[here]] = view.depth[row[here], column[here]]
            if here.any():
                part.append(replace(view, depth=depth))
    return parts


def level_blocks(
    parts: Sequence[Sequence[FusionView]], levels: Levels, truncation_voxels: float
) -> list[NDArray[np.int32]]:
    """For each level the blocks [B, 3] near what the views show of it, as `split_by_level` gives them."""
    sizes = [levels.voxel_of(level) for level in range(levels.num_levels)]
    return [surface_blocks(part, size, truncation_voxels * size) for part, size in zip(parts, sizes, strict=True)]
