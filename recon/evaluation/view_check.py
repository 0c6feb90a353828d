"""Any view of a scene, with what looks like nothing in its photos glowing."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from matching.dense_descriptors import DenseDescriber
from matching.weights import WeightsError
from recon.errors import ReconError
from recon.evaluation.artefact_map import PhotoMemory, artefact_map, heat_picture, remember
from recon.optimise import background_of, target_rgb
from recon.scene import View
from splatting.camera import Camera
from splatting.gaussians import Splats
from splatting.rasterizer import Rasterizer


def load_describer() -> DenseDescriber:
    """XFeat.

    Raises:
        ReconError: its weights are missing.
    """
    try:
        return DenseDescriber()
    except WeightsError as error:
        raise ReconError(error.message, "Install the program again, with all it depends on.") from error


def remember_views(views: Sequence[View], describer: DenseDescriber) -> PhotoMemory:
    """Take in training views; at least two."""
    background = background_of(views)
    return remember([target_rgb(view, background) for view in views], describer)


class ViewCheck:
    """Draws views of one scene; takes in its photos at the first one. For one thread at a time."""

    def __init__(self, views: Sequence[View], draw: Rasterizer) -> None:
        """Nothing is computed yet.

        Args:
            views: that the scene was made from.
            draw: a rasterizer on the CPU.
        """
        self._views, self._draw = tuple(views), draw
        self._memory: PhotoMemory | None = None

    def picture(self, splats: Splats, camera: Camera) -> NDArray[np.uint8]:
        """What a camera sees in grey, and over it in colours, dark to bright, how unlike the photos it is.

        Returns:
            [H, W, 3] uint8; see `artefact_map` and `heat_picture`.

        Raises:
            ReconError: XFeat's weights are missing.
        """
        if self._memory is None:
            self._memory = remember_views(self._views, load_describer())
        with torch.no_grad():
            rgb = self._draw(splats, camera, background=background_of(self._views)).rgb.clamp(0, 1).numpy()
        return heat_picture(rgb, artefact_map(self._memory, rgb))
