"""`handful render` where the pictures cannot be written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.cli import run_command
from recon.camera_files import write_cameras_json
from recon.errors import ReconError
from recon.scene import View
from splatting.camera import Camera
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians


@pytest.mark.parametrize("what", [["--turntable", "file/film.mp4"], ["--cameras", "cameras.json", "-o", "file"]])
def test_a_place_that_cannot_be_written_is_told(
    what: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(9, 1)
    write_ply(
        Gaussians(torch.rand(9, 3), torch.full((9, 3), -3.0), quats, torch.ones(9), torch.ones(9, 1, 3)),
        Path("splats.ply"),
    )
    K = np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]])
    views = []
    for side in range(2):
        cam_from_world = np.eye(4)
        cam_from_world[:3, 3] = side, 0, 3
        views.append(
            View(
                f"{side}.jpg",
                Camera(K, cam_from_world, 32, 24),
                np.zeros((24, 32, 3), np.uint8),
                np.ones((24, 32), bool),
            )
        )
    write_cameras_json(views, Path("cameras.json"))
    Path("file").touch()
    with pytest.raises(ReconError, match=r"^file.* cannot be written"):
        run_command(["render", ".", *what, "--size", "32", *(["--frames", "2"] if "film.mp4" in what[1] else [])])
