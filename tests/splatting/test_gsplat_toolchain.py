"""Each piece that gsplat may lack is named, with what to do about it."""

import os
import shutil
import stat
from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension

from splatting import gsplat_toolchain, rasterize_gsplat
from splatting.gsplat_toolchain import compile_error, first_error_line, missing_piece, own_tools_on_path


def make_tool(path: Path, said: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with everything: torch for CUDA 12.4, a device, nvcc 12.1, c++ and ninja. Its toolkit's folder."""
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setattr(gsplat_toolchain.sysconfig, "get_path", lambda name: str(tmp_path / "scripts"))
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    for variable in ("CXX", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    make_tool(tmp_path / "cuda" / "bin" / "nvcc", "Cuda compilation tools, release 12.1, V12.1.105")
    make_tool(tmp_path / "tools" / "c++")
    make_tool(tmp_path / "scripts" / "ninja")
    return tmp_path / "cuda"


def assert_lacks(reason: str, remedy: str) -> None:
    """`missing_piece` says both, one sentence each."""
    found = missing_piece()
    assert found is not None
    assert reason in found.reason
    assert remedy in found.remedy
    assert all(text.endswith(".") and "\n" not in text for text in vars(found).values())


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for compilers are shell scripts")


def test_nothing_is_missing_where_everything_is_there(whole: Path) -> None:
    assert missing_piece() is None


def test_a_torch_without_cuda_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert_lacks(f"torch {torch.__version__} is built without CUDA.", "build of torch with CUDA")


def test_a_missing_device_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert_lacks("no CUDA device", "nvidia-smi")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert_lacks("no CUDA device", "CUDA_VISIBLE_DEVICES, which is '-1'")


def test_a_missing_gsplat_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_toolchain.importlib.util, "find_spec", lambda name: None)
    assert_lacks("gsplat is not installed.", "pip install")


def test_an_unset_home_of_cuda_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    assert_lacks("CUDA_HOME is not set and the PATH has none.", "CUDA toolkit 12.4")


def test_a_home_of_cuda_without_nvcc_is_named(whole: Path) -> None:
    (whole / "bin" / "nvcc").unlink()
    assert_lacks(f"There is no nvcc in {whole / 'bin'}.", "set CUDA_HOME")


def test_an_nvcc_that_does_not_run_is_named(whole: Path) -> None:
    (whole / "bin" / "nvcc").write_text("#!/bin/sh\nexit 3\n")
    assert_lacks("nvcc does not run", "CUDA toolkit 12.4")


def test_an_nvcc_of_another_cuda_than_torchs_is_named(whole: Path) -> None:
    make_tool(whole / "bin" / "nvcc", "Cuda compilation tools, release 11.8, V11.8.89")
    assert_lacks("nvcc is of CUDA 11.8, but torch is built for CUDA 12.4.", "CUDA toolkit 12.4")


def test_a_missing_compiler_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-c++ -m64")
    assert_lacks("'no-such-c++ -m64' was not found.", "set CXX")
    monkeypatch.delenv("CXX")
    (whole.parent / "tools" / "c++").unlink()
    assert_lacks("'c++' was not found.", "g++")


def test_a_missing_ninja_is_named(whole: Path) -> None:
    (whole.parent / "scripts" / "ninja").unlink()
    assert_lacks("no ninja", "pip install ninja")


def test_a_gsplat_that_brings_its_kernels_needs_no_compiler(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    folder = whole.parent / "site" / "gsplat"
    make_tool(folder / "csrc.cpython-311-x86_64-linux-gnu.so")
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(folder.parent))
    spec = gsplat_toolchain.importlib.util.spec_from_file_location(
        "gsplat", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    monkeypatch.setattr(gsplat_toolchain.importlib.util, "find_spec", lambda name: spec)
    assert missing_piece() is None


# What torch 2.13 raised for a missing header; the command is shortened.
BROKEN_BUILD = """Error building extension 'gsplat_cuda': [1/2] c++ -MMD -MF b.o.d -fPIC -std=c++20 -c b.cpp -o b.o
FAILED: b.o
c++ -MMD -MF b.o.d -DTORCH_EXTENSION_NAME=xp -fPIC -std=c++20 -c b.cpp -o b.o
b.cpp:1:10: fatal error: {header}: No such file or directory
    1 | #include "{header}"
compilation terminated.
ninja: build stopped: subcommand failed.
"""


@pytest.mark.parametrize(
    ("said", "line", "remedy"),
    [
        (BROKEN_BUILD.format(header="glm.hpp"), "b.cpp:1:10: fatal error: glm.hpp: No such file", "VERBOSE=1"),
        (BROKEN_BUILD.format(header="Python.h"), "fatal error: Python.h", "python3-dev"),
        (BROKEN_BUILD.format(header="cuda_runtime_api.h"), "cuda_runtime_api.h", "CUDA_HOME"),
        # What nvcc 13.0 prints, and host_config.h of CUDA 12 for a compiler that is too new.
        ("[1/9] nvcc -c b.cu\nFAILED: b.o\nb.cu(1): error: identifier\n", "b.cu(1): error:", "VERB"),
        ("x\nnvcc fatal   : Unsupported gpu architecture 'compute_35'", "Unsupported gpu", "knows this GPU"),
        ("x\nhost_config.h:143:2: error: #error -- unsupported GNU version! gcc later", "unsupported GNU", "older C++"),
        ("[9/9] c++ -lcudart\n/usr/bin/ld: cannot find -lcudart: No such file", "cannot find -lcudart", "CUDA_HOME"),
        ("/cache/gsplat_cuda.so: undefined symbol: _ZN3c10", "undefined symbol", "Delete gsplat_cuda"),
        ("gsplat finds no CUDA toolkit", "gsplat finds no CUDA toolkit", "VERBOSE=1"),
    ],
)  # fmt: skip
def test_a_failed_compilation_gives_the_compilers_own_words(
    said: str, line: str, remedy: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(rasterize_gsplat, "_load_kernels", fail)
    found = rasterize_gsplat.why_unavailable()
    assert found is not None
    assert line in found.reason
    assert "\n" not in found.reason
    assert remedy in found.remedy


def test_an_error_without_words_is_called_by_its_name() -> None:
    assert "KeyError" in compile_error(KeyError()).reason


def test_a_long_line_keeps_its_end_where_the_message_stands() -> None:
    line = first_error_line("a" * 500 + ".cu(3): error: no")
    assert len(line) == gsplat_toolchain.LONGEST_LINE
    assert line.endswith(".cu(3): error: no")


def test_missing_pieces_are_told_without_loading_any_kernel(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    monkeypatch.setattr(rasterize_gsplat, "_load_kernels", lambda: pytest.fail("compiled"))
    assert rasterize_gsplat.why_unavailable() == missing_piece()


def test_kernels_that_load_are_available_and_their_chatter_is_no_event(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rasterize_gsplat, "_load_kernels", lambda: print("gsplat: Setting up CUDA"))
    assert rasterize_gsplat.why_unavailable() is None
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Setting up" in printed.err


def test_ninja_of_the_environment_is_found_while_compiling_and_the_path_given_back(whole: Path) -> None:
    before = os.environ["PATH"]
    assert shutil.which("ninja") is None
    with own_tools_on_path():
        assert shutil.which("ninja") == str(whole.parent / "scripts" / "ninja")
    assert os.environ["PATH"] == before
