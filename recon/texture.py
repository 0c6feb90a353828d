"""Colour a mesh from photos: a texture, or its vertices.

Each photo counts by how squarely and finely it sees a surface. Fine detail comes from the best photo, so that it is not
blurred where cameras or shape are slightly off; what is broader comes from a blend of all, so that no seam shows where
the best photo changes [1]. Photos are brought to one exposure first [2], and what one photo shows unlike the others,
such as somebody walking by, counts little.

[1] Burt & Adelson, A Multiresolution Spline With Application to Image Mosaics, 1983.
[2] Waechter et al., Let There Be Color! Large-Scale Texturing of 3D Reconstructions, 2014, sections 4.3 and 3.2.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags_array, identity
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

import recon._native as _native
from recon.atlas import unwrap
from recon.bounds import check_bounds
from recon.exposure import photo_gains
from recon.mesh_geometry import edge_lengths, vertex_normals
from recon.photo import Photo
from recon.photo_samples import (
    PhotoOfMesh,
    SurfaceSamples,
    observe_vertices,
    photo_of_mesh,
    sample_photo,
    vertex_samples,
)
from recon.progress import Progress, no_progress
from recon.scene import Mesh, Texture, View
from recon.undistort import DistortedCamera, undistorted_view

log = logging.getLogger(__name__)

_SHARPNESS = 8.0  # exponent that makes the best photo of several dominate
_BROAD_STEPS = 8  # neighbours over which the broad band reaches
_NORMAL_STEPS = 4  # smoothing of the normals that photos are chosen by: large regions from one photo, not specks
_LEAST_COSINE = 0.02
_ODD_COLOR = 30.0  # difference from the median of three or more photos at which a photo's weight has fallen to 1/e
_LEAST_WEIGHT = 1e-3
_TRUSTED = 0.05  # quality of the vertices around, from which colours may spread to what no photo shows


@dataclass(frozen=True)
class TextureConfig:
    """How a mesh is coloured."""

    side_px: int = field(
        default=2048,
        metadata={"help": "side of the texture; 0 colours the vertices", "unit": "px", "low": 0, "high": 8192},
    )
    photo_side_px: int = field(
        default=1600,
        metadata={"help": "longer side of the photos that colours come from", "unit": "px", "low": 64, "high": 16384},
    )
    equalize: bool = field(default=True, metadata={"help": "bring the photos to one exposure", "unit": ""})

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class _Blend:
    """How each of P photos counts at the vertices of a mesh.

    Attributes:
        weight: [P, V].
        offset: [P, V, 3], from a photo's broad colours to those of the blend.
        gain: [P, 3].
        fallback: [V, 3], colours for what no photo shows.
    """

    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    gain: NDArray[np.float32]
    fallback: NDArray[np.float32]


def color_mesh(
    mesh: Mesh, views: Sequence[View], config: TextureConfig | None = None, progress: Progress = no_progress
) -> Mesh:
    """The mesh in the colours of the photos: those of its vertices and, unless `side_px` is 0, a texture.

    Pixels outside `valid` or the object mask of a view are not used.

    Args:
        mesh: every vertex belongs to a face, no face is degenerate; its colours stand where no photo sees anything.
        views: undistorted, of any size.

    Raises:
        ValueError: there are no views.
    """
    config = config or TextureConfig()
    if not views:
        raise ValueError("a mesh is coloured from at least one view")
    vertices, faces = mesh.vertices, mesh.faces
    total = 2 * len(views) + 2
    photos = []
    for index, view in enumerate(views):
        progress(index, total, "Projecting the mesh into the photos")
        photos.append(photo_of_mesh(view, vertices, faces))
    fineness = _fineness(mesh, photos)
    rgb, quality = observe_vertices(photos, vertices, faces)
    blend = _blend(mesh, rgb, quality, fineness, equalize=config.equalize)
    vertex_rgb, _ = _bake(mesh, photos, vertex_samples(vertices, faces), blend)
    colored = replace(mesh, vertex_rgb=_bytes(vertex_rgb), texture=None)
    if config.side_px == 0:
        return colored
    progress(len(views), total, "Unfolding the mesh")
    seen_fineness = np.where(quality > 0, fineness, 0).max(axis=0)
    uv, uv_faces = unwrap(vertices, faces, seen_fineness, config.side_px)
    texel, face, weights = _native.raster_uv(uv, uv_faces, config.side_px)
    samples = SurfaceSamples(face, weights, _texel_spacing(mesh, uv, uv_faces, config.side_px))
    texels, is_seen = _bake(
        colored, photos, samples, blend, lambda done, _, text: progress(len(views) + 1 + done, total, text)
    )
    picture = _fill_gaps(texel, _bytes(texels), config.side_px)
    progress(total, total, "Baking the texture")
    log.info("texture: %d px, %.1f %% of its texels seen", config.side_px, 100 * is_seen.mean())
    return replace(colored, texture=Texture(picture, uv, uv_faces, float(is_seen.mean())))


def photo_views(photos: Sequence[Photo], views: Sequence[View], side_px: int) -> list[View]:
    """The same views from the photos anew, their longer side at most `side_px`."""
    by_name = {photo.name: photo for photo in photos}
    larger = []
    for view in views:
        photo = by_name[view.name]
        camera = view.camera.resized(photo.width, photo.height)
        lens = DistortedCamera(camera, np.array(view.removed_distortion))
        larger.append(undistorted_view(photo, lens, side_px, is_heldout=view.is_heldout))
    return larger


def _fineness(mesh: Mesh, photos: Sequence[PhotoOfMesh]) -> NDArray[np.float32]:
    """Pixels per world unit with which each photo resolves the surface at each vertex [P, V], slant included.

    From normals that are smoothed over neighbours. Visibility is not considered.
    """
    normals = vertex_normals(mesh.vertices, mesh.faces)
    step = _step_matrix(mesh)
    for _ in range(_NORMAL_STEPS):
        normals = step @ normals
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    fineness = []
    for photo in photos:
        to_camera = photo.camera.center - mesh.vertices
        cosine = (to_camera * normals).sum(axis=1) / np.linalg.norm(to_camera, axis=1)
        depth = mesh.vertices @ photo.camera.R[2] + photo.camera.t[2]
        focal = np.sqrt(photo.camera.K[0, 0] * photo.camera.K[1, 1])
        # The root of the area in px² of a unit of surface, times the cosine again: details shift less in square views.
        fineness.append(np.maximum(cosine, _LEAST_COSINE) ** 1.5 * focal / np.maximum(depth, 1e-6))
    return np.asarray(fineness, np.float32)


def _step_matrix(mesh: Mesh) -> csr_matrix:
    """Mean of each vertex and its neighbours, [V, V]."""
    a, b = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]).T
    num = len(mesh.vertices)
    edges = coo_matrix((np.ones(len(a), np.float32), (a, b)), shape=(num, num)).tocsr()
    edges = edges + edges.T
    edges.data[:] = 1
    edges = edges + identity(num, np.float32, format="csr")
    return diags_array(1 / np.asarray(edges.sum(axis=1)).ravel()).astype(np.float32) @ edges


def _blend(
    mesh: Mesh,
    rgb: NDArray[np.float32],
    quality: NDArray[np.float32],
    fineness: NDArray[np.float32],
    *,
    equalize: bool,
) -> _Blend:
    """Weights and corrections of the photos from what they show of the vertices; arrays [P, V] and [P, V, 3]."""
    gain = photo_gains(rgb, quality) if equalize else np.ones((len(rgb), 3), np.float32)
    rgb = rgb * gain[:, None]
    step = _step_matrix(mesh)
    broad, reach = _broad_colors(step, rgb, quality)
    weight = fineness / np.maximum(fineness.max(axis=0), 1e-12)
    weight = np.maximum(weight * _agreement(broad, reach), _LEAST_WEIGHT)
    shares = (weight**2 * reach)[..., None]
    seen = shares.sum(axis=0)
    mean = (shares * broad).sum(axis=0) / np.maximum(seen, 1e-20)
    offset = np.where(reach[..., None] > 0, mean - broad, 0)
    trust = reach.max(axis=0)
    fallback = _diffuse(mesh, step, mean, trust > (_TRUSTED if (trust > _TRUSTED).any() else 0))
    return _Blend(weight.astype(np.float32), offset.astype(np.float32), gain, fallback)


def _broad_colors(
    step: csr_matrix, rgb: NDArray[np.float32], quality: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours blurred over the surface [P, V, 3], of seen vertices only, and the blurred quality [P, V]."""
    broad, reach = np.empty_like(rgb), np.empty_like(quality)
    for index in range(len(rgb)):
        sums = np.concatenate([rgb[index] * quality[index, :, None], quality[index, :, None]], axis=1)
        for _ in range(_BROAD_STEPS):
            sums = step @ sums
        broad[index], reach[index] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-20), sums[:, 3]
    return broad, reach


