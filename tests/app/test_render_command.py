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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine splats that two cameras see, and the folder to work in."""
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
    return tmp_path


@pytest.mark.parametrize("what", [["--turntable", "file/film.mp4"], ["--cameras", "cameras.json", "-o", "file"]])
def test_a_place_that_cannot_be_written_is_told(what: list[str], project: Path) -> None:
    Path("file").touch()
    with pytest.raises(ReconError, match=r"^file.* cannot be written"):
        run_command(["render", ".", *what, "--size", "32", *(["--frames", "2"] if "film.mp4" in what[1] else [])])


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (["--cameras", "cameras.json", "-o", "photos"], "photos/1.png"),
        (["--turntable", "holiday.mp4", "--frames", "2"], "holiday.mp4"),
        (["--path", "cameras.json", "-o", "holiday.mp4", "--frames", "2"], "holiday.mp4"),
        (["--path", "cameras.json", "-o", "frames", "--frames", "2"], "frames/00001.png"),
    ],
)
def test_no_picture_or_film_is_replaced_unasked(what: list[str], name: str, project: Path) -> None:
    file = project / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"mine")
    with pytest.raises(ReconError, match=f"{name} exists already") as refused:
        run_command(["render", ".", *what, "--size", "32"])
    assert "--overwrite" in refused.value.hint
    assert file.read_bytes() == b"mine"
    assert len(list(file.parent.iterdir())) == (1 if file.parent != project else 3)
    assert run_command(["render", ".", *what, "--size", "32", "--overwrite"]) == 0
    assert file.read_bytes() != b"mine"


def test_pictures_in_the_project_are_made_again(project: Path) -> None:
    for _ in range(2):
        assert run_command(["render", ".", "--cameras", "cameras.json", "--size", "32"]) == 0
    assert (project / "renders" / "0.png").is_file()
