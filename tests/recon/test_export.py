"""Exports: what is in the project, elsewhere; one clear sentence where it is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.export import export
from recon.frame import AS_IT_IS
from recon.frame_wish import FrameWish
from recon.framing import block_of, write_block
from recon.mesh_files import read_mesh, write_mesh
from recon.project import Project
from recon.scene import Mesh
from splatting.formats import read_splats
from splatting.formats.ply import read_ply, write_ply
from splatting.gaussians import Gaussians


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("cameras", "images"):
        (folder / name).mkdir(parents=True)
    (folder / "project.json").write_text("{}")
    for name in ("cameras.txt", "images.txt", "points3D.txt"):
        (folder / "cameras" / name).write_text(f"# {name}\n")
    (folder / "images" / "a.jpg").write_bytes(b"picture")
    gaussians = Gaussians(torch.rand(4, 3), torch.rand(4, 3), torch.ones(4, 4), torch.rand(4), torch.rand(4, 9, 3))
    write_ply(gaussians, folder / "splats.ply")
    mesh = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32), np.full((3, 3), 7, np.uint8))
    write_mesh(mesh, folder / "mesh.glb")
    return folder


def test_the_mesh_is_copied_bit_for_bit(project: Path, tmp_path: Path) -> None:
    mesh = export(project, "glb", tmp_path / "new" / "mine.glb")
    assert mesh == tmp_path / "new" / "mine.glb"
    assert mesh.read_bytes() == (project / "mesh.glb").read_bytes()
    assert export(project, "glb", tmp_path / "new") == tmp_path / "new" / "mesh.glb"


def test_a_ply_is_exact_and_upside_down_as_other_programs_expect_it_unless_one_says_otherwise(project: Path) -> None:
    ours = read_ply(project / "splats.ply")
    numbers = read_ply(export(project, "ply"))
    assert torch.equal(numbers.means, ours.means * torch.tensor([1, -1, -1]))
    assert torch.equal(numbers.log_scales, ours.log_scales)
    assert torch.equal(read_splats(project / "export" / "splats.ply").sh, ours.sh)  # the file says where up is
    export(project, "ply", project / "export" / "splats.ply", up="+y")
    assert (project / "export" / "splats.ply").read_bytes() == (project / "splats.ply").read_bytes()


@pytest.mark.parametrize("format", ["compressed-ply", "splat", "spz", "sog", "splat-glb"])
def test_where_y_points_can_be_chosen_for_every_splat_format(project: Path, format: str) -> None:
    expected = read_ply(project / "splats.ply").means.sort(dim=0).values
    for up in ("+y", "-y"):
        made = read_splats(export(project, format, up=up), up=up)
        assert torch.allclose(made.means.sort(dim=0).values, expected, atol=1e-3)


@pytest.mark.parametrize("format", ["glb", "obj", "colmap", "html", "cameras"])
def test_where_y_points_can_be_chosen_for_splats_only(project: Path, format: str) -> None:
    with pytest.raises(ReconError, match="cannot be chosen"):
        export(project, format, up="-y")


@pytest.mark.parametrize(
    ("format", "name"), [("ply", "splats.ply"), ("splat-glb", "mesh.glb"), ("mesh-ply", "splats.ply")]
)
def test_the_files_of_the_project_itself_are_not_replaced(project: Path, format: str, name: str) -> None:
    before = (project / name).read_bytes()
    with pytest.raises(ReconError, match="of the project itself"):
        export(project, format, project / name)
    assert (project / name).read_bytes() == before


@pytest.mark.parametrize("format", ["ply", "spz", "splat-glb", "glb", "obj", "usdz", "html", "cameras"])
def test_a_name_that_ends_otherwise_is_refused_before_anything_is_read(project: Path, format: str) -> None:
    (project / "splats.ply").write_bytes(b"")
    with pytest.raises(ReconError, match="must end in") as caught:
        export(project, format, project / "room.doc")
    assert f"Name it {project}/room.doc." in caught.value.hint
    assert not (project / "room.doc").exists()


@pytest.mark.parametrize(
    ("format", "name", "mended"),
    [
        ("obj", "mine", "mine.obj, or make the folder"),
        ("obj", "mine.glb", "mine.obj."),
        ("obj", "v1.2", "v1.2.obj."),
        ("compressed-ply", "mine", "mine.compressed.ply,"),
        ("ply", "mine.", "mine.ply,"),
        ("ply", ".ply", "splats.ply,"),
    ],
)
def test_the_hint_on_a_wrong_ending_names_a_place_that_is_taken(
    project: Path, tmp_path: Path, format: str, name: str, mended: str
) -> None:
    with pytest.raises(ReconError, match="must end in") as caught:
        export(project, format, tmp_path / name)
    assert f"Name it {tmp_path}/{mended}" in caught.value.hint
    assert export(project, format, tmp_path / mended.split(",")[0].rstrip(".")).is_file()


def test_without_destination_it_lands_in_the_project(project: Path) -> None:
    assert export(project, "ply") == project / "export" / "splats.ply"
    assert export(project, "colmap") == project / "export" / "colmap"


@pytest.mark.parametrize("format", ["compressed-ply", "splat", "spz", "sog", "splat-glb"])
def test_splats_come_back_upright_from_every_splat_format(project: Path, format: str) -> None:
    made = export(project, format)
    assert made.parent == project / "export"
    expected = read_ply(project / "splats.ply").means.sort(dim=0).values
    assert torch.allclose(read_splats(made).means.sort(dim=0).values, expected, atol=1e-3)


@pytest.mark.parametrize("format", ["obj", "stl", "3mf", "mesh-ply"])
def test_the_mesh_comes_back_from_every_mesh_format(project: Path, format: str) -> None:
    assert len(read_mesh(export(project, format)).faces) == 1


def test_the_mesh_goes_to_phones(project: Path) -> None:
    assert export(project, "usdz") == project / "export" / "mesh.usdz"


@pytest.mark.parametrize("format", ["stl", "3mf"])
def test_what_is_printed_stands_on_its_feet_in_millimetres(project: Path, format: str) -> None:
    upright = read_mesh(export(project, format))
    assert np.array_equal(upright.vertices[1], [0, 0, 1])  # our +Y
    frame = replace(AS_IT_IS, unit="m")
    write_block(Project(project), block_of(FrameWish(), frame, made_from="", is_final=True))
    assert np.array_equal(read_mesh(export(project, format)).vertices, 1000 * upright.vertices)


def test_a_format_that_cannot_hold_the_splats_is_a_reason(project: Path) -> None:
    splats = read_ply(project / "splats.ply")
    splats.means[0, 0] = 1e8
    write_ply(splats, project / "splats.ply")
    with pytest.raises(ReconError, match="beyond what SPZ"):
        export(project, "spz")
    assert not list((project / "export").iterdir())


def test_exporting_onto_the_project_file_itself_changes_nothing(project: Path) -> None:
    before = (project / "mesh.glb").read_bytes()
    assert export(project, "glb", project / "mesh.glb").read_bytes() == before


def test_colmap_exports_hold_the_model_and_its_images_and_can_be_repeated(project: Path, tmp_path: Path) -> None:
    for _ in range(2):
        folder = export(project, "colmap", tmp_path / "colmap")
        inside = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        assert inside == ["images/a.jpg", *(f"sparse/0/{n}.txt" for n in ("cameras", "images", "points3D"))]
    assert not (tmp_path / "colmap.partial").exists()


def test_a_folder_with_something_else_is_not_replaced(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "diary.txt").write_text("dear diary")
    with pytest.raises(ReconError, match="something else"):
        export(project, "colmap", other)
    assert (other / "diary.txt").read_text() == "dear diary"


@pytest.mark.parametrize(
    ("format", "path", "stage"),
    [("ply", "splats.ply", "splats"), ("glb", "mesh.glb", "mesh"), ("colmap", "cameras/images.txt", "cameras")],
)
def test_a_missing_stage_is_named(project: Path, format: str, path: str, stage: str) -> None:
    (project / path).unlink()
    with pytest.raises(ReconError, match="yet") as caught:
        export(project, format)
    assert stage in caught.value.hint


def test_a_damaged_result_is_not_exported(project: Path, tmp_path: Path) -> None:
    (project / "splats.ply").write_bytes((project / "splats.ply").read_bytes()[:-4])
    with pytest.raises(ReconError, match="cannot be read"):
        export(project, "ply", tmp_path / "a.ply")
    assert not (tmp_path / "a.ply").exists()


def test_other_folders_and_formats_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="no project"):
        export(tmp_path, "ply")
    with pytest.raises(ValueError, match="splat-glb, glb, obj"):
        export(project, "docx")


def test_an_impossible_destination_is_an_error_the_user_can_mend(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReconError, match="cannot be written"):
        export(project, "ply", tmp_path / "file" / "a.ply")
