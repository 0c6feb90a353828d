"""Close a mesh for printing: fill what no view saw by diffusion, inside and outside, and take the surface between.

Volumetric diffusion [1]: measured distances stay, unknown voxels become the mean of their neighbours, the walls of the
box are outside. Where photos came with masks, what lies outside of the object in any of them is outside: the object is
the visual hull, cut by what stereo saw. The surface comes from marching tetrahedra [2], which leaves no gaps.

[1] Davis et al., Filling Holes in Complex Surfaces Using Volumetric Diffusion, 2002.
[2] Doi & Koide, An Efficient Method of Triangulating Equi-Valued Surfaces by Using Tetrahedral Cells, 1991.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from recon.fusion import BLOCK_SIZE, FusionView, fuse
from recon.progress import Progress, no_progress
from recon.scene import Mesh
from recon.visual_hull import Silhouettes, outside_hull

_NUM_STEPS = 60  # of diffusion: as far as the fill is smooth, in voxels squared
_TRUNCATION_VOXELS = 4.0
_TRIAL_SIDE = 32  # voxels, to learn how many faces there will be
_PADDING = 0.03  # of the box's longest side, so that what touches the box is closed inside of it
# Six tetrahedra around the diagonal of a cube, corners numbered x + 2 y + 4 z: the same split in every cube, so that
# neighbours meet (Freudenthal).
_TETRAHEDRA = np.array([[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]])
# For each of the 16 sets of corners inside (bit i: corner i) the triangles, as pairs of corners between which they lie;
# seen from outside they are counter-clockwise in a tetrahedron of positive volume.
_ONE_CORNER = {1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 4: (2, 0, 1, 3), 8: (3, 0, 2, 1)}
_TWO_CORNERS = {3: (0, 1, 2, 3), 5: (0, 2, 3, 1), 9: (0, 3, 1, 2), 6: (1, 2, 0, 3), 10: (1, 3, 2, 0), 12: (2, 3, 0, 1)}


def close_mesh(
    mesh: Mesh,
    views: Sequence[FusionView],
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    silhouettes: Silhouettes = (),
    side_voxels: int = 128,
    max_faces: int = 10**9,
    progress: Progress = no_progress,
) -> Mesh:
    """A watertight mesh of what views see inside a box, in the colours of an open one.

    Args:
        mesh: the open mesh, for colours.
        views: weighted depth maps.
        box: lowest and highest corner [3] in the world frame.
        silhouettes: masks of the object.
        side_voxels: voxels along the longest side of the box.
        max_faces: voxels grow until no more faces are needed, for simplifying might tear the surface.

    Returns:
        One closed piece, every edge of which two faces share.

    Raises:
        ValueError: nothing lies inside the box.
    """
    progress(0, 3, "Closing the mesh")
    side = min(side_voxels, _TRIAL_SIDE)
    vertices, faces = _closed_surface(views, box, silhouettes, side)
    if len(faces) == 0:
        raise ValueError("nothing lies inside the box")
    progress(1, 3, "Closing the mesh")
    side = min(side_voxels, int(side * np.sqrt(max_faces / len(faces))))  # faces grow with the square of the side
    vertices, faces = _closed_surface(views, box, silhouettes, side)
    while len(faces) > max_faces:
        side = min(side - 1, int(0.98 * side * np.sqrt(max_faces / len(faces))))
        vertices, faces = _closed_surface(views, box, silhouettes, side)
    progress(2, 3, "Closing the mesh")
    nearest = cKDTree(mesh.vertices).query(vertices)[1]
    progress(3, 3, "Closing the mesh")
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32), mesh.vertex_rgb[nearest])


def _closed_surface(
    views: Sequence[FusionView],
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
    silhouettes: Silhouettes,
    side_voxels: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices and faces of the largest closed piece."""
    voxel = float((box[1] - box[0]).max()) / side_voxels
    padding = max(_PADDING * side_voxels, 2.0) * voxel
    low, high = box[0] - padding, box[1] + padding
    first = np.floor(low / (voxel * BLOCK_SIZE)).astype(np.int64)
    last = np.ceil((high + voxel) / (voxel * BLOCK_SIZE)).astype(np.int64)
    blocks = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), axis=-1)
    volume = fuse(views, voxel, _TRUNCATION_VOXELS * voxel, blocks=blocks.reshape(-1, 3).astype(np.int32))
    field, weight = (_dense(values, blocks.shape[:3]) for values in (volume.distance, volume.weight))
    del volume
    axes = [np.arange(a * BLOCK_SIZE, b * BLOCK_SIZE) for a, b in zip(first, last, strict=True)]
    grid = voxel * np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    is_outside = ((grid < low) | (grid > high)).any(axis=1) | outside_hull(grid, silhouettes)
    is_outside = is_outside.reshape(field.shape)
    for axis in range(3):
        np.moveaxis(is_outside, axis, 0)[[0, -1]] = True
    field[is_outside] = 1
    vertices, faces = zero_level(diffuse(field, is_outside | (weight > 0)))
    used, faces = np.unique(_largest_piece(faces, len(vertices)), return_inverse=True)
    return voxel * (first * BLOCK_SIZE + vertices[used]), faces.reshape(-1, 3)


