"""Which depths do other depth maps confirm, and what does one map say about another view?"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

import matching._native as _native

CameraMatrices = tuple[NDArray[np.float64], NDArray[np.float64]]
"""K [3, 3] in px and cam_from_world [4, 4]."""


def check_consistency(
    depths: Sequence[NDArray[np.float32]],
    cameras: Sequence[CameraMatrices],
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
    for depth, camera, score in zip(depths, cameras, scores, strict=True):
        if depth.ndim != 2 or depth.shape != score.shape:
            raise ValueError(f"depth and score must be [H, W], got {depth.shape} and {score.shape}")
        views.append(_native_view(np.where(score >= min_score, depth, 0), camera))
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


def project_depth(
    depth: NDArray[np.float32], camera: CameraMatrices, onto: CameraMatrices, size: tuple[int, int]
) -> NDArray[np.float32]:
    """The depth that one view's map has in another view; of points that land in the same pixel the nearest.

    Args:
        depth: [H, W], z in its camera; 0 = none.
        camera: of the map.
        onto: the other camera.
        size: width and height of the other view.

    Returns:
        [height, width], z in the other camera; 0 where nothing lands within one pixel.

    Raises:
        ValueError: shapes do not fit.
    """
    width, height = size
    if depth.ndim != 2 or width < 1 or height < 1:
        raise ValueError(f"depth must be [H, W] and size positive, got {depth.shape} and {size}")
    inverse_depth = np.empty((height, width), np.float32)
    target = _native_view(np.zeros((height, width), np.float32), onto)
    _native.project_depth(_native_view(depth, camera), target, inverse_depth)
    # Surfaces that come nearer leave single pixels empty.
    widened = cv2.dilate(inverse_depth, np.ones((3, 3), np.uint8))
    filled = np.where(inverse_depth > 0, inverse_depth, widened)
    return np.where(filled > 0, 1 / np.where(filled > 0, filled, 1), 0).astype(np.float32)


def _native_view(depth: NDArray[np.float32], camera: CameraMatrices) -> _native.CheckedView:
    K, cam_from_world = camera
    if np.shape(K) != (3, 3) or np.shape(cam_from_world) != (4, 4):
        raise ValueError(f"cameras must be [3, 3] and [4, 4], got {np.shape(K)} and {np.shape(cam_from_world)}")
    K = np.ascontiguousarray(K, dtype=np.float64)
    extrinsics = np.ascontiguousarray(cam_from_world, dtype=np.float64)
    return _native.CheckedView(np.ascontiguousarray(depth, np.float32), K, np.linalg.inv(K), extrinsics)
