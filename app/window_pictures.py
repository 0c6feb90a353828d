"""Arrays as Qt's pictures."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QImage, QPixmap


def to_pixmap(rgb: NDArray[np.uint8]) -> QPixmap:
    """A picture of an array [H, W, 3]."""
    height, width = rgb.shape[:2]
    data = np.ascontiguousarray(rgb)
    image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)  # type: ignore[call-overload]
    return QPixmap.fromImage(image)  # copies
