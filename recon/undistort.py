"""Distorted cameras, and views without their distortion."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon.photo import Photo
from recon.scene import View
from splatting.camera import Camera


@dataclass(frozen=True)
class DistortedCamera:
    """A camera as the lens made it, at full photo size.

    Attributes:
        camera: its pinhole part and its place.
        distortion: k1, k2, p1, p2 as in OpenCV, [4] float64; zero for a pinhole.
    """

    camera: Camera
    distortion: NDArray[np.float64]

    def __post_init__(self) -> None:
        if np.shape(self.distortion) != (4,):
            raise ValueError(f"distortion must be [4], got {np.shape(self.distortion)}")


def moved(distorted: DistortedCamera, cam_from_world: NDArray[np.float64]) -> DistortedCamera:
    """The same lens at another place."""
    return replace(distorted, camera=replace(distorted.camera, cam_from_world=cam_from_world))


def distort(flat: NDArray[np.floating], distortion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bend normalised image coordinates [..., 2] as the lens does (OpenCV's model with k1, k2, p1, p2)."""
    k1, k2, p1, p2 = distortion
    x, y = flat[..., 0], flat[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([bent_x, bent_y], axis=-1)


def straighten(bent: NDArray[np.floating], distortion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `distort`, by Newton's method from the bent coordinates [..., 2]."""
    target = np.asarray(bent, np.float64)
    flat, step_x, step_y = target, np.array([1e-6, 0]), np.array([0, 1e-6])
    for _ in range(10):
        error = distort(flat, distortion) - target
        by_x = (distort(flat + step_x, distortion) - distort(flat - step_x, distortion)) / 2e-6
        by_y = (distort(flat + step_y, distortion) - distort(flat - step_y, distortion)) / 2e-6
        jacobian = np.stack([by_x, by_y], axis=-1)  # [..., 2, 2]
        flat = np.asarray(flat - np.linalg.solve(jacobian, error[..., None])[..., 0], np.float64)
        if np.abs(error).max(initial=0) < 1e-12:
            break
    return flat


def undistort_pixels(pixels: NDArray[np.floating], distorted: DistortedCamera) -> NDArray[np.float64]:
    """Where pixels [N, 2] of the photo land in its undistorted view of the same size and K, [N, 2] px."""
    K = distorted.camera.K
    if len(pixels) == 0 or not distorted.distortion.any():
        return np.array(pixels, np.float64)
    focal, center = K[[0, 1], [0, 1]], K[:2, 2]
    return straighten((pixels - center) / focal, distorted.distortion) * focal + center


def undistorted_view(photo: Photo, distorted: DistortedCamera, working_side_px: int, *, is_heldout: bool) -> View:
    """The undistorted view of a photo at working size.

    A photo without distortion is only shrunk; a distorted one is shrunk and resampled once. Focal length and
    principal point stay, so borders may show pixels the photo never had: they are copies of its edge, marked
    not `valid`.

    Args:
        photo: supplies pixels and mask.
        distorted: its camera at the photo's full size.
        working_side_px: longest side of the view.
        is_heldout: passed on to the view.

    Raises:
        ValueError: the camera was made for a photo of another size.
    """
    full = distorted.camera
    if (full.width, full.height) != (photo.width, photo.height):
        size = f"{full.width} x {full.height}"
        raise ValueError(f"camera of {photo.name} is for {size} px, the photo has {photo.width} x {photo.height}")
    rgb, mask = photo.pixels(working_side_px), photo.mask(working_side_px)
    camera = full.resized(rgb.shape[1], rgb.shape[0])
    if not distorted.distortion.any():
        return View(photo.name, camera, rgb, np.ones(rgb.shape[:2], bool), mask, is_heldout)
    source, valid = _source_pixels(camera, distorted.distortion)
    grid = (source - 0.5).astype(np.float32)  # OpenCV counts from pixel centres
    across, down = grid[..., 0], grid[..., 1]
    straight = np.asarray(cv2.remap(rgb, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    if mask is not None:
        mask = np.asarray(cv2.remap(mask.astype(np.uint8), across, down, cv2.INTER_NEAREST), np.bool_)
    return View(photo.name, camera, straight, valid, mask, is_heldout, tuple(map(float, distorted.distortion)))


def _source_pixels(camera: Camera, distortion: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """For each pixel of the undistorted view where it lies in the photo, [H, W, 2] px, and whether it does, [H, W]."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    flat = np.stack([(x - cx) / fx, (y - cy) / fy], axis=-1)
    source = distort(flat, distortion) * [fx, fy] + [cx, cy]
    is_inside = ((source >= 0) & (source <= [camera.width, camera.height])).all(axis=-1)
    r2 = np.sum(flat**2, axis=-1)
    is_unfolded = 1 + r2 * (3 * distortion[0] + 5 * r2 * distortion[1]) > 0  # beyond, the polynomial runs back inside
    return source, np.asarray(is_inside & is_unfolded, np.bool_)
