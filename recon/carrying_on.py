"""What known pixels of a picture show, carried on to the others."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


def carried_nearest(values: Floats, known: Mask) -> Floats:
    """The value [H, W] of the nearest known pixel, of which there must be one, everywhere."""
    unknown = (~known).astype(np.uint8)
    labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    table = np.zeros(labels.max() + 1, values.dtype)
    table[labels[known]] = values[known]
    return np.asarray(table[labels])


def carried_smoothly(values: Floats, known: Mask) -> Floats:
    """The known pixels' values [H, W, C] everywhere, the further away from these the smoother.

    Push and pull [1]: averages of the known pixels at ever coarser scales, then back, unknown pixels from the coarser
    scale. At least one pixel must be known.

    [1] Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4.
    """
    weight = known.astype(np.float32)
    sums: list[tuple[Floats, Floats]] = [(values * weight[..., None], weight)]
    while max(sums[-1][1].shape) > 1:
        total, weight = sums[-1]
        half = (max(1, (weight.shape[1] + 1) // 2), max(1, (weight.shape[0] + 1) // 2))
        smaller = cv2.resize(total, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], -1)
        sums.append((np.asarray(smaller), cv2.resize(weight, half, interpolation=cv2.INTER_AREA).reshape(half[::-1])))
    filled = sums[-1][0] / sums[-1][1][..., None]
    for total, weight in reversed(sums[:-1]):
        coarse = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(total.shape)
        share = weight[..., None].clip(0, 1)
        filled = total / np.maximum(weight, 1e-6)[..., None] * share + coarse * (1 - share)
    return np.asarray(filled)
