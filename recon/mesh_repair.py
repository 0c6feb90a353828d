"""Small repairs of a triangle mesh: fill pinholes, smooth noise. Large openings stay open."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from recon.scene import Mesh

# Taubin, A Signal Processing Approach to Fair Surface Design, 1995: shrink, then inflate a little more, so that waves
# longer than about ten edges keep their height.
_SHRINK, _INFLATE = 0.5, -0.53
_MAX_LOOP_EDGES = 200


def border_loops(faces: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Closed walks along edges that one face has, against the direction of that face.

    Walks through a vertex at which several borders meet are left out.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    size = int(edges.max(initial=0)) + 1
    forward, backward = edges[:, 0] * size + edges[:, 1], edges[:, 1] * size + edges[:, 0]
    border = edges[~np.isin(forward, backward)][:, ::-1]
    starts, first, count = np.unique(border[:, 0], return_index=True, return_counts=True)
    following = dict(zip(starts[count == 1].tolist(), border[first[count == 1], 1].tolist(), strict=True))
    loops = []
    while following:
        start, vertex = following.popitem()
        loop = [start]
        while vertex != start and vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        if vertex == start and len(loop) >= 3:
            loops.append(np.array(loop))
    return loops


def fill_holes(mesh: Mesh, widest: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Mesh:
    """Close small holes by a fan around the middle of their border.

    The outer border of a flake is none: its fan would lie face to face with the flake.

    Args:
        mesh: any; it comes back unchanged where nothing is to be filled.
        widest: for points [N, 3] the diameter up to which a hole there is filled [N], world units.
    """
    vertices, rgb, faces = [mesh.vertices], [mesh.vertex_rgb], [mesh.faces]
    num_vertices, normals = len(mesh.vertices), _vertex_normals(mesh)
    for loop in border_loops(mesh.faces):
        corners = mesh.vertices[loop].astype(np.float64)
        middle = corners.mean(axis=0)
        diameter = 2 * np.linalg.norm(corners - middle, axis=1).max()
        if len(loop) > _MAX_LOOP_EDGES or diameter > widest(middle[None])[0]:
            continue
        normal = np.cross(corners - middle, np.roll(corners, -1, axis=0) - middle).sum(axis=0)
        if normal @ normals[loop].sum(axis=0) <= 0:
            continue
        vertices.append(middle[None].astype(np.float32))
        rgb.append(np.round(mesh.vertex_rgb[loop].mean(axis=0)).astype(np.uint8)[None])
        centers = np.full(len(loop), num_vertices)
        faces.append(np.stack([loop, np.roll(loop, -1), centers], axis=1).astype(np.int32))
        num_vertices += 1
    return Mesh(np.concatenate(vertices), np.concatenate(faces), np.concatenate(rgb))


def _vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Sum of the area-weighted normals of the faces around each vertex [V, 3]."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).repeat(3, axis=0)
    columns = [np.bincount(mesh.faces.ravel(), normals[:, axis], len(mesh.vertices)) for axis in range(3)]
    return np.stack(columns, axis=1)


def smooth(mesh: Mesh, num_iterations: int) -> Mesh:
    """Take noise out of a mesh without shrinking it; vertices of borders stay where they are.

    Taubin smoothing with equal weights; 0 iterations change nothing.
    """
    if num_iterations == 0:
        return mesh
    n = len(mesh.vertices)
    a, b = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]).T
    directed = csr_matrix((np.ones(len(a), np.float32), (a, b)), shape=(n, n))
    adjacent = ((directed + directed.T) > 0).astype(np.float32)
    border = np.unique(np.concatenate(np.nonzero(directed != directed.T)))
    mean = diags(1 / np.maximum(np.asarray(adjacent.sum(axis=1)).ravel(), 1)) @ adjacent
    is_free = np.ones((n, 1), np.float32)
    is_free[border] = 0
    vertices = mesh.vertices
    for factor in (_SHRINK, _INFLATE) * num_iterations:
        vertices = vertices + np.float32(factor) * is_free * (mean @ vertices - vertices)
    return Mesh(vertices.astype(np.float32), mesh.faces, mesh.vertex_rgb)