def _agreement(broad: NDArray[np.float32], reach: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each photo agrees with the median of those that see a vertex [P, V]; 1 where fewer than three do."""
    is_seen = reach > 0
    with np.errstate(invalid="ignore"):
        seen_colors = np.where(is_seen[..., None], broad, np.nan)
        is_enough = is_seen.sum(axis=0) >= 3
        median = np.nanmedian(seen_colors[:, is_enough], axis=0)
    agreement = np.ones_like(reach)
    odd = np.abs(broad[:, is_enough] - median).max(axis=-1) / _ODD_COLOR
    agreement[:, is_enough] = np.exp(-(odd**2))
    return agreement


def _diffuse(
    mesh: Mesh, step: csr_matrix, values: NDArray[np.float32], is_known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Values [V, 3] where known; elsewhere as smooth over the surface as can be; alone, those of the nearest known."""
    filled = values.astype(np.float32).copy()
    if is_known.all():
        return filled
    if not is_known.any():
        return mesh.vertex_rgb.astype(np.float32)
    unknown = np.flatnonzero(~is_known)
    filled[unknown] = filled[
        np.flatnonzero(is_known)[cKDTree(mesh.vertices[is_known]).query(mesh.vertices[unknown])[1]]
    ]
    piece = connected_components(step, directed=False)[1]
    attached = np.isin(piece, piece[is_known]) & ~is_known
    # Each such vertex is the mean of its neighbours and itself.
    rows = (identity(len(values), format="csr") - step)[attached]
    right = -(rows[:, ~attached] @ filled[~attached])
    filled[attached] = np.asarray(spsolve(rows[:, attached].tocsc(), right)).reshape(-1, 3)
    return filled


def _bake(
    mesh: Mesh,
    photos: Sequence[PhotoOfMesh],
    samples: SurfaceSamples,
    blend: _Blend,
    progress: Progress = no_progress,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Colours of samples [N, 3], and which of them a photo shows [N]."""
    color_sum, weight_sum = np.zeros((len(samples.face), 3), np.float32), np.zeros(len(samples.face), np.float32)
    for index, photo in enumerate(photos):
        progress(index, len(photos), "Baking the texture")
        sample_photo(
            photo, mesh.vertices, mesh.faces, samples, vertex_weight=blend.weight[index],
            vertex_offset=blend.offset[index], gain=blend.gain[index], sharpness=_SHARPNESS,
            color_sum=color_sum, weight_sum=weight_sum,
        )  # fmt: skip
    is_seen = weight_sum > 0
    colors = np.asarray(color_sum / np.where(is_seen, weight_sum, 1)[:, None], np.float32)
    unseen = replace(samples, face=samples.face[~is_seen], weights=samples.weights[~is_seen])
    colors[~is_seen] = unseen.interpolate(mesh.faces, blend.fallback)
    return colors, is_seen


def _texel_spacing(
    mesh: Mesh, uv: NDArray[np.float32], uv_faces: NDArray[np.int32], side_px: int
) -> NDArray[np.float32]:
    """Side of a texel of each face in world units [F]."""
    flat = np.pad(uv * side_px, ((0, 0), (0, 1)))
    spacing = edge_lengths(mesh.vertices, mesh.faces) / np.maximum(edge_lengths(flat, uv_faces), 1e-6)
    return np.asarray(spacing, np.float32)


def _fill_gaps(texel: NDArray[np.int32], rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The texture [S, S, 3]; texels between charts repeat the nearest one, so that smaller copies show no gaps."""
    picture, is_gap = np.zeros((side_px * side_px, 3), np.uint8), np.ones(side_px * side_px, np.uint8)
    picture[texel], is_gap[texel] = rgb, 0
    labels = cv2.distanceTransformWithLabels(
        is_gap.reshape(side_px, side_px), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )[1].ravel()
    color_of = np.zeros((labels.max() + 1, 3), np.uint8)
    color_of[labels[texel]] = rgb
    return color_of[labels].reshape(side_px, side_px, 3)


def _bytes(colors: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(np.clip(colors, 0, 255)).astype(np.uint8)
