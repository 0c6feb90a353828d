"""`handful convert`: one splat file becomes another; what cannot be is a sentence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from app.cli import run_command
from app.late_progress import PATIENCE_S, late_progress
from app.progress_display import Quiet
from recon.errors import ReconError
from recon.mesh_files import read_mesh, write_mesh
from recon.progress import PipelineEvent
from recon.scene import Mesh, Texture
from splatting.formats import read_splats, write_splats
from splatting.formats.ply import read_ply, write_ply
from tests.splat_files import random_gaussians


def test_a_scene_goes_through_every_format_and_stays_upright(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gaussians = random_gaussians(200)
    names = ["a.ply", "b.glb", "c.sog", "d.compressed.ply", "e.spz", "f.ply", "g.splat"]
    write_splats(gaussians, tmp_path / names[0])
    for source, destination in itertools.pairwise(names):
        assert run_command(["convert", str(tmp_path / source), str(tmp_path / destination)]) == 0
        assert capsys.readouterr().out.strip() == str(tmp_path / destination)
    read = read_splats(tmp_path / "g.splat").means
    assert torch.allclose(read.sort(dim=0).values, gaussians.means.sort(dim=0).values, atol=0.02)


def test_where_y_points_can_be_said_for_both_files(tmp_path: Path) -> None:
    gaussians = random_gaussians(5)
    write_splats(gaussians, tmp_path / "a.splat", up="+y")
    run_command(["convert", str(tmp_path / "a.splat"), str(tmp_path / "b.spz"), "--y", "up", "--y-out", "down"])
    read = read_splats(tmp_path / "b.spz", up="-y").means
    assert torch.allclose(read.sort(dim=0).values, gaussians.means.sort(dim=0).values, atol=1e-2)


@pytest.mark.parametrize(
    ("source", "content", "destination", "words"),
    [
        ("a.ply", b"ply\nnothing", "b.spz", "header has no end"),
        ("a.docx", b"", "b.spz", "is of no kind that can be read"),
        ("a.spz", b"NGSP", "b.ply", "ends within its header"),
        ("a.sog", b"PK", "b.ply", "is no zip archive"),
        ("a.ply", b"", "b.docx", "is not named as a file of splats"),
    ],
)
def test_files_that_are_none_are_refused_in_a_sentence(
    tmp_path: Path, source: str, content: bytes, destination: str, words: str
) -> None:
    (tmp_path / source).write_bytes(content)
    with pytest.raises(ReconError, match=words) as caught:
        run_command(["convert", str(tmp_path / source), str(tmp_path / destination)])
    assert "\n" not in caught.value.message
    assert not (tmp_path / destination).exists()


def test_folders_are_neither_read_nor_overwritten(tmp_path: Path) -> None:
    (tmp_path / "folder.ply").mkdir()
    write_splats(random_gaussians(3), tmp_path / "a.ply")
    with pytest.raises(ReconError, match="cannot be read"):
        run_command(["convert", str(tmp_path / "folder.ply"), str(tmp_path / "b.ply")])
    with pytest.raises(ReconError, match="is a folder"):
        run_command(["convert", str(tmp_path / "a.ply"), str(tmp_path / "folder.ply"), "--overwrite"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "folder.ply"]


def test_a_mesh_becomes_another_but_no_splats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trimesh.creation.box().export(tmp_path / "a.glb")
    names = ["a.glb", "b.obj", "c.ply", "d.3mf", "e.stl", "f.glb"]
    for source, destination in itertools.pairwise(names):
        assert run_command(["convert", str(tmp_path / source), str(tmp_path / destination)]) == 0
    back = read_mesh(tmp_path / "f.glb")
    assert trimesh.Trimesh(back.vertices, back.faces).volume == pytest.approx(1)
    for name in ("g.spz", "g.splat"):
        with pytest.raises(ReconError, match="not named as a file of a mesh"):
            run_command(["convert", str(tmp_path / "b.obj"), str(tmp_path / name)])
    with pytest.raises(ReconError, match="of splats only"):
        run_command(["convert", str(tmp_path / "b.obj"), str(tmp_path / "g.ply"), "--y", "up"])
    write_splats(random_gaussians(3), tmp_path / "h.ply")
    with pytest.raises(ReconError, match="not named as a file of splats"):
        run_command(["convert", str(tmp_path / "h.ply"), str(tmp_path / "g.obj")])
    assert not list(tmp_path.glob("g.*"))


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    a, b = tmp_path / "a.ply", tmp_path / "b.spz"
    write_splats(random_gaussians(3), a)
    b.write_bytes(b"mine")
    before = a.read_bytes()
    for words, arguments in (
        ("exists already", [a, b]),
        ("is the file to read", [a, a, "--overwrite"]),
        ("folder .* does not exist", [a, tmp_path / "none" / "c.spz"]),
    ):
        with pytest.raises(ReconError, match=words):
            run_command(["convert", *map(str, arguments)])
    assert (a.read_bytes(), b.read_bytes()) == (before, b"mine")
    assert run_command(["convert", str(a), str(b), "--overwrite"]) == 0
    assert len(read_splats(b)) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "b.spz"]


def test_pictures_beside_an_obj_are_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "project.json").write_text("{}")
    corners, faces = np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)
    texture = Texture(np.zeros((4, 4, 3), np.uint8), np.zeros((3, 2), np.float32), faces)
    write_mesh(Mesh(corners, faces, np.zeros((3, 3), np.uint8), texture), tmp_path / "out" / "mesh.glb")
    photo = tmp_path / "my_mug.png"
    photo.write_bytes(b"photo")
    for command in (
        ["export", str(tmp_path / "out"), "--to", "obj", "-o", str(tmp_path / "my mug.obj")],
        ["convert", str(tmp_path / "out" / "mesh.glb"), str(tmp_path / "my mug.obj")],
    ):
        with pytest.raises(ReconError, match=r"my_mug\.png exists already"):
            run_command(command)
        assert photo.read_bytes() == b"photo"
        assert not (tmp_path / "my mug.obj").exists()
    assert run_command([*command, "--overwrite"]) == 0
    assert read_mesh(tmp_path / "my mug.obj").texture is not None


def test_exports_point_y_where_one_says_and_replace_nothing_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.json").write_text("{}")
    gaussians = random_gaussians(3)
    write_ply(gaussians, tmp_path / "splats.ply")
    command = ["export", str(tmp_path), "--to", "ply", "-o", str(tmp_path / "room.ply")]
    assert run_command(command) == 0
    with pytest.raises(ReconError, match="exists already"):
        run_command(command)
    assert read_ply(tmp_path / "room.ply").means[:, 1].tolist() == (-gaussians.means[:, 1]).tolist()
    assert run_command([*command, "--y-out", "up", "--overwrite"]) == 0
    assert torch.equal(read_ply(tmp_path / "room.ply").means, gaussians.means)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "splats.ply").write_bytes(b"mine")
    into = ["export", str(tmp_path), "--to", "ply", "-o", str(tmp_path / "folder")]
    with pytest.raises(ReconError, match="exists already"):
        run_command(into)
    assert (tmp_path / "folder" / "splats.ply").read_bytes() == b"mine"
    assert run_command([*into, "--overwrite"]) == 0
    for _ in range(2):  # what lies in the project may be made anew
        assert run_command(["export", str(tmp_path), "--to", "splat"]) == 0


def test_the_window_saves_over_the_file_that_was_agreed_upon_only(tmp_path: Path) -> None:
    window_saver = pytest.importorskip("app.window_saver")
    (tmp_path / "project.json").write_text("{}")
    write_ply(random_gaussians(3), tmp_path / "splats.ply")
    file = tmp_path / "room.ply"
    file.write_bytes(b"old")
    with pytest.raises(ReconError, match="exists already"):
        run_command(window_saver.export_arguments(tmp_path, "ply", file, may_replace=False))
    assert run_command(window_saver.export_arguments(tmp_path, "ply", file, may_replace=True)) == 0
    assert len(read_ply(file)) == 3


class Recorder(Quiet):
    def __init__(self) -> None:
        self.fractions: list[float] = []

    def progress(self, event: PipelineEvent) -> None:
        self.fractions.append(event.overall_fraction)


def test_progress_is_shown_from_the_third_second_on() -> None:
    recorder, seconds = Recorder(), [0.0]
    with late_progress(create=lambda: recorder, now=lambda: seconds[0]) as progress:
        progress(1, 4, "")
        seconds[0] = PATIENCE_S
        progress(2, 4, "")
    assert recorder.fractions == [0.5]
