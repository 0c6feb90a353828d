"""Fewer and better shaped faces: decimation, slivers turned, what is too thin dropped."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon import _native
from recon.scene import Mesh

_THINNEST = 1e-4  # height over longest side of a face: what is thinner has no normal in float32
_BORDER_SLIVER = 0.05  # the same of a face whose loss leaves the border where it was
_SLIVER = 0.15  # the same of a face that is worth turning
_BETTER = 1.5  # times as thick must be the thinner of two faces after turning their edge
_MIN_TURN_COS = 0.9  # between the normals of faces after and their mean before: nothing folds over
_MAX_SHIFT = 0.03  # by which turning an edge may move the surface, in lengths of that edge
_NUM_ROUNDS = 6


def simplify(mesh: Mesh, max_faces: int, importance: NDArray[np.floating] | None = None) -> Mesh:
    """Collapse the edges that move the surface least until at most `max_faces` are left [1].

    Each collapse puts the joined vertex where the squared distances to the planes of the faces that it stands for, and
    to those upright on the borders among them, sum to the least. No face turns over or degenerates, and none is made
    twice. Every edge of the result has one or two faces and every vertex one fan of them: where a collapse would end
    that, at the neck of a thin handle or between two borders, the surface is cut, without a gap. So what was closed
    stays closed, but thin handles vanish, and so do pieces that are small against what has to go elsewhere; never all.
    Edges that had more faces stay where they are, cut open. The unit of length does not matter; the same mesh gives the
    same result.

    Args:
        max_faces: may be exceeded only where no further edge can be collapsed.
        importance: how much lengths count at each vertex [V], above 0; all the same if None.

    Returns:
        Colours are those of the nearest old vertices.

    Raises:
        ValueError: a vertex is not finite, or `importance` is not positive and finite or does not fit.

    [1] Garland & Heckbert, Surface Simplification Using Quadric Error Metrics, 1997.
    """
    if len(mesh.faces) <= max_faces:
        return mesh
    if importance is None:
        importance = np.ones(len(mesh.vertices), np.float32)
    if len(importance) != len(mesh.vertices) or not (np.isfinite(importance) & (importance > 0)).all():
        raise ValueError("importance must be positive and finite, one number for each vertex")
    # In units of the median: the fourth powers of very small or large ones would not fit.
    importance = np.asarray(importance / np.median(importance), np.float32)
    vertices, faces = _native.simplify_mesh(mesh.vertices, mesh.faces, importance, max_faces)
    nearest = cKDTree(mesh.vertices).query(vertices, workers=-1)[1]
    return Mesh(vertices, faces, mesh.vertex_rgb[nearest])


def drop_thin(mesh: Mesh) -> Mesh:
    """The mesh without faces too thin for a normal, and without slivers that lie along its border."""
    thick = thickness(mesh.vertices, mesh.faces)
    keep = (thick > _THINNEST) & ~((thick < _BORDER_SLIVER) & _longest_side_is_bare(mesh))
    return used_part(mesh.vertices, mesh.faces[keep], mesh.vertex_rgb)


def _longest_side_is_bare(mesh: Mesh) -> NDArray[np.bool_]:
    """Faces [F] no other of which has their longest side."""
    ends = np.stack([mesh.faces, np.roll(mesh.faces, -1, axis=1)]).astype(np.int64)
    lengths = np.linalg.norm(mesh.vertices[ends[0]] - mesh.vertices[ends[1]], axis=2)
    _, edge, count = np.unique(_edge_keys(*ends), return_inverse=True, return_counts=True)
    return count[edge].reshape(-1, 3)[np.arange(len(lengths)), lengths.argmax(axis=1)] == 1


def used_part(vertices: NDArray[np.float32], faces: NDArray[np.int32], rgb: NDArray[np.uint8]) -> Mesh:
    """A mesh of the vertices that faces use."""
    is_used = np.zeros(len(vertices), bool)
    is_used[faces] = True
    renumbered = np.cumsum(is_used, dtype=np.int32) - 1
    return Mesh(vertices[is_used], renumbered[faces], rgb[is_used])


def thickness(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """Smallest height over longest side of faces [F]: .87 if equilateral, 0 if degenerate."""
    corners = vertices[faces].astype(np.float64)
    doubled_area = np.linalg.norm(_area_normals(vertices, faces), axis=1)
    longest_squared = np.max([((corners[:, i] - corners[:, i - 1]) ** 2).sum(axis=1) for i in range(3)], axis=0)
    return doubled_area / np.maximum(longest_squared, np.finfo(np.float64).tiny)


def turn_slivers(mesh: Mesh) -> Mesh:
    """Turn the edge between a sliver and its neighbour where both become thicker and the surface keeps its shape.

    Vertices, borders and the number of faces stay as they are.
    """
    faces = mesh.faces.copy()
    for _ in range(_NUM_ROUNDS):
        pairs, turned = _useful_turns(mesh.vertices, faces)
        if len(pairs) == 0:
            break
        faces[pairs] = turned
    return Mesh(mesh.vertices, faces, mesh.vertex_rgb)


def _useful_turns(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Pairs of neighbouring faces [N, 2] and what to put in their place [N, 2, 3]; no face is in two pairs."""
    pairs, quads, edges = _neighbours(faces)
    thin = thickness(vertices, faces)[pairs].min(axis=1)
    pairs, (a, b, c, d), thin = pairs[thin < _SLIVER], quads[thin < _SLIVER].T, thin[thin < _SLIVER]
    turned = np.stack([a, d, c, d, b, c], axis=1).reshape(-1, 2, 3)
    gain = thickness(vertices, turned.reshape(-1, 3)).reshape(-1, 2).min(axis=1) / np.maximum(thin, _THINNEST)
    before = _unit(_area_normals(vertices, faces[pairs]).sum(axis=1))
    after = _unit(_area_normals(vertices, turned))
    is_flat = (np.einsum("nfk,nk->nf", after, before) > _MIN_TURN_COS).all(axis=1)
    is_flat &= _gap(vertices, a, b, c, d) < _MAX_SHIFT * np.linalg.norm(vertices[a] - vertices[b], axis=1)
    new_edge = _edge_keys(c, d)
    useful = np.nonzero((gain > _BETTER) & is_flat & ~np.isin(new_edge, edges))[0]
    useful = useful[np.argsort(-gain[useful], kind="stable")]
    useful = useful[_first_of_both(pairs[useful])]
    useful = useful[np.unique(new_edge[useful], return_index=True)[1]]
    return pairs[useful], turned[useful].astype(np.int32)


