"""Sizes of exports, told before they are written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.export import EXPORTERS, export
from recon.export_sizes import export_size
from recon.mesh_files import write_mesh
from recon.scene import Mesh, Texture
from splatting.formats.ply import write_ply
from splatting.gaussians import Gaussians
from tests.recon.test_align_project import run

COUNT = 30_000  # more than the sample
SLACK = 0.1  # what the module promises


def _gaussians() -> Gaussians:
    """A bent sheet with colours that change slowly, so that it compresses as scenes do."""
    random = torch.Generator().manual_seed(0)
    place = torch.rand(COUNT, 2, generator=random)
    means = torch.stack([place[:, 0], 0.1 * torch.sin(9 * place[:, 1]), place[:, 1]], 1)
    sh = 0.02 * torch.randn(COUNT, 9, 3, generator=random)
    sh[:, 0] += torch.sin(6 * place[:, :1] + torch.tensor([0.0, 1.0, 2.0]))
    noise = torch.randn(COUNT, 8, generator=random)
    return Gaussians(means, -5 + 0.2 * noise[:, :3], noise[:, 3:7], 2 + noise[:, 7], sh)


def _mesh() -> Mesh:
    """A wavy grid with a texture."""
    side = 120
    z, x = np.mgrid[:side, :side] / side
    vertices = np.stack([x, 0.1 * np.sin(20 * x * z), z], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    quads = np.stack([corner, corner + side, corner + 1, corner + 1, corner + side, corner + side + 1], 1)
    faces = quads.reshape(-1, 3).astype(np.int32)
    rng = np.random.default_rng(0)
    picture = (
        128 + 100 * np.sin(np.arange(1024 * 1024 * 3).reshape(1024, 1024, 3) / 9e4) + rng.normal(0, 3, (1024, 1024, 3))
    )
    texture = Texture(picture.clip(0, 255).astype(np.uint8), vertices[:, [0, 2]].copy(), faces)
    return Mesh(vertices, faces, np.full((len(vertices), 3), 128, np.uint8), texture)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export_sizes") / "table"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        run(out)
    write_ply(_gaussians(), out / "splats.ply")
    write_mesh(_mesh(), out / "mesh.glb")
    return out


@pytest.mark.parametrize("format", EXPORTERS)
def test_the_size_told_is_that_of_the_file_within_a_tenth(format: str, project: Path, tmp_path: Path) -> None:
    made = export(project, format, tmp_path / EXPORTERS[format].default_name)
    written = made.rglob("*") if made.is_dir() else tmp_path.iterdir()
    size = sum(file.stat().st_size for file in written if file.is_file())
    # this project has tiny photos, so that its thumbnails and its few points weigh nothing
    slack = SLACK * size if size > 200_000 else SLACK * size + 30_000
    assert abs(export_size(project, format) - size) <= slack


def test_what_the_project_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="cannot be measured"):
        export_size(tmp_path, "ply")
    with pytest.raises(ValueError, match="must be one of"):
        export_size(tmp_path, "hologram")
