"""From sparse points to the start of the fit: dense verified depth, then all the Gaussians."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recon.contradictions import without_looked_through
from recon.dense_depth import DenseConfig, estimate_depths
from recon.initialise import InitialiseConfig, initialise
from recon.progress import Progress
from recon.scene import DepthMap, PointCloud, View
from recon.transients import find_transients, lasting_views
from splatting.gaussians import Gaussians


@dataclass(frozen=True)
class DenseScene:
    """What two or more photos agree on, and the Gaussians that start from it.

    Attributes:
        depth_maps: one per training view, 0 where no other view agrees or as many look through.
        gaussians: the start of the fit, spherical harmonics of degree 0.
        is_verified: [N] bool; False for Gaussians whose position is a guess.
        passing: for each training view [H, W] bool, what was there for that photo only; see `find_transients`.
    """

    depth_maps: tuple[DepthMap, ...]
    gaussians: Gaussians
    is_verified: NDArray[np.bool_]
    passing: tuple[NDArray[np.bool_], ...]

    def lasting(self, views: Sequence[View]) -> tuple[View, ...]:
        """The training views without what passed through single ones; see `lasting_views`."""
        return lasting_views(views, self.passing)

    @property
    def verified_share(self) -> float:
        """Share of the training pixels whose depth is confirmed."""
        return float(np.mean([(depth_map.depth > 0).mean() for depth_map in self.depth_maps]))


def make_dense(
    views: Sequence[View],
    points: PointCloud,
    dense: DenseConfig,
    start: InitialiseConfig,
    *,
    seed: int,
    progress: Progress,
) -> DenseScene:
    """Find dense depth and place the Gaussians; see `estimate_depths` and `initialise` for arguments and errors."""
    depth_maps, points = without_looked_through(
        views,
        estimate_depths(views, points, dense, seed=seed, num_threads=torch.get_num_threads(), progress=progress),
        points,
    )
    progress(len(views), len(views) + 1, "placing Gaussians")
    nothing = [np.zeros(view.valid.shape, bool) for view in views]
    passing = find_transients(views, depth_maps) if dense.reject_transients else nothing
    gaussians, is_verified = initialise(lasting_views(views, passing), depth_maps, points, start, seed=seed)
    return DenseScene(tuple(depth_maps), gaussians, is_verified, tuple(passing))
