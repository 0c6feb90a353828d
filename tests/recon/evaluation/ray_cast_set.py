"""A photo set to measure on: ray-cast photos of a ball before a wall, with exact cameras and, if wanted, depth."""

import json
from pathlib import Path

import cv2
import numpy as np

from tests.matching.synthetic_stereo import intrinsics, looking_at, plane, render, sphere

WIDTH, HEIGHT, FOCAL_PX = 192, 144, 180.0
SHAPES = [plane((0.0, 0.0, 4.0), (0.15, 0.1, -1.0), 0.12), sphere((0.1, 0.0, 3.0), 0.5, 0.12)]
CENTERS = [(x, y, 0.0) for x, y in ((-0.6, 0.0), (-0.3, 0.1), (0.0, 0.0), (0.3, -0.1), (0.6, 0.0))]


def ray_cast_set(folder: Path, *, with_depth: bool) -> Path:
    """Photos `0.png` to `4.png` from left to right: 0, 2 and 4 to train on, 1 and 3 to predict."""
    (folder / "images").mkdir(parents=True)
    (folder / "depth").mkdir()
    K, cameras = intrinsics(WIDTH, HEIGHT, FOCAL_PX), []
    for i, center in enumerate(CENTERS):
        cam_from_world = looking_at(center, (0.0, 0.0, 3.5))
        gray, depth = render(SHAPES, K, cam_from_world, WIDTH, HEIGHT)
        tint = np.stack([gray, 0.8 * gray + 20, 255 - gray], axis=-1)  # BGR
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.round(tint).astype(np.uint8))
        if with_depth:
            cv2.imwrite(str(folder / "depth" / f"{i}.png"), np.round(1000 * depth).astype(np.uint16))
        lens = {"fx": FOCAL_PX, "fy": FOCAL_PX, "cx": WIDTH / 2, "cy": HEIGHT / 2}
        place = {"file": f"images/{i}.png", "width": WIDTH, "height": HEIGHT, "w2c": cam_from_world[:3].tolist()}
        cameras.append(place | lens)
    (folder / "cameras.json").write_text(json.dumps({"images": cameras}))
    split = {"train": [f"images/{i}.png" for i in (0, 2, 4)], "test": [f"images/{i}.png" for i in (1, 3)]}
    (folder / "splits.json").write_text(json.dumps({"splits": {"3": split}}))
    return folder
