"""What the stages hand to each other: views, depth maps, points, meshes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splatting.camera import Camera


@dataclass(frozen=True)
class View:
    """One placed photo, undistorted, at working size.

    Attributes:
        name: file name of the photo, unique in the scene.
        camera: its pinhole camera; `camera.width` x `camera.height` is the size of `rgb`.
        rgb: [H, W, 3] uint8, sRGB-coded.
        valid: [H, W] bool; False where undistortion had no pixel to show.
        mask: [H, W] bool, the object if the photo came with a mask; None means everything.
        is_heldout: posed, but kept from depth, points and the fit: for measuring only.
        removed_distortion: k1, k2, p1, p2 as in OpenCV of the photo's lens, already taken out of `rgb`; the photo's own
            camera has the same K at its size.
    """

    name: str
    camera: Camera
    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    mask: NDArray[np.bool_] | None = None
    is_heldout: bool = False
    removed_distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class PointCloud:
    """Coloured points in the world frame; N may be 0.

    Attributes:
        xyz: [N, 3] float64.
        rgb: [N, 3] uint8.
        num_views: [N] int32, photos that saw the point.
        error_px: [N] float32, mean reprojection error.
        view_indices: for each point the indices of the views that saw it; only for points that have tracks, else None.
    """

    xyz: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    num_views: NDArray[np.int32]
    error_px: NDArray[np.float32]
    view_indices: tuple[tuple[int, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True)
class UnplacedPhoto:
    """A photo that got no camera.

    Attributes:
        name: file name.
        reason: why, one sentence.
        hint: what to do about it, one sentence; empty if nothing is known.
    """

    name: str
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Reconstruction:
    """Cameras of the placed photos and the sparse points they agree on.

    Attributes:
        views: the placed photos in the order they were given, held-out ones included.
        points: triangulated tracks; `view_indices` are positions in `views`.
        unplaced: the photos that were left out.
        warnings: odd but survivable findings, one sentence each.
        confidences: for each view the probability that its camera is right, see `recon.pose_confidence`; empty for
            cameras that were given.
    """

    views: tuple[View, ...]
    points: PointCloud
    unplaced: tuple[UnplacedPhoto, ...]
    warnings: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()


@dataclass(frozen=True)
class DepthMap:
    """Depth of one view.

    Attributes:
        depth: [H, W] float32, z in the camera frame; 0 where unknown.
        confidence: [H, W] float32 in [0, 1]: photo-consistency of the best sources.
        num_agreeing: [H, W] uint8, other depth maps that agree with this pixel; 0 before the consistency check.
        normal: [H, W, 3] float32, unit normals in the camera frame, towards the camera; 0 where depth is unknown; None
            if nobody asked for them.
    """

    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]
    num_agreeing: NDArray[np.uint8]
    normal: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Texture:
    """A picture for the surface of a mesh.

    Attributes:
        rgb: [H, W, 3] uint8, sRGB-coded.
        uv: [U, 2] float32 in [0, 1], x to the right and y down from the outer corner of the first texel.
        faces: [F, 3] int32, for the corners of each face of the mesh their rows of `uv`. A row belongs to one vertex; a
            vertex on a seam has several.
        seen_share: part of the covered texels that a photo shows, the others are made up from what lies around them;
            None where that is not known, as of a mesh read from a file.
    """

    rgb: NDArray[np.uint8]
    uv: NDArray[np.float32]
    faces: NDArray[np.int32]
    seen_share: float | None = None


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the world frame, counter-clockwise from outside.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int32.
        vertex_rgb: [V, 3] uint8, sRGB-coded.
        texture: finer colours than those of the vertices; None if there are none.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    vertex_rgb: NDArray[np.uint8]
    texture: Texture | None = None


def training_part(scene: Reconstruction) -> tuple[tuple[View, ...], PointCloud]:
    """What may be learnt from: the views that are not held out, and the points that at least two of them saw.

    Returns:
        The views, and the points with `view_indices` into them.
    """
    kept = [index for index, view in enumerate(scene.views) if not view.is_heldout]
    position = {index: new for new, index in enumerate(kept)}
    tracks = [tuple(position[i] for i in seen_by if i in position) for seen_by in scene.points.view_indices or ()]
    use = np.array([len(track) >= 2 for track in tracks], bool)
    points = PointCloud(
        xyz=scene.points.xyz[use],
        rgb=scene.points.rgb[use],
        num_views=np.array([len(track) for track in tracks if len(track) >= 2], np.int32),
        error_px=scene.points.error_px[use],
        view_indices=tuple(track for track in tracks if len(track) >= 2),
    )
    return tuple(scene.views[index] for index in kept), points
