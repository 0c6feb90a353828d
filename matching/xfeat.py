"""XFeat keypoints matched by LighterGlue: the default, learned and light."""

import kornia.feature
import numpy as np
import torch
from numpy.typing import NDArray

from matching import lightglue, weights
from matching.detection import best_inside, to_padded_tensor
from matching.types import Features, Matches

# The network halves the photo five times. Kornia would resample other sizes; we pad, so that no pixel moves.
_SIZE_STEP = 32
# More than any photo has at the sizes we match: choose the best only after those outside the mask are gone.
_ALL_KEYPOINTS = 1 << 16


class XFeatMatcher:
    """XFeat [1] by kornia, and the LighterGlue that was trained for it.

    [1] Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024.
    """

    is_rotation_invariant = False

    def __init__(self, max_keypoints: int = 2048) -> None:
        """Load the networks; `max_keypoints` of a photo, the best, are kept.

        Raises:
            matching.weights.WeightsError: the weights are missing or damaged.
        """
        self._max_keypoints = max_keypoints
        self._xfeat = kornia.feature.XFeat()
        self._xfeat.net.load_state_dict(weights.load(weights.XFEAT))
        self._xfeat.eval()
        self._lighterglue = lightglue.build(weights.load(weights.LIGHTERGLUE), lightglue.LIGHTERGLUE)

    @torch.inference_mode()
    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints; see `matching.matcher.SparseMatcher`."""
        height, width = rgb.shape[:2]
        found = self._xfeat.detectAndCompute(to_padded_tensor(rgb, _SIZE_STEP), top_k=_ALL_KEYPOINTS)[0]
        best = best_inside(
            found["keypoints"], found["scores"], shape=(height, width), mask=mask, max_keypoints=self._max_keypoints
        )
        return Features(
            keypoints=found["keypoints"][best].float().numpy() + np.float32(0.5),  # XFeat counts from the pixel centre
            descriptors=found["descriptors"][best].numpy(),
            scores=found["scores"][best].numpy(),
            width=width,
            height=height,
        )

    def match(self, a: Features, b: Features) -> Matches:
        """Match the features of two photos; see `matching.matcher.SparseMatcher`."""
        return lightglue.match(self._lighterglue, a, b)
