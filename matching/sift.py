"""SIFT with Lowe's ratio: needs no weights, exact to a fraction of a pixel, weak beyond 30 degrees."""

import cv2
import numpy as np
from numpy.typing import NDArray

from matching.types import Features, Matches

_CONTRAST = 0.01  # OpenCV's default, 0.04, leaves few keypoints on smooth objects
_MAX_RATIO = 0.8  # Lowe 2004, sec. 7.1


class SiftMatcher:
    """OpenCV's SIFT, descriptors as RootSIFT [1], matches mutual and passing the ratio test both ways.

    [1] Arandjelovic & Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
    """

    is_rotation_invariant = True

    def __init__(self, max_keypoints: int = 2048) -> None:
        """Keep the `max_keypoints` of a photo with the strongest response."""
        self._max_keypoints = max_keypoints
        # Without precise upscaling OpenCV's keypoints lie a quarter of a pixel to the upper left.
        self._sift = cv2.SIFT.create(contrastThreshold=_CONTRAST, enable_precise_upscale=True)

    def detect(self, rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Features:
        """Detect and describe keypoints; see `matching.matcher.SparseMatcher`."""
        height, width = rgb.shape[:2]
        gray = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
        found = self._sift.detect(gray, None if mask is None else mask.astype(np.uint8))
        strongest = sorted(found, key=lambda keypoint: -keypoint.response)[: self._max_keypoints]
        best, descriptors = self._sift.compute(gray, strongest)
        if not best:
            descriptors = np.zeros((0, 128), np.float32)
        # OpenCV counts from the pixel centre.
        positions = np.array([keypoint.pt for keypoint in best], np.float32).reshape(-1, 2) + np.float32(0.5)
        return Features(
            keypoints=positions,
            descriptors=np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6)),
            scores=np.array([keypoint.response for keypoint in best], np.float32),
            width=width,
            height=height,
        )

    def match(self, a: Features, b: Features) -> Matches:
        """Match the features of two photos; see `matching.matcher.SparseMatcher`."""
        if min(len(a.keypoints), len(b.keypoints)) < 2:  # the ratio needs a second best
            return Matches(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
        similarity = a.descriptors @ b.descriptors.T
        b_of_a, ratio_a = _best_and_ratio(similarity)
        a_of_b, ratio_b = _best_and_ratio(similarity.T)
        rows = np.arange(len(b_of_a))
        ratio = np.maximum(ratio_a, ratio_b[b_of_a])
        rows = rows[(a_of_b[b_of_a] == rows) & (ratio < _MAX_RATIO)]
        return Matches(np.stack([rows, b_of_a[rows]], axis=1).astype(np.int64), 1 - ratio[rows])


def _best_and_ratio(similarity: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Per row the column most similar, and its distance over that of the second best."""
    best = similarity.argmax(1)
    top2 = -np.partition(-similarity, 1, axis=1)[:, :2]
    # RootSIFT descriptors have unit length: distance^2 = 2 - 2 similarity
    distance = np.sqrt(np.maximum(2 - 2 * top2, 0))
    return best, (distance[:, 0] / np.maximum(distance[:, 1], 1e-6)).astype(np.float32)
