"""Pictures of meshes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.photo_samples import raster_mesh
from recon.scene import Mesh, Texture
from splatting.camera import Camera


def render_mesh(
    mesh: Mesh, camera: Camera, *, use_texture: bool = True, samples_per_side: int = 2
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A mesh in its own colours, seen from both sides.

    Args:
        use_texture: colours from the texture, if there is one, else from the vertices.
        samples_per_side: each pixel is the mean of this number of samples squared.

    Returns:
        Colours [H, W, 3] in [0, 255], 0 where nothing is; the share of each pixel that the mesh covers [H, W]; and the
        cosine between viewing ray and face [H, W], 0 where nothing is.
    """
    fine = camera.resized(camera.width * samples_per_side, camera.height * samples_per_side)
    _, face = raster_mesh(mesh.vertices, mesh.faces, fine)
    row, column = np.nonzero(face >= 0)
    face = face[row, column]
    weights, cosine = _where_rays_meet(mesh, fine, np.stack([column, row], axis=1).astype(np.float64) + 0.5, face)
    if mesh.texture is not None and use_texture:
        rgb = _lookup(mesh.texture, (mesh.texture.uv[mesh.texture.faces[face]] * weights[..., None]).sum(axis=1))
    else:
        rgb = (mesh.vertex_rgb[mesh.faces[face]] * weights[..., None]).sum(axis=1)
    values = np.zeros((fine.height, fine.width, 5), np.float32)
    values[row, column, :3], values[row, column, 3], values[row, column, 4] = rgb, 1, cosine
    k = samples_per_side
    means = values.reshape(camera.height, k, camera.width, k, 5).mean(axis=(1, 3))
    covered = np.maximum(means[..., 3:4], 1e-6)
    return means[..., :3] / covered, means[..., 3], means[..., 4] / covered[..., 0]


def _where_rays_meet(
    mesh: Mesh, camera: Camera, pixels: NDArray[np.float64], face: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Barycentric weights [N, 3] of the points of faces [N] that pixels [N, 2] show, and the cosines there [N]."""
    corners = mesh.vertices[mesh.faces].astype(np.float64) @ camera.R.T + camera.t  # [F, 3, 3], camera frame
    rays = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ np.linalg.inv(camera.K).T
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The weight of a corner is the volume of the ray with the other two, up to a common factor.
    opposite = np.stack([np.cross(corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]) for k in range(3)], axis=1)
    weights = np.einsum("nkd,nd->nk", opposite[face], rays)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.clip(weights / np.where(total == 0, 1, total), 0, 1)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    lengths = np.linalg.norm(rays, axis=1) * np.maximum(np.linalg.norm(normals[face], axis=1), 1e-30)
    return weights, np.abs((normals[face] * rays).sum(axis=1)) / lengths


def _lookup(texture: Texture, uv: NDArray[np.float64]) -> NDArray[np.float32]:
    """Colours [N, 3] at places [N, 2], bilinear."""
    height, width = texture.rgb.shape[:2]
    at = (uv * [width, height] - 0.5).astype(np.float32)  # OpenCV counts from pixel centres
    colors = []
    for begin in range(0, len(at), 30_000):  # cv2.remap takes at most 32767 rows
        x, y = at[begin : begin + 30_000].T[:, :, None]
        colors.append(cv2.remap(texture.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0])
    return np.concatenate(colors).astype(np.float32) if colors else np.zeros((0, 3), np.float32)
