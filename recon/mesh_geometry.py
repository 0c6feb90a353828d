"""Normals and lengths of triangle meshes."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals [V, 3], faces weighted by area; +Y where they cancel out, because glTF wants unit length."""
    corners = vertices.astype(np.float64)[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack(
        [np.bincount(faces.ravel(), np.repeat(face_normals[:, axis], 3), minlength=len(vertices)) for axis in range(3)],
        axis=1,
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), [0.0, 1.0, 0.0]).astype(np.float32)


def edge_lengths(vertices: NDArray[np.floating], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Mean length of the three sides of each face [F]; vertices [V, D]."""
    corners = vertices[faces]
    sides = [np.linalg.norm(corners[:, k] - corners[:, k - 1], axis=1) for k in range(3)]
    return np.mean(sides, axis=0).astype(np.float32)


def welded(corner_vertices: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Positions [N, 3] without repetitions [V, 3], in the order in which they first occur, and the row of each [N]."""
    _, first, inverse = np.unique(corner_vertices, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return corner_vertices[np.sort(first)], rank[inverse.ravel()]
