"""ALIKED keypoints matched by LightGlue: five times the work of XFeat, and right where XFeat gives up."""

import kornia.feature
import numpy as np
import torch
from numpy.typing import NDArray

from matching import lightglue, weights
from matching.detection import best_inside, to_padded_tensor
from matching.types import Features, Matches

_SIZE_STEP = 32  # the network shrinks the photo by 32 and kornia would pad it on all sides
# More maxima than any photo has at the sizes we match: the best are chosen after those outside the mask are gone.
_ALL_KEYPOINTS = 1 << 15
# Kornia derives this buffer from the radius of the detector.
_DERIVED_BUFFERS = {"dkd.hw_grid"}


class AlikedMatcher:
    """ALIKED-n16 [1] by kornia, and the LightGlue that was trained for it.

    [1] Zhao et al., ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable Transformation,
    IEEE Transactions on Instrumentation and Measurement 2023.
    """

    is_rotation_invariant = False

    def __init__(self, max_keypoints: int = 2048) -> None:
        """Load the networks; `max_keypoints` of a photo, the best, are kept.

        Raises:
            matching.weights.WeightsError: the weights are missing or damaged.
        """
        self._max_keypoints = max_keypoints
        # A threshold below zero: the best maxima, however weak.
        self._aliked = kornia.feature.ALIKED("aliked-n16", max_num_keypoints=_ALL_KEYPOINTS, detection_threshold=-1)
        missing, unexpected = self._aliked.load_state_dict(weights.load(weights.ALIKED), strict=False)
        assert not unexpected
        assert set(missing) <= _DERIVED_BUFFERS
        self._aliked.eval()
        self._lightglue = lightglue.build(weights.load(weights.ALIKED_LIGHTGLUE), lightglue.LIGHTGLUE)

    @torch.inference_mode()
    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints; see `matching.matcher.SparseMatcher`."""
        height, width = rgb.shape[:2]
        feature_map, score_map = self._aliked.extract_dense_map(to_padded_tensor(rgb, _SIZE_STEP))
        normalised, scores, _ = (found[0] for found in self._aliked.dkd(score_map))  # [N, 2] in [-1, 1], [N]
        size = torch.tensor([score_map.shape[3] - 1, score_map.shape[2] - 1])
        positions = (normalised + 1) / 2 * size
        best = best_inside(positions, scores, shape=(height, width), mask=mask, max_keypoints=self._max_keypoints)
        descriptors, _ = self._aliked.desc_head(feature_map, [normalised[best]])
        return Features(
            keypoints=positions[best].numpy() + np.float32(0.5),  # ALIKED counts from the pixel centre
            descriptors=descriptors[0].numpy(),
            scores=scores[best].numpy(),
            width=width,
            height=height,
        )

    def match(self, a: Features, b: Features) -> Matches:
        """Match the features of two photos; see `matching.matcher.SparseMatcher`."""
        return lightglue.match(self._lightglue, a, b)
