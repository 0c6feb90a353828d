"""A guess of the depth where no two photos agree: edge-aware completion of inverse depth.

Second differences of inverse depth are zero on planes, so penalising them extends surfaces straight on; the penalty is
relaxed across colour edges. Sparse tracks and the verified pixels are the data, a weak pull to the far end settles what
nothing else says. One sparse linear system per view at a quarter of its size.
"""

import cv2
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve

from recon.scene import DepthMap, PointCloud, View

REDUCTION = 4  # solve at a quarter of the size: the answer is smooth
MIN_COVERAGE = 0.2  # share of verified pixels that makes a coarse cell data
CURVATURE_WEIGHT = 1.0
SLOPE_WEIGHT = 1.0
EDGE_SCALE = 8.0  # grey levels of colour change that relax smoothness by 1/e
FAR_PULL = 1e-3
FAR_END = 1.25  # times the depth that 98 % of the sparse points, or 95 % of the verified pixels, are nearer than
Floats = NDArray[np.float32]


def complete_depth(view: View, depth_map: DepthMap, points: PointCloud, view_index: int) -> Floats:
    """Depth at every pixel of a view, guessed where `depth_map` knows nothing.

    Args:
        view: the view.
        depth_map: verified depth; at least one pixel must be known.
        points: sparse points; those that saw view number `view_index` help.
        view_index: position of the view in the points' `view_indices`.

    Returns:
        [H, W] float32, z in the camera frame, > 0. Known pixels come back smoothed: keep the originals there.

    Raises:
        ValueError: no pixel is known.
    """
    known = depth_map.depth > 0
    if not known.any():
        raise ValueError("depth_map must know at least one pixel")
    height, width = known.shape
    coarse = (max(2, width // REDUCTION), max(2, height // REDUCTION))
    inverse = np.where(known, 1 / np.maximum(depth_map.depth, 1e-12), 0).astype(np.float32)
    coverage = cv2.resize(known.astype(np.float32), coarse, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(inverse, coarse, interpolation=cv2.INTER_AREA)
    weight = np.where(coverage > MIN_COVERAGE, coverage, 0)
    data = np.where(weight > 0, sums / np.maximum(coverage, 1e-6), 0)
    _add_sparse_points(weight, data, view, points, view_index)

    unit = float(np.median(data[weight > 0])) if (weight > 0).any() else float(np.median(inverse[known]))
    far = 1 / (FAR_END * unit * _usual_far(view, depth_map, points))
    image = cv2.resize(view.rgb, coarse, interpolation=cv2.INTER_AREA).astype(np.float32)
    smoothness = _smoothness(image)
    system = smoothness + sparse.diags((weight + FAR_PULL).ravel())
    solution = spsolve(system.tocsc(), (weight * data / unit + FAR_PULL * far).ravel()).reshape(weight.shape) * unit
    low, high = np.percentile(data[weight > 0], (0.2, 99.8)) if (weight > 0).any() else (unit, unit)
    solution = np.clip(solution, max(min(low, far * unit), 1e-9), high).astype(np.float32)
    return 1 / cv2.resize(solution, (width, height), interpolation=cv2.INTER_LINEAR)


def _usual_far(view: View, depth_map: DepthMap, points: PointCloud) -> float:
    """How far away things get: whatever any photo saw counts, for what is far is verified in few."""
    verified = float(np.percentile(depth_map.depth[depth_map.depth > 0], 95))
    depth = view.camera.project(points.xyz)[1]
    return max(verified, float(np.percentile(depth[depth > 0], 98)) if (depth > 0).any() else 0)


def _add_sparse_points(weight: Floats, data: Floats, view: View, points: PointCloud, view_index: int) -> None:
    """Let tracks speak where the dense depth is silent."""
    seen = np.array([view_index in seen_by for seen_by in points.view_indices or ()], bool)
    if not seen.any():
        return
    pixels, depth = view.camera.project(points.xyz[seen])
    rows, columns = weight.shape
    column = np.floor(pixels[:, 0] / view.camera.width * columns).astype(int)
    row = np.floor(pixels[:, 1] / view.camera.height * rows).astype(int)
    inside = (depth > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    column, row, depth = column[inside], row[inside], depth[inside]
    silent = weight[row, column] == 0
    weight[row[silent], column[silent]] = 1
    data[row[silent], column[silent]] = 1 / depth[silent]


def _smoothness(image: Floats) -> sparse.csr_matrix:
    """Quadratic form of edge-weighted first and second differences, [H*W, H*W]."""
    height, width = image.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    colour = image.reshape(-1, image.shape[-1])
    total = sparse.csr_matrix((height * width, height * width))
    for rows, columns in ((0, 1), (1, 0)):
        first = index[: height - rows or None, : width - columns or None].ravel()
        second = index[rows:, columns:].ravel()
        slopes = _differences([(first, -1.0), (second, 1.0)], height * width)
        total += SLOPE_WEIGHT * slopes.T @ sparse.diags(_relaxation([(first, second)], colour)) @ slopes
        before = index[: height - 2 * rows or None, : width - 2 * columns or None].ravel()
        middle = index[rows : height - rows or None, columns : width - columns or None].ravel()
        after = index[2 * rows :, 2 * columns :].ravel()
        bends = _differences([(before, 1.0), (middle, -2.0), (after, 1.0)], height * width)
        edges = _relaxation([(before, middle), (after, middle)], colour)
        total += CURVATURE_WEIGHT * bends.T @ sparse.diags(edges) @ bends
    return total.tocsr()


def _differences(terms: list[tuple[NDArray[np.int_], float]], size: int) -> sparse.csr_matrix:
    count = len(terms[0][0])
    rows = np.tile(np.arange(count), len(terms))
    columns = np.concatenate([where for where, _ in terms])
    values = np.concatenate([np.full(count, factor) for _, factor in terms])
    return sparse.csr_matrix((values, (rows, columns)), (count, size))


def _relaxation(neighbours: list[tuple[NDArray[np.int_], NDArray[np.int_]]], colour: Floats) -> NDArray[np.float64]:
    change = sum(np.abs(colour[a] - colour[b]).max(1) for a, b in neighbours)
    return np.exp(-change / EDGE_SCALE) + 1e-3
