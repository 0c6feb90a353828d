"""What a viewer on a graphics card needs of Gaussians for one view: their order and their colours, computed here.

Plain arrays, no torch: a window can draw before torch is loaded. The kernels release the GIL.
"""

import numpy as np
from numpy.typing import NDArray

import splatting._native as _native
from splatting.camera import Floats


class DepthSorter:
    """Orders the same Gaussians for one view after the other; for one thread at a time."""

    def __init__(self, means: NDArray[np.float32]) -> None:
        """Take the centres [N, 3], world frame; they are not copied if they are contiguous float32."""
        if means.ndim != 2 or means.shape[1] != 3:
            raise ValueError(f"means must be [N, 3], got {means.shape}")
        self._means = np.ascontiguousarray(means, np.float32)
        self._sorter = _native.DepthSorter()

    def back_to_front(
        self, cam_from_world: Floats, *, count: int | None = None, near: float = 0.01
    ) -> NDArray[np.uint32]:
        """Rows of the Gaussians in front of the camera, the farthest first; equal depths by row.

        Args:
            cam_from_world: rigid transform [4, 4]; the depth is z in its frame.
            count: only the first so many Gaussians; all if None.
            near: Gaussians whose centre is nearer than this (z, world units) are left out.

        Returns:
            Row numbers [M], a new array; M may be 0.

        Raises:
            ValueError: the matrix is not [4, 4], `near` is not positive or `count` is more than there are.
        """
        matrix = np.asarray(cam_from_world)
        if matrix.shape != (4, 4):
            raise ValueError(f"cam_from_world must be [4, 4], got {matrix.shape}")
        count = len(self._means) if count is None else count
        order = np.empty(count, np.uint32)
        depth_row = np.ascontiguousarray(matrix[2], np.float32)
        return order[: _native.back_to_front(self._sorter, self._means, count, depth_row, near, order)]


def write_view_colours(
    means: NDArray[np.float32],
    sh: NDArray[np.float32],
    center: Floats,
    rgbx: NDArray[np.uint8],
    *,
    count: int | None = None,
) -> None:
    """Write the colours of Gaussians as seen from a point: 0.5 + sum of coefficient x basis, clamped to [0, 1].

    Args:
        means: centres in the world frame [N, 3], contiguous.
        sh: spherical-harmonics coefficients [N, S, 3], contiguous; all are used.
        center: the camera's centre in the world frame [3].
        rgbx: [>= count, 4]; the first three bytes of each row are written.
        count: only the first so many Gaussians; all if None.

    Raises:
        ValueError: shapes do not fit.
    """
    degree = round(sh.shape[1] ** 0.5) - 1
    count = len(means) if count is None else count
    _native.view_colours(means, sh, degree, np.ascontiguousarray(center, np.float32), count, rgbx)
