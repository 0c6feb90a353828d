"""What XFeat sees at every place of a picture, not only at keypoints."""

import kornia.feature
import numpy as np
import torch
from numpy.typing import NDArray

from matching import weights
from matching.detection import to_padded_tensor

CELL_PX = 8
_SIZE_STEP = 32  # the network halves the picture five times


class DenseDescriber:
    """The backbone of XFeat [1] with the weights that our default matcher uses.

    [1] Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024.
    """

    def __init__(self) -> None:
        """Load the network.

        Raises:
            matching.weights.WeightsError: the weights are missing or damaged.
        """
        self._net = kornia.feature.XFeat().net
        self._net.load_state_dict(weights.load(weights.XFEAT))
        self._net.eval()

    @torch.inference_mode()
    def describe(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Descriptors of unit length of every cell of 8 x 8 px, [ceil(H / 8), ceil(W / 8), 64]; rgb is [H, W, 3]."""
        rows, columns = (-(-side // CELL_PX) for side in rgb.shape[:2])
        features = self._net(to_padded_tensor(rgb, _SIZE_STEP))[0][0, :, :rows, :columns]
        unit = torch.nn.functional.normalize(features, dim=0)
        return np.ascontiguousarray(unit.permute(1, 2, 0).numpy())
