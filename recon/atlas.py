"""Lay the faces of a mesh out flat in a square, for a texture."""

import numpy as np
import xatlas
from numpy.typing import NDArray

# Faces unfolded together. xatlas grows charts over all it is given: parts of a thousand took a quarter of the time of
# the whole, for hardly more charts.
_FACES_PER_PART = 1000
_PADDING_PX = 2  # between charts: bilinear lookups reach one texel out
# The scale of a part is told by what photos see of it, but no part gets less than this share of the median scale.
_LEAST_SCALE = 0.1


def unwrap(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], vertex_scale: NDArray[np.float32], side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut a mesh into charts and pack them into one square.

    Lévy et al., Least Squares Conformal Maps for Automatic Texture Atlas Generation, 2002, as in the library xatlas.

    Args:
        vertices: [V, 3].
        faces: [F, 3], without degenerate ones.
        vertex_scale: how finely the surface around each vertex is to be resolved, relative to the others, [V] >= 0.
        side_px: the size that the distances between charts are meant for.

    Returns:
        uv [U, 2] in [0, 1] and for each face its rows of uv [F, 3].
    """
    atlas = xatlas.Atlas()
    known = vertex_scale[vertex_scale > 0]
    scale = np.maximum(vertex_scale, _LEAST_SCALE * np.median(known) if len(known) else 1)
    parts = _parts(vertices[faces].mean(axis=1))
    for part in parts:
        used, local = np.unique(faces[part], return_inverse=True)
        # The packing gives every unit of area the same number of texels: parts worth more are handed over larger.
        enlarged = (vertices[used] - vertices[used].mean(axis=0)) * np.median(scale[used])
        atlas.add_mesh(enlarged.astype(np.float32), local.reshape(-1, 3).astype(np.uint32))
    atlas.generate(*_options(side_px))
    uv, uv_faces, num_uv = [], np.empty_like(faces), 0
    for index, part in enumerate(parts):
        _, part_faces, part_uv = atlas[index]
        uv_faces[part] = part_faces.astype(np.int32) + num_uv
        uv.append(part_uv)
        num_uv += len(part_uv)
    return np.clip(np.concatenate(uv), 0, 1).astype(np.float32), uv_faces


def _options(side_px: int) -> tuple[xatlas.ChartOptions, xatlas.PackOptions]:
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_iterations = 1  # more change the charts little and take as long again
    packing.resolution = side_px
    packing.padding = _PADDING_PX
    packing.bilinear = True
    return charts, packing


def _parts(centers: NDArray[np.float32]) -> list[NDArray[np.intp]]:
    """Indices of faces that lie together: halved across the longest axis until they are few enough."""
    waiting, parts = [np.arange(len(centers))], []
    while waiting:
        part = waiting.pop()
        if len(part) <= _FACES_PER_PART:
            parts.append(part)
            continue
        axis = np.ptp(centers[part], axis=0).argmax()
        half = len(part) // 2
        order = np.argpartition(centers[part, axis], half)
        waiting += [part[order[:half]], part[order[half:]]]
    return parts
