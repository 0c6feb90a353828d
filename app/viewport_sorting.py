"""Splats as one view needs them: sorted, and coloured for its direction. Runs in a worker thread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.viewport_data import PreparedSplats
from splatting.view_order import DepthSorter, write_view_colours

_OUTLIER_SHARE = 0.05  # of the depths, at either end


@dataclass(frozen=True)
class SortedView:
    """The first `count` splats as one view needs them.

    Attributes:
        splats: what was sorted.
        cam_from_world: the view [4, 4].
        count: so many of the splats.
        order: rows, the farthest first [M], M <= count.
        rgbx: colours [count, 4] uint8; the fourth byte says nothing.
        depth_range: depths that all but a twentieth at either end lie between, world units.
    """

    splats: PreparedSplats
    cam_from_world: NDArray[np.float64]
    count: int
    order: NDArray[np.uint32]
    rgbx: NDArray[np.uint8]
    depth_range: tuple[float, float]

    def only_first(self, count: int) -> NDArray[np.uint32]:
        """The order of the first `count` alone."""
        return self.order if count >= self.count else self.order[self.order < count]


class ViewSorter:
    """Sorts splats for one view after the other; for one thread at a time."""

    def __init__(self) -> None:
        self._splats: PreparedSplats | None = None
        self._sorter = DepthSorter(np.empty((0, 3), np.float32))

    def sort(self, splats: PreparedSplats, cam_from_world: NDArray[np.float64], count: int) -> SortedView:
        """Sort and colour the first `count` splats for a view [4, 4]."""
        if splats is not self._splats:
            self._splats, self._sorter = splats, DepthSorter(splats.means)
        count = min(count, len(splats))
        order = self._sorter.back_to_front(cam_from_world, count=count)
        rgbx = np.zeros((count, 4), np.uint8)
        center = -cam_from_world[:3, :3].T @ cam_from_world[:3, 3]
        write_view_colours(splats.means, splats.sh, center, rgbx, count=count)
        return SortedView(splats, cam_from_world, count, order, rgbx, _depth_range(splats, order, cam_from_world[2]))


def _depth_range(
    splats: PreparedSplats, order: NDArray[np.uint32], depth_row: NDArray[np.float64]
) -> tuple[float, float]:
    if not len(order):
        return 0.0, 1.0
    ranks = np.array([1 - _OUTLIER_SHARE, _OUTLIER_SHARE]) * (len(order) - 1)
    near, far = splats.means[order[np.rint(ranks).astype(int)]] @ depth_row[:3] + depth_row[3]
    return float(near), float(max(far, near * 1.001))
