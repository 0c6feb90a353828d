"""What lies under the cursor: rays against photos, meshes and splats, on the CPU; no OpenGL."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.viewport_data import MeshArrays, PhotoFrustum, PreparedSplats
from app.viewport_lines import frustum_corners
from splatting.camera import Camera, Floats

CROP_PX = 9  # of the picture that is rendered around the cursor
POINT_REACH_PX = 8.0  # a point is picked from so far


def pick_photo(photos: Sequence[PhotoFrustum], depth: float, camera: Camera, pixel: tuple[float, float]) -> str | None:
    """Name of the nearest photo, standing at a depth in front of its camera, that a pixel shows; None if there is none.

    Args:
        camera: of the window.
        pixel: x, y in its picture.
    """
    origin, ray = _ray(camera, pixel)
    best, name = np.inf, None
    for photo in photos:
        distances = _hits(origin, ray, frustum_corners(photo, depth)[[[0, 1, 2], [0, 2, 3]]])
        if distances.min() < best:
            best, name = float(distances.min()), photo.name
    return name


def pick_mesh(mesh: MeshArrays, camera: Camera, pixel: tuple[float, float]) -> NDArray[np.float64] | None:
    """The point [3] of a mesh that a pixel shows, world frame; None beside it."""
    origin, ray = _ray(camera, pixel)
    distance = _hits(origin, ray, mesh.vertices[mesh.faces].astype(np.float64)).min(initial=np.inf)
    return origin + distance * ray if np.isfinite(distance) else None


def pick_splats(splats: PreparedSplats, camera: Camera, pixel: tuple[float, float]) -> NDArray[np.float64] | None:
    """The point [3] of splats that a pixel shows, world frame; None where it shows next to nothing.

    The depth is the median depth of the CPU rasterizer in a crop around the pixel; of points it is that of the nearest
    to the camera within 8 px.
    """
    if splats.source is None:
        return _pick_point(splats, camera, pixel)
    import torch  # it is loaded: the splats are its tensors

    from splatting.rasterize_native import rasterize

    corner = np.floor(pixel) - CROP_PX // 2
    K = camera.K.copy()
    K[:2, 2] -= corner
    crop = Camera(K, camera.cam_from_world, CROP_PX, CROP_PX)
    with torch.no_grad():
        depths = rasterize(splats.source, crop).median_depth.numpy()
    depth = depths[CROP_PX // 2, CROP_PX // 2]
    if depth <= 0 and (depths > 0).any():
        depth = np.median(depths[depths > 0])
    return camera.unproject(np.array([pixel]), np.array([depth]))[0] if depth > 0 else None


def _pick_point(splats: PreparedSplats, camera: Camera, pixel: tuple[float, float]) -> NDArray[np.float64] | None:
    pixels, depth = camera.project(splats.means.astype(np.float64))
    near = (depth > 0) & (np.linalg.norm(pixels - pixel, axis=1) < POINT_REACH_PX)
    if not near.any():
        return None
    return splats.means[np.flatnonzero(near)[np.argmin(depth[near])]].astype(np.float64)


def _ray(camera: Camera, pixel: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre of a camera and the direction of a pixel, of depth 1."""
    return camera.center, camera.unproject(np.array([pixel]), np.ones(1))[0] - camera.center


def _hits(origin: NDArray[np.float64], ray: NDArray[np.float64], triangles: Floats) -> NDArray[np.float64]:
    """How far along a ray each triangle [F, 3, 3] is hit, from either side; infinite if it is not.

    Möller and Trumbore, Fast, Minimum Storage Ray/Triangle Intersection, 1997.
    """
    corner, edge_a, edge_b = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    across = np.cross(ray, edge_b)
    det = (edge_a * across).sum(axis=1)
    inverse = 1 / np.where(np.abs(det) > 1e-300, det, np.inf)
    from_corner = origin - corner
    u = (from_corner * across).sum(axis=1) * inverse
    turned = np.cross(from_corner, edge_a)
    v = turned @ ray * inverse
    distance = (edge_b * turned).sum(axis=1) * inverse
    is_hit = (np.abs(det) > 1e-300) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    return np.where(is_hit, distance, np.inf)
