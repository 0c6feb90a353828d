"""Cameras that give way a little while the scene is fitted: what keypoints alone left open of their poses.

A small rotation and translation of each camera learns along with the Gaussians [1], [2]. The world's frame stays: the
first camera does not move, and the others neither draw nearer to it nor away from it as a whole.

[1] Lin et al., BARF: Bundle-Adjusting Neural Radiance Fields, ICCV 2021, section 3.
[2] Fan et al., InstantSplat: Sparse-view Gaussian Splatting in Seconds, 2024, section 3.3.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from splatting.camera import Camera
from splatting.rasterizer import CameraTensors

FROM, UNTIL = 0.15, 0.8  # of the steps: before, the Gaussians are not yet what cameras should follow


class CameraRefinement:
    """Moves of V cameras: rotation vectors in radians and translations in units of the extent, both in camera axes."""

    def __init__(self, cameras: Sequence[Camera], *, rate: float, extent: float, like: Tensor) -> None:
        """Start where the cameras are.

        Args:
            cameras: all training cameras.
            rate: Adam's, in radians and shares of the extent per step.
            extent: of the scene, world units.
            like: gives dtype and device.
        """
        self._cameras, self._extent = list(cameras), extent
        self._twists = torch.zeros(len(cameras), 6, dtype=like.dtype, device=like.device, requires_grad=True)
        self._adam = torch.optim.Adam([self._twists], lr=rate, eps=1e-15)
        away = np.stack([-camera.R @ (camera.center - cameras[0].center) for camera in cameras])
        norm = np.linalg.norm(away)
        self._scaling = torch.from_numpy(away / norm if norm > 0 else away).to(like)  # [V, 3], of unit length

    def tensors(self, index: int, camera: Camera) -> CameraTensors:
        """Camera `index`, which may have another number of pixels by now, as it stands; gradients reach its move."""
        still = CameraTensors.of(camera, self._twists)
        return CameraTensors(self._moved(still.cam_from_world, self._twists[index]), still.K)

    def step(self, share: float) -> None:
        """Follow the gradients, if the share of the fit that is done says so, and forget them."""
        if FROM <= share < UNTIL and self._twists.grad is not None:
            self._twists.grad[0] = 0
            self._adam.step()
            with torch.no_grad():
                translations = self._twists[:, 3:]
                translations -= (translations * self._scaling).sum() * self._scaling
                self._twists[0] = 0
        self._twists.grad = None

    def cameras(self) -> list[Camera]:
        """The cameras as they stand."""
        twists = self._twists.detach().double().cpu()
        return [
            Camera(
                camera.K,
                self._moved(torch.from_numpy(camera.cam_from_world), twist).numpy(),
                camera.width,
                camera.height,
            )
            for camera, twist in zip(self._cameras, twists, strict=True)
        ]

    def _moved(self, cam_from_world: Tensor, twist: Tensor) -> Tensor:
        """exp(rotation) R and exp(rotation) t + extent x translation, [4, 4]."""
        x, y, z = twist[:3]
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
        turned = torch.linalg.matrix_exp(cross) @ cam_from_world[:3]
        shift = torch.cat([cross.new_zeros(3, 3), self._extent * twist[3:, None]], dim=1)
        return torch.cat([turned + shift, cam_from_world[3:]])
