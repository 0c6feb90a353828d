"""Artefacts come back as they were, and nothing else is ever built from a file."""

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.artefacts import ArtefactError, load_artefact, save_artefact


@dataclass(frozen=True)
class Leaf:
    values: np.ndarray
    tensor: torch.Tensor
    where: Path | None


@dataclass(frozen=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...]
    numbers: dict[str, float]


def _tree() -> Tree:
    leaf = Leaf(np.arange(6, dtype=np.int32).reshape(2, 3), torch.linspace(0, 1, 5), Path("a/b.jpg"))
    return Tree("scene", (leaf, Leaf(np.zeros((0, 3)), torch.zeros(0), None)), {"focal": 1.5})


def test_a_tree_comes_back_with_the_same_values_types_and_dtypes(tmp_path: Path) -> None:
    save_artefact(_tree(), tmp_path / "tree.npz")
    back = load_artefact(tmp_path / "tree.npz", (Tree, Leaf))
    first, second = back.leaves
    assert (back.name, back.numbers, first.where, second.where) == ("scene", {"focal": 1.5}, Path("a/b.jpg"), None)
    np.testing.assert_array_equal(first.values, _tree().leaves[0].values)
    assert first.values.dtype == np.int32
    assert torch.equal(first.tensor, _tree().leaves[0].tensor)
    assert second.values.shape == (0, 3)


def test_a_type_that_was_not_expected_is_refused(tmp_path: Path) -> None:
    save_artefact(_tree(), tmp_path / "tree.npz")
    with pytest.raises(ArtefactError):
        load_artefact(tmp_path / "tree.npz", (Tree,))


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "missing"])
def test_a_damaged_file_is_refused_with_one_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tree.npz"
    save_artefact(_tree(), path)
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "truncated": content[: len(content) // 2], "text": b"hello", "missing": b""}[damage]
    )
    if damage == "missing":
        path.unlink()
    with pytest.raises(ArtefactError):
        load_artefact(path, (Tree, Leaf))


def test_a_value_that_cannot_be_stored_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_artefact(object(), tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_an_artefact_that_does_not_fit_on_the_disk_leaves_the_old_one_and_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_artefact(_tree(), tmp_path / "a.npz")

    def fill_the_disk(file: object, **arrays: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        save_artefact(_tree(), tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert load_artefact(tmp_path / "a.npz", (Tree, Leaf)).name == "scene"