def _gap(vertices: NDArray[np.float32], *ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distance between the lines through a and b and through c and d, four indices [N]."""
    a, b, c, d = (vertices[end].astype(np.float64) for end in ends)
    return np.abs(((c - a) * _unit(np.cross(b - a, d - c))).sum(axis=1))


def _neighbours(faces: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of faces (a, b, c), (b, a, d) that alone share an edge [N, 2], their a, b, c, d [N, 4], and all edges."""
    starts, ends, apexes = (np.roll(faces, -shift, axis=1).ravel().astype(np.int64) for shift in range(3))
    keys = _edge_keys(starts, ends)
    order = np.argsort(keys, kind="stable")
    edges, first, count = np.unique(keys[order], return_index=True, return_counts=True)
    one, other = order[first[count == 2]], order[first[count == 2] + 1]
    opposed = starts[one] == ends[other]
    one, other = one[opposed], other[opposed]
    quads = np.stack([starts[one], ends[one], apexes[one], apexes[other]], axis=1)
    return np.stack([one // 3, other // 3], axis=1), quads, edges


def _first_of_both(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pairs [N] neither face of which is in an earlier pair."""
    first = np.full(int(pairs.max(initial=-1)) + 1, len(pairs))
    number = np.arange(len(pairs))
    for side in range(2):
        np.minimum.at(first, pairs[:, side], number)
    return (first[pairs] == number[:, None]).all(axis=1)


def _area_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """Normals of faces [..., 3], twice their area long."""
    a, b, c = np.moveaxis(vertices[faces].astype(np.float64), -2, 0)
    return np.cross(b - a, c - a)


def _edge_keys(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(a, b) << 32 | np.maximum(a, b)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(np.float64).tiny)