def _dense(values: NDArray[np.float32], count: tuple[int, ...]) -> NDArray[np.float32]:
    """The blocks' voxels as one grid."""
    grid = values.reshape(*count, BLOCK_SIZE, BLOCK_SIZE, BLOCK_SIZE).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(grid.reshape([n * BLOCK_SIZE for n in count]))


def diffuse(field: NDArray[np.float32], is_known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values everywhere from the known ones: those of the nearest known voxel, smoothed where nothing is known."""
    nearest = distance_transform_edt(~is_known, return_distances=False, return_indices=True)
    filled = field[tuple(nearest)]
    for _ in range(_NUM_STEPS):
        padded = np.pad(filled, 1, mode="edge")
        total = padded[2:, 1:-1, 1:-1] + padded[:-2, 1:-1, 1:-1] + padded[1:-1, 2:, 1:-1] + padded[1:-1, :-2, 1:-1]
        total += padded[1:-1, 1:-1, 2:] + padded[1:-1, 1:-1, :-2]
        filled = np.where(is_known, field, total / np.float32(6))
    return filled


def zero_level(field: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices [V, 3] in voxels and faces [F, 3] between negative and other voxels, counter-clockwise from outside.

    Closed wherever the border of the grid is positive: neighbouring tetrahedra share the vertices on their edges.
    """
    padded = np.where(np.abs(field) < 1e-4, np.float32(1e-4), field)  # no vertex lies on a corner that others share
    index = np.arange(padded.size).reshape(padded.shape)
    shifts = [(c & 1, c >> 1 & 1, c >> 2) for c in range(8)]
    nx, ny, nz = padded.shape
    corners = np.stack([index[i : nx - 1 + i, j : ny - 1 + j, k : nz - 1 + k].ravel() for i, j, k in shifts], axis=1)
    flat = padded.ravel()
    is_inside = flat < 0
    inside = is_inside[corners].sum(axis=1)
    cubes = corners[(inside > 0) & (inside < 8)]
    tetrahedra = cubes[:, _TETRAHEDRA].reshape(-1, 4)
    case = is_inside[tetrahedra] @ np.array([1, 2, 4, 8])
    pairs = [_triangles(tetrahedra[case == number], number) for number in range(1, 15)]
    ends = np.sort(np.concatenate(pairs).reshape(-1, 2), axis=1)  # [3 F, 2]
    keys, faces = np.unique(ends[:, 0] * np.int64(padded.size) + ends[:, 1], return_inverse=True)
    a, b = keys // padded.size, keys % padded.size
    share = (flat[a] / (flat[a] - flat[b]))[:, None].astype(np.float64)
    at_a, at_b = (np.stack(np.unravel_index(end, padded.shape), axis=1) for end in (a, b))
    return at_a + share * (at_b - at_a), faces.reshape(-1, 3)


def _triangles(tetrahedra: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Triangles [T, 3, 2] of tetrahedra [N, 4] whose corners inside are the bits of `number`; pairs of grid indices."""
    if number in _ONE_CORNER or 15 - number in _ONE_CORNER:
        a, b, c, d = _ONE_CORNER.get(number) or _ONE_CORNER[15 - number]
        edges = [[(a, b), (a, c), (a, d)]]
    else:
        a, b, c, d = _TWO_CORNERS[number]
        edges = [[(a, c), (a, d), (b, d)], [(a, c), (b, d), (b, c)]]
    if number not in _ONE_CORNER and number not in _TWO_CORNERS:
        edges = [[triangle[0], triangle[2], triangle[1]] for triangle in edges]
    return tetrahedra[:, np.array(edges)].reshape(-1, 3, 2)


def _largest_piece(faces: NDArray[np.int64], num_vertices: int) -> NDArray[np.int64]:
    if len(faces) == 0:
        return faces
    a, b = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), shape=(num_vertices, num_vertices))
    label = connected_components(graph, directed=False)[1][faces[:, 0]]
    return faces[label == np.bincount(label).argmax()]
