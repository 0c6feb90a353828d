"""What is taken out of a project stays out, says so, and can come back; what was fitted is never touched."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.align_project import align_project
from recon.artefacts import load_artefact
from recon.clean_project import (
    CleaningWish,
    CleanScene,
    open_clean_scene,
    remove,
    save_cleaning,
    selected,
    write_cleaned,
)
from recon.cleaning import Cleaned, cleaned
from recon.errors import ReconError
from recon.frame_wish import FrameWish
from recon.project import open_project
from recon.report import read_report
from recon.scene import Mesh
from splatting.formats.ply import read_ply
from splatting.gaussians import Gaussians
from splatting.selection import in_box
from tests.recon.test_align_project import N, run, scene_on_a_table


@pytest.fixture(scope="module", autouse=True)
def _small_previews() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recon.previews.SIDE_PX", 64)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cleaning") / "table"
    run(out)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "table"))


def half_of(scene: CleanScene) -> CleaningWish:
    """A box around the half with x below the middle."""
    xyz = scene.gaussians.means.numpy()
    low, high = xyz.min(axis=0) - 1, xyz.max(axis=0) + 1
    high[0] = np.median(xyz[:, 0])
    return CleaningWish(crop=tuple(float(value) for value in (*low, *high)))


def crop_half(out: Path) -> int:
    """Crop the project; returns how many Gaussians went."""
    scene = open_clean_scene(out)
    (count,) = remove(scene.history, selected(scene, half_of(scene)))
    save_cleaning(scene)
    return count


def test_a_crop_takes_out_what_lies_outside_and_undo_brings_back_the_very_file(out: Path) -> None:
    before, stored = (out / "splats.ply").read_bytes(), (out / "work/splats.npz").read_bytes()
    count = crop_half(out)
    assert count == N // 2
    scene = open_clean_scene(out)
    left = read_ply(out / "splats.ply")
    assert len(left) == N - count
    box = half_of(scene).crop
    assert box is not None
    assert in_box(left.means.numpy(), box[:3], box[3:]).all()
    assert f"{count} of {N} Gaussians were cleaned away" in read_report(out).warnings[-1]
    scene.history.undo()
    save_cleaning(scene)
    assert (out / "splats.ply").read_bytes() == before
    assert (out / "work/splats.npz").read_bytes() == stored
    assert read_report(out).warnings == ()


def test_a_file_of_ones_own_leaves_the_project_as_it_is(out: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    scene = open_clean_scene(out)
    remove(scene.history, selected(scene, half_of(scene)))
    write_cleaned(scene, tmp_path / "new" / "half.ply")
    assert len(read_ply(tmp_path / "new" / "half.ply")) == N // 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_another_frame_does_not_bring_back_what_is_out(out: Path) -> None:
    count = crop_half(out)
    align_project(out, FrameWish(up="-z", scale="0.png,1.png=3m"))
    assert len(read_ply(out / "splats.ply")) == N - count
    scene = open_clean_scene(out)  # selections go on in the new frame
    assert int(scene.history.removed().sum()) == count
    assert np.allclose(
        scene.gaussians.select(torch.from_numpy(~scene.history.removed())).means,
        read_ply(out / "splats.ply").means,
        atol=1e-5,
    )


def test_another_fit_says_that_all_is_back(out: Path) -> None:
    crop_half(out)
    project, fitted = open_project(out), load_artefact(out / "work/splats.npz", (Gaussians,))
    same = cleaned(project, fitted, made_from=project.record("splats")["fingerprint"])
    other = cleaned(project, fitted, made_from="another fit")
    assert len(same.gaussians) == N // 2
    assert len(other.gaussians) == N
    assert other.identity == []
    assert "may be back" in str(other.note)
    assert "all outside of" in str(other.note)
    assert len(open_clean_scene(out).history) == 1


def test_a_killed_save_is_finished_or_never_was(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "splats.ply").read_bytes()
    scene = open_clean_scene(out)
    remove(scene.history, selected(scene, half_of(scene)))
    with monkeypatch.context() as patch:
        patch.setattr("recon.clean_project.write_whole", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            save_cleaning(scene)
    assert (out / "splats.ply").read_bytes() == before
    assert not (out / "work/cleaning").exists()
    with monkeypatch.context() as patch:  # killed while the files are moved
        patch.setattr("recon.project._move_into", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            save_cleaning(scene)
    open_project(out)
    assert len(read_ply(out / "splats.ply")) == N // 2
    assert len(json.loads((out / "cleaned.json").read_text())["steps"]) == 1


def test_what_cannot_be_cleaned_is_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="no project folder"):
        open_clean_scene(tmp_path)
    scene = open_clean_scene(out)
    far = CleaningWish(crop=(1e3, 1e3, 1e3, 2e3, 2e3, 2e3))
    with pytest.raises(ReconError, match="Nothing would be left"):
        remove(scene.history, selected(scene, far))
    with pytest.raises(ValueError, match="strength must be 0 to 1"):
        CleaningWish(strength=2)
    (out / "cleaned.json").write_text("{")
    with pytest.raises(ReconError, match=r"cleaned\.json cannot be read"):
        open_clean_scene(out)
    (out / "splats.ply").unlink()
    with pytest.raises(ReconError, match="no splats yet"):
        open_clean_scene(out)


def test_the_mesh_loses_what_lies_where_everything_went() -> None:
    _, _, gaussians, _ = scene_on_a_table()
    xyz = gaussians.means.numpy()
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21)), -1).reshape(-1, 2)
    vertices = np.stack([grid[:, 0], 0.08 * grid[:, 0] - 0.5, grid[:, 1]], 1).astype(np.float32)
    corners = np.arange(21 * 20).reshape(20, 21)[:, :20].reshape(-1)
    mesh = Mesh(
        vertices, np.stack([corners, corners + 1, corners + 21], 1).astype(np.int32), np.zeros((441, 3), np.uint8)
    )
    gone = xyz[:, 0] > 0
    cut = Cleaned(gaussians.select(torch.from_numpy(~gone)), gone, gaussians).without_removed(mesh)
    assert 0.4 < len(cut.faces) / len(mesh.faces) < 0.6
    assert cut.vertices[:, 0].max() < 0.35
    some = np.random.default_rng(0).uniform(size=N) < 0.1  # floaters here and there open no holes
    assert len(Cleaned(gaussians, some, gaussians).without_removed(mesh).faces) == len(mesh.faces)
    assert Cleaned(gaussians, ~np.ones(N, bool), gaussians).identity == []
    assert Cleaned(gaussians, some, gaussians).identity != Cleaned(gaussians, gone, gaussians).identity
