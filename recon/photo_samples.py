"""What photos show of a mesh: visibility, and how far each pixel can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

import recon._native as _native
from recon.fusion import num_threads
from recon.mesh_geometry import edge_lengths
from recon.scene import View
from splatting.camera import Camera

# A point is hidden where the mesh lies nearer by more than this share of its depth.
_HIDDEN_BEHIND = 0.005
_DEPTH_STEP = 0.02  # relative difference of neighbouring pixels across which one surface hides another
# Cameras and silhouettes are off by a pixel or two: pixels this near to a step, as a share of the longer side, may show
# what lies on its other side.
_STEP_RAMP = 0.012
_BORDER_RAMP = 0.06  # photos fade out towards their border, so that no seam follows it
_SMALLEST_LEVEL_PX = 16
_LEAST_QUALITY = 1e-3  # better a doubtful pixel than none


@dataclass(frozen=True)
class SurfaceSamples:
    """Points on a mesh.

    Attributes:
        face: [N] int32, the face that each lies on.
        weights: [N, 2] float32, barycentric weights of the face's first two corners.
        spacing: [F] float32, how far apart samples of a face lie, world units.
    """

    face: NDArray[np.int32]
    weights: NDArray[np.float32]
    spacing: NDArray[np.float32]

    def interpolate(self, faces: NDArray[np.int32], values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of vertices [V, C] at the samples [N, C]."""
        corners = faces[self.face]
        a, b = self.weights[:, :1], self.weights[:, 1:]
        return values[corners[:, 0]] * a + values[corners[:, 1]] * b + values[corners[:, 2]] * (1 - a - b)


