"""A small photo with its mask drawn into it."""

import cv2
import numpy as np
from numpy.typing import NDArray

OUTLINE_RGB = (255, 176, 0)
_LEFT_OF_LIGHT = 0.3  # outside of the mask
_STRIPE_PX, _STRIPE_LIGHT = 8, 40  # stripes tell a masked part from a dark one


def masked_picture(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What a mask [H, W] leaves of a picture [H, W, 3] as it is, outlined; the rest dark, grey and striped."""
    if rgb.shape[:2] != mask.shape:
        raise ValueError(f"picture and mask differ in size: {rgb.shape[:2]} and {mask.shape}")
    rows, columns = np.indices(mask.shape)
    stripes = _STRIPE_LIGHT * ((rows + columns) // _STRIPE_PX % 2)
    dark = np.round(_LEFT_OF_LIGHT * rgb.mean(axis=2) + stripes).astype(np.uint8)
    drawn = np.where(mask[..., None], rgb, dark[..., None])
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(bool)
    drawn[edge] = OUTLINE_RGB
    return drawn
