"""DISK keypoints matched by LightGlue: nearly as good as ALIKED, twice as slow to detect."""

import kornia.feature
import numpy as np
import torch
from numpy.typing import NDArray

from matching import lightglue, weights
from matching.detection import best_inside, to_padded_tensor
from matching.types import Features, Matches

_SIZE_STEP = 16  # the network halves the photo four times


class DiskMatcher:
    """DISK [1] by kornia with the weights trained on depth, and the LightGlue that was trained for it.

    [1] Tyszkiewicz et al., DISK: Learning local features with policy gradient, NeurIPS 2020.
    """

    is_rotation_invariant = False

    def __init__(self, max_keypoints: int = 2048) -> None:
        """Load the networks; `max_keypoints` of a photo, the best, are kept.

        Raises:
            matching.weights.WeightsError: the weights are missing or damaged.
        """
        self._max_keypoints = max_keypoints
        self._disk = kornia.feature.DISK()
        self._disk.load_state_dict(weights.load(weights.DISK))
        self._disk.eval()
        self._lightglue = lightglue.build(weights.load(weights.DISK_LIGHTGLUE), lightglue.LIGHTGLUE)

    @torch.inference_mode()
    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints; see `matching.matcher.SparseMatcher`."""
        height, width = rgb.shape[:2]
        found = self._disk(to_padded_tensor(rgb, _SIZE_STEP))[0]
        best = best_inside(
            found.keypoints,
            found.detection_scores,
            shape=(height, width),
            mask=mask,
            max_keypoints=self._max_keypoints,
        )
        return Features(
            keypoints=found.keypoints[best].numpy() + np.float32(0.5),  # DISK counts from the pixel centre
            descriptors=found.descriptors[best].numpy(),
            scores=found.detection_scores[best].numpy(),
            width=width,
            height=height,
        )

    def match(self, a: Features, b: Features) -> Matches:
        """Match the features of two photos; see `matching.matcher.SparseMatcher`."""
        return lightglue.match(self._lightglue, a, b)
