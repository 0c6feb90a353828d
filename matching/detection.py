"""What learned detectors share: how a photo goes in, and which of their keypoints stay."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_padded_tensor(rgb: NDArray[np.uint8], step: int) -> Tensor:
    """A photo [H, W, 3] as the networks take it: [1, 3, H', W'] float32 in [0, 1].

    Width and height are brought to multiples of `step` by repeating the last pixels to the right and below: kornia
    would resample or shift the photo, and black borders look like edges.
    """
    padding = ((0, -rgb.shape[0] % step), (0, -rgb.shape[1] % step), (0, 0))
    return torch.from_numpy(np.pad(rgb, padding, mode="edge").astype(np.float32) / 255).permute(2, 0, 1)[None]


def best_inside(
    positions: Tensor, scores: Tensor, *, shape: tuple[int, int], mask: NDArray[np.bool_] | None, max_keypoints: int
) -> Tensor:
    """The highest-scoring keypoints inside the photo and its mask.

    Args:
        positions: [N, 2] px (x, y), counted from the centre of the first pixel; padding included.
        scores: [N].
        shape: height and width of the photo.
        mask: [H, W]; keypoints where it is False are dropped.
        max_keypoints: as many are kept.

    Returns:
        Rows of the keypoints that stay, best first, [M] int64.
    """
    height, width = shape
    column, row = positions.round().long().unbind(1)
    keep = (column < width) & (row < height)
    if mask is not None:
        keep &= torch.from_numpy(mask)[row.clamp(max=height - 1), column.clamp(max=width - 1)]
    rows = keep.nonzero()[:, 0]
    return rows[scores[rows].argsort(descending=True, stable=True)[:max_keypoints]]
