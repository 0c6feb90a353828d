"""The one camera type of the program: an undistorted pinhole with OpenCV axes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Camera:
    """An undistorted pinhole camera.

    Camera axes: x right, y down, z forward. The image covers [0, width] x [0, height]; the first pixel's centre
    is (0.5, 0.5).

    Attributes:
        K: intrinsics [3, 3] in px, float64.
        cam_from_world: rigid transform [4, 4], float64; `x_cam = cam_from_world @ x_world`.
        width, height: image size in px.
    """

    K: NDArray[np.float64]
    cam_from_world: NDArray[np.float64]
    width: int
    height: int

    def __post_init__(self) -> None:
        if np.shape(self.K) != (3, 3):
            raise ValueError(f"K must be [3, 3], got {np.shape(self.K)}")
        if np.shape(self.cam_from_world) != (4, 4):
            raise ValueError(f"cam_from_world must be [4, 4], got {np.shape(self.cam_from_world)}")

    @property
    def R(self) -> NDArray[np.float64]:
        """Rotation world to camera, [3, 3]."""
        return self.cam_from_world[:3, :3]

    @property
    def t(self) -> NDArray[np.float64]:
        """Translation world to camera, [3]."""
        return self.cam_from_world[:3, 3]

    @property
    def center(self) -> NDArray[np.float64]:
        """Centre of projection in the world frame, [3]."""
        return -self.R.T @ self.t

    @property
    def projection(self) -> NDArray[np.float64]:
        """`K [R | t]`, [3, 4]."""
        return self.K @ self.cam_from_world[:3]

    def project(self, xyz: Floats) -> tuple[Floats, Floats]:
        """Project world points.

        Args:
            xyz: points in the world frame, [N, 3].

        Returns:
            Pixels [N, 2] and depths (z in the camera frame) [N]. Pixels of points at or behind the camera mean
            nothing: look at the sign of the depth.
        """
        in_camera = xyz @ self.R.T + self.t
        depth = in_camera[:, 2]
        homogeneous = in_camera @ self.K.T
        return homogeneous[:, :2] / np.where(depth == 0, 1e-12, depth)[:, None], depth

    def unproject(self, pixels: Floats, depth: Floats) -> Floats:
        """World points [N, 3] of pixels [N, 2] at depths [N] (z in the camera frame)."""
        homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
        in_camera = homogeneous @ np.linalg.inv(self.K).T * depth[:, None]
        return (in_camera - self.t) @ self.R

    def resized(self, width: int, height: int) -> "Camera":
        """The same view with another number of pixels."""
        K = self.K.copy()
        K[0] *= width / self.width
        K[1] *= height / self.height
        return Camera(K, self.cam_from_world, width, height)
