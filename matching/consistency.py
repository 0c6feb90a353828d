"""Which depths do other depth maps confirm?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import matching._native as _native


def check_consistency(
    depths: Sequence[NDArray[np.float32]],
    cameras: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    scores: Sequence[NDArray[np.float32]],
    *,
    max_error_px: float = 1.0,
    max_relative_depth: float = 0.01,
    max_disparity_px: float = 0.7,
    min_score: float = 0.5,
    num_threads: int = 1,
) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Check every depth map against all others, forward and backward.

    A pixel is put into another view by its depth; the depth found there must agree to `max_relative_depth`, or to
    what `max_disparity_px` of disparity mean at that distance, whichever is more; put back, it must land within
    `max_error_px` of where it came from. Occlusion needs no reasoning: what another view cannot see does not agree.

    Args:
        depths: per view [H, W], z in its camera; 0 = none. Sizes may differ.
        cameras: per view K [3, 3] and cam_from_world [4, 4].
        scores: per view [H, W]; depths that score less than `min_score` take no part on either side.
        max_error_px: largest distance between a pixel and its image after the way there and back.
        max_relative_depth: largest relative difference of depth in the other view.
        max_disparity_px: the accuracy of disparity that is granted to far points.
        min_score: see `scores`.
        num_threads: threads of the native kernel.

    Returns:
        Per view: fused depth [H, W], the mean in inverse depth over the view itself and those that agree, 0 where
        there is no depth; and the number of agreeing other views [H, W] uint8.

    Raises:
        ValueError: the sequences differ in length, or shapes do not fit.
    """
    if not len(depths) == len(cameras) == len(scores):
        raise ValueError(f"{len(depths)} depth maps, {len(cameras)} cameras and {len(scores)} scores do not fit")
    views = []
    for depth, (K, cam_from_world), score in zip(depths, cameras, scores, strict=True):
        if depth.ndim != 2 or depth.shape != score.shape:
            raise ValueError(f"depth and score must be [H, W], got {depth.shape} and {score.shape}")
        if np.shape(K) != (3, 3) or np.shape(cam_from_world) != (4, 4):
            raise ValueError(f"cameras must be [3, 3] and [4, 4], got {np.shape(K)} and {np.shape(cam_from_world)}")
        trusted = np.ascontiguousarray(np.where(score >= min_score, depth, 0), dtype=np.float32)
        K = np.ascontiguousarray(K, dtype=np.float64)
        extrinsics = np.ascontiguousarray(cam_from_world, dtype=np.float64)
        views.append(_native.CheckedView(trusted, K, np.linalg.inv(K), extrinsics))
    checked = []
    for index, depth in enumerate(depths):
        fused, num_agreeing = np.empty(depth.shape, np.float32), np.empty(depth.shape, np.uint8)
        _native.check_view(
            views,
            index,
            max_error_px=max_error_px,
            max_relative_depth=max_relative_depth,
            max_disparity_px=max_disparity_px,
            fused=fused,
            num_agreeing=num_agreeing,
            num_threads=num_threads,
        )
        checked.append((fused, num_agreeing))
    return checked
