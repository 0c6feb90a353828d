"""What the Clean step draws and measures of a scene: plain functions for its worker, no Qt."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splatting.selection import Mask

if TYPE_CHECKING:  # torch takes a second to load
    from recon.clean_project import CleanScene
    from recon.evaluation.view_check import ViewCheck
    from splatting.camera import Camera
    from splatting.gaussians import Gaussians, Splats

COVERAGE_RGB = ((0.35, 0.05, 0.45), (0.85, 0.15, 0.35), (1.0, 0.6, 0.1), (0.95, 0.95, 0.6))
"""Seen by no photo, by one, by two, by three and more: dark to bright, so that brightness alone tells."""
DEPTH_SIDE_PX = 320  # of the depth that brushes and front parts go by
CHECK_SIDE_PX = 640  # of views that are compared with the photos, which are reduced to this as well


def surface_depth(scene: "CleanScene", removed: Mask, camera: "Camera") -> NDArray[np.float32]:
    """Depth of the surface of what is left [H, W], small; 0 where there is none."""
    import torch

    from splatting.rasterize_native import rasterize
    from splatting.rasterizer import RenderOptions

    with torch.no_grad():
        drawn = rasterize(_left(scene, removed), _fitting(camera, DEPTH_SIDE_PX), options=RenderOptions(sh_degree=0))
        depth: NDArray[np.float32] = drawn.median_depth.numpy()
    return depth


def checked_view(scene: "CleanScene", removed: Mask, camera: "Camera", check: "ViewCheck") -> NDArray[np.uint8]:
    """What is left from a camera, in grey under colours that tell how unlike the photos it is [H, W, 3]."""
    import torch

    with torch.no_grad():
        return check.picture(_left(scene, removed), _fitting(camera, CHECK_SIDE_PX))


def _left(scene: "CleanScene", removed: Mask) -> "Splats":
    """All of them, but what is removed is not drawn: its opacity is 0."""
    import torch

    splats = scene.gaussians.activate()
    return replace(splats, opacities=splats.opacities * torch.from_numpy(~removed))


def _fitting(camera: "Camera", side_px: int) -> "Camera":
    """The same view, small enough."""
    shrink = min(1.0, side_px / max(camera.width, camera.height))
    return camera.resized(max(1, round(shrink * camera.width)), max(1, round(shrink * camera.height)))


def to_show(scene: "CleanScene", kept: Mask, selection: Mask, shows_coverage: bool) -> "Gaussians":
    """What is left, the selection in one bright colour, the rest as it is or by how many photos see it."""
    import torch

    from splatting.coverage import coloured_by_coverage, highlighted
    from splatting.visibility import num_seeing

    rows = torch.from_numpy(kept)
    left = scene.gaussians.select(rows)
    if shows_coverage:
        left = coloured_by_coverage(left, num_seeing(scene.shares)[rows], COVERAGE_RGB)
    return highlighted(left, torch.from_numpy(selection)[rows]) if selection.any() else left


def thinned(stroke: NDArray[np.float64], step_px: float) -> list[NDArray[np.float64]]:
    """Points of a stroke [C, 2] that lie at least so far apart, those between far ones included."""
    if not len(stroke):
        return []
    points = [stroke[0]]
    for point in stroke[1:]:
        gap = float(np.linalg.norm(point - points[-1]))
        count = int(gap // max(step_px, 1.0))
        start = points[-1]
        points += [start + (point - start) * (i + 1) / count for i in range(count)]
    return points
