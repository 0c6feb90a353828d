"""Run pixelmap-multiview-python, the nearest other program, on photos: for its own environment, without our packages.

    PYTHON tests/bench/mesh_peer.py OUT FOCAL_PX PHOTO...

Writes OUT/mesh.ply and OUT/cameras.json as `bench_mesh` reads them. FOCAL_PX 0: the program guesses it. It takes no
cameras, only a focal length, so that is all it can be told of true cameras.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pixelmap_multiview
import trimesh

LONGER_SIDE_PX = 1200  # its own default; never enlarges


def main(out: Path, focal_px: float, photos: list[str]) -> None:
    """Make the mesh at the program's default quality."""
    images, focal_35mm = pixelmap_multiview.load_photos(photos, max_size=LONGER_SIDE_PX)
    lens = {"focal_px": focal_px, "refine_focal": False} if focal_px else {"focal_35mm": focal_35mm}
    model = pixelmap_multiview.reconstruct(images, **lens)
    out.mkdir(parents=True, exist_ok=True)
    trimesh.Trimesh(model.vertices, model.triangles, process=False).export(out / "mesh.ply")
    height, width = np.asarray(images[0]).shape[:2]
    lens = {name: getattr(model.intrinsics, name) for name in ("fx", "fy", "cx", "cy")}
    placed = [
        {
            "file": Path(photo).name,
            "width": width,
            "height": height,
            **lens,
            "w2c": np.column_stack([pose.rotation, pose.translation]).tolist(),
        }
        for photo, pose in zip(photos, model.cameras, strict=True)
        if pose is not None
    ]
    (out / "cameras.json").write_text(json.dumps({"images": placed}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
