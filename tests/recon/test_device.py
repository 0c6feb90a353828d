"""The device: auto goes on with the CPU and says why, cuda by name refuses with what to do."""

import shutil

import pytest
import torch

from recon import device
from recon.device import Device, choose_device
from recon.errors import ReconError
from splatting import rasterize_gsplat
from splatting.gsplat_toolchain import MissingPiece

NO_NVCC = MissingPiece("There is no nvcc.", "Install the CUDA toolkit.")
NO_COMPILE = MissingPiece("gsplat's kernels do not compile: a.cu(1): error: no.", "Ask the compiler.")


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU with all that gsplat needs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "missing_piece", lambda: None)
    monkeypatch.setattr(rasterize_gsplat, "why_unavailable", lambda: None)


def test_the_cpu_by_name_looks_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_piece", lambda: pytest.fail("looked"))
    assert choose_device("cpu") == Device("cpu", "cpu", "It was asked for.")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_gpu_that_works_is_used(name, with_gpu: None) -> None:
    chosen = choose_device(name)
    assert (chosen.torch_name, chosen.rasterizer, chosen.warning) == ("cuda", "gsplat", None)
    assert chosen.reason


@pytest.mark.parametrize("where", ["before compiling", "compiling"])
def test_auto_goes_on_with_the_cpu_and_warns_that_the_gpu_idles(
    where: str, with_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = NO_NVCC if where == "before compiling" else NO_COMPILE
    target, name = (device, "missing_piece") if missing is NO_NVCC else (rasterize_gsplat, "why_unavailable")
    monkeypatch.setattr(target, name, lambda: missing)
    chosen = choose_device("auto")
    assert (chosen.torch_name, chosen.rasterizer, chosen.reason) == ("cpu", "cpu", missing.reason)
    assert chosen.warning == f"The GPU is not used: {missing.reason} {missing.remedy}"


def test_without_a_gpu_auto_says_why_but_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    chosen = choose_device("auto")
    assert (chosen.torch_name, chosen.warning) == ("cpu", None)
    assert "CUDA" in chosen.reason


def test_auto_warns_of_a_driver_whose_gpu_torch_cannot_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    warning = choose_device("auto").warning
    assert warning is not None
    assert warning.startswith("The GPU is not used: torch ")


def test_cuda_by_name_is_refused_with_the_reason_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_piece", lambda: NO_NVCC)
    with pytest.raises(ReconError) as refused:
        choose_device("cuda")
    assert refused.value.message == "CUDA was asked for, but cannot be used: There is no nvcc."
    assert refused.value.hint == "Install the CUDA toolkit; --device cpu works meanwhile."