def vertex_samples(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> SurfaceSamples:
    """One sample at each vertex, half as wide as its edges are long; every vertex must belong to a face."""
    face, corner = np.zeros(len(vertices), np.int32), np.zeros(len(vertices), np.intp)
    for k in range(3):
        face[faces[:, k]], corner[faces[:, k]] = np.arange(len(faces)), k
    return SurfaceSamples(face, np.eye(3, 2, dtype=np.float32)[corner], 0.5 * edge_lengths(vertices, faces))


def raster_mesh(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], camera: Camera
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Depth (z) of the mesh in each pixel [H, W], 0 where it is not, and its face there [H, W], else -1.

    Faces that reach behind the camera are left out.
    """
    depth = np.empty((camera.height, camera.width), np.float32)
    face = np.empty(depth.shape, np.int32)
    _native.raster_mesh(vertices, faces, camera.K, camera.cam_from_world, depth, face, num_threads())
    return depth, face


@dataclass(frozen=True)
class PhotoOfMesh:
    """A photo, and what of the mesh it shows.

    Attributes:
        camera: its size is that of the arrays.
        levels: the photo and halved copies of it, [H, W, 3] uint8 each.
        depth: [H, W] float32, of the mesh; 0 where it is not.
        quality: [H, W] float32 in [0, 1], 0 where the photo shows nothing of use.
    """

    camera: Camera
    levels: tuple[NDArray[np.uint8], ...]
    depth: NDArray[np.float32]
    quality: NDArray[np.float32]


def photo_of_mesh(view: View, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> PhotoOfMesh:
    """Prepare a view for sampling."""
    depth, _ = raster_mesh(vertices, faces, view.camera)
    quality = pixel_quality(view, depth)
    return PhotoOfMesh(view.camera, _pyramid(view.rgb, np.where(depth > 0, quality, 0)), depth, quality)


def _pyramid(rgb: NDArray[np.uint8], weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], ...]:
    """A photo and halved copies, each pixel the weighted mean of those below.

    Pixels of weight 0 take the colours around them, from the next coarser level that has any: nothing that is masked
    out bleeds in, however wide a sample is.
    """
    colors, weights = [rgb.astype(np.float32)], [weight]
    while min(weights[-1].shape) > _SMALLEST_LEVEL_PX:
        height, width = weights[-1].shape
        size = ((width + 1) // 2, (height + 1) // 2)
        sums = cv2.resize(colors[-1] * weights[-1][..., None], size, interpolation=cv2.INTER_AREA)
        weights.append(np.asarray(cv2.resize(weights[-1], size, interpolation=cv2.INTER_AREA), np.float32))
        colors.append(np.asarray(sums / np.maximum(weights[-1], 1e-9)[..., None], np.float32))
    for k in range(len(colors) - 2, -1, -1):
        coarser = cv2.resize(colors[k + 1], colors[k].shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colors[k] = np.where(weights[k][..., None] > 0, colors[k], coarser)
    return tuple(np.round(np.clip(level, 0, 255)).astype(np.uint8) for level in colors)


def pixel_quality(view: View, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Trust in each pixel [H, W]: 1 inside surfaces, falling towards depth steps, masks and the border, 0 outside."""
    usable = view.valid if view.mask is None else view.valid & view.mask
    inside = np.pad(usable, 1).astype(np.uint8)
    to_border = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    smooth = np.ones(depth.shape, np.uint8)
    for axis in range(2):
        near, far = (np.delete(depth, where, axis) for where in (-1, 0))
        is_step = np.abs(near - far) > _DEPTH_STEP * np.minimum(near, far)
        pad = [(0, 1) if k == axis else (0, 0) for k in range(2)]
        smooth[np.pad(is_step, pad) | np.pad(is_step, [p[::-1] for p in pad])] = 0
    to_step = cv2.distanceTransform(smooth, cv2.DIST_L2, 5)
    side = max(depth.shape)
    quality = np.clip(to_border / (_BORDER_RAMP * side), 0, 1) * np.clip(to_step / (_STEP_RAMP * side), 0, 1)
    return np.where(usable, np.maximum(quality, _LEAST_QUALITY), 0).astype(np.float32)


def sample_photo(
    photo: PhotoOfMesh,
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    samples: SurfaceSamples,
    *,
    vertex_weight: NDArray[np.float32],
    vertex_offset: NDArray[np.float32],
    gain: NDArray[np.float32],
    sharpness: float,
    color_sum: NDArray[np.float32],
    weight_sum: NDArray[np.float32],
) -> None:
    """Add what a photo shows of each sample to weighted sums.

    A colour is `gain * photo + offset`, its weight `(weight * quality) ** sharpness`; nothing is added for samples that
    the mesh hides or that turn their back.

    Args:
        vertex_weight: [V].
        vertex_offset: [V, 3].
        gain: [3].
        color_sum: [N, 3], added to.
        weight_sum: [N], added to.
    """
    _native.sample_photo(
        vertices, faces, samples.face, samples.weights, samples.spacing, list(photo.levels),
        photo.camera.K, photo.camera.cam_from_world, photo.depth, photo.quality,
        vertex_weight, vertex_offset, gain, _HIDDEN_BEHIND, sharpness, color_sum, weight_sum, num_threads(),
    )  # fmt: skip


def observe_vertices(
    photos: Sequence[PhotoOfMesh], vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours of the vertices in each of P photos [P, V, 3] and how far they can be trusted [P, V], 0 where unseen."""
    samples = vertex_samples(vertices, faces)
    rgb = np.zeros((len(photos), len(vertices), 3), np.float32)
    quality = np.zeros((len(photos), len(vertices)), np.float32)
    ones, none = np.ones(len(vertices), np.float32), np.zeros((len(vertices), 3), np.float32)
    for photo, colors, trust in zip(photos, rgb, quality, strict=True):
        sample_photo(
            photo, vertices, faces, samples, vertex_weight=ones, vertex_offset=none, gain=np.ones(3, np.float32),
            sharpness=1, color_sum=colors, weight_sum=trust,
        )  # fmt: skip
    return np.asarray(rgb / np.maximum(quality, 1e-12)[..., None], np.float32), quality
