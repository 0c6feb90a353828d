"""`handful clean`: counts first, files then, and a way back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import clean
from recon.errors import ReconError
from splatting.formats import read_splats
from splatting.formats.ply import read_ply
from tests.recon.test_align_project import N, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        run(tmp_path_factory.getbasetemp() / "cleaned_table")
        yield tmp_path_factory.getbasetemp() / "cleaned_table"


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "table"))


def call(*arguments: object) -> int:
    """The command as the command line runs it."""
    return clean.run(clean.parse([str(argument) for argument in arguments]))


def test_without_options_it_counts_and_changes_nothing(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (out / "splats.ply").read_bytes()
    assert call(out) == 0
    told = capsys.readouterr().out
    assert all(f"--strength {strength:<4g}" in told for strength in clean.PREVIEWED)
    assert "--unseen" in told
    assert "The scene reaches from" in told
    assert (out / "splats.ply").read_bytes() == before
    assert not (out / "cleaned.json").exists()


def test_a_crop_with_negative_numbers_is_taken_and_undone(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(out, "--crop", "-9,-9,-9,0,9,9") == 0
    left = len(read_ply(out / "splats.ply"))
    assert 0 < left < N
    told = capsys.readouterr().out
    assert f"Removed {N - left} of {N} Gaussians" in told
    assert "--mesh' makes it anew" in told
    assert call(out, "--undo") == 0
    told = capsys.readouterr().out
    assert "--mesh'" not in told
    assert "The mesh fits the scene as it is now." in told
    assert len(read_ply(out / "splats.ply")) == N
    with pytest.raises(ReconError, match="nothing to undo"):
        call(out, "--undo")


def test_a_file_of_ones_own_is_written_and_named(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(out, "--crop=-9,-9,-9,0,9,9", "-o", tmp_path / "mine.ply") == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "mine.ply")
    assert len(read_ply(tmp_path / "mine.ply")) < len(read_ply(out / "splats.ply")) == N
    assert call(out, "--crop=-9,-9,-9,0,9,9", "-o", tmp_path / "mine.spz") == 0
    assert len(read_splats(tmp_path / "mine.spz")) == len(read_ply(tmp_path / "mine.ply"))
    with pytest.raises(ReconError, match="not named as a file of Gaussians"):
        call(out, "--strength", "0.1", "-o", tmp_path / "mine.obj")


def test_no_file_is_replaced_unasked_and_none_of_the_project_at_all(out: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.ply"
    mine.write_bytes(b"mine")
    before = {name: (out / name).read_bytes() for name in ("splats.ply", "mesh.glb")}
    with pytest.raises(ReconError, match="exists already"):
        call(out, "--strength", "0.1", "-o", mine)
    assert mine.read_bytes() == b"mine"
    for name, content in before.items():
        with pytest.raises(ReconError, match="of the project itself"):
            call(out, "--strength", "0.1", "-o", out / name, "--overwrite")
        assert (out / name).read_bytes() == content
    assert call(out, "--strength", "0.1", "-o", mine, "--overwrite") == 0
    assert len(read_ply(mine)) > 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--strength", "1.5"], "--strength"),
        (["--crop", "0,0,0,1,1"], "six numbers"),
        (["--crop", "1,0,0,0,1,1"], "six numbers"),
        (["--mesh", "-o", "a.ply"], "--mesh"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        clean.parse([str(tmp_path), *options])
    assert caught.value.code == 2
    assert named in capsys.readouterr().err
