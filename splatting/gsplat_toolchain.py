"""What gsplat needs to compile its CUDA kernels, and which piece of it is missing.

Imports no gsplat, which takes seconds.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

LONGEST_LINE = 200  # characters of a compiler's message that are worth showing
_COMPLAINT = re.compile(r"\berror\s*:|\bnvcc fatal\b|\bcannot find -l|\bundefined symbol\b|\bundefined reference\b")
_REMEDIES = {
    r"unsupported GNU version|unsupported clang version": "Install an older C++ compiler and set CC and CXX to it.",
    r"Python\.h": "Install Python's headers, on Debian with 'apt-get install python3-dev'.",
    r"cuda[_a-z]*\.h\b|cannot find -lcuda": "Set CUDA_HOME to the folder of the CUDA toolkit, often /usr/local/cuda.",
    "Unsupported gpu architecture": "Install a CUDA toolkit that knows this GPU, or set TORCH_CUDA_ARCH_LIST.",
    r"undefined symbol": "Delete gsplat_cuda in ~/.cache/torch_extensions, which was compiled for another torch.",
}
_REMEDY = "See all that the compiler said with VERBOSE=1 python -c 'import gsplat.cuda._backend'."


@dataclass(frozen=True)
class MissingPiece:
    """Why gsplat cannot be used, and what to do about it; one sentence each."""

    reason: str
    remedy: str


def missing_piece() -> MissingPiece | None:
    """The first thing that keeps gsplat from working, found without compiling anything; None if all seems there."""
    return _missing_device() or _missing_package() or (None if _is_compiled() else _missing_compiler())


def compile_error(error: BaseException) -> MissingPiece:
    """What went wrong when the kernels were compiled or loaded."""
    line = first_error_line(str(error)) or type(error).__name__
    remedies = (remedy for sign, remedy in _REMEDIES.items() if re.search(sign, line))
    return MissingPiece(f"gsplat's kernels do not compile: {line.rstrip('.')}.", next(remedies, _REMEDY))


def first_error_line(text: str) -> str:
    """The first line in which a compiler, linker or nvcc complains; the first line at all if none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = next((line for line in lines if _COMPLAINT.search(line)), lines[0] if lines else "")
    return found if len(found) <= LONGEST_LINE else "..." + found[3 - LONGEST_LINE :]


@contextmanager
def own_tools_on_path() -> Iterator[None]:
    """ninja comes with gsplat, but lies where only an activated environment looks."""
    before = os.environ.get("PATH")
    os.environ["PATH"] = _search_path()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before


def _missing_device() -> MissingPiece | None:
    if torch.version.cuda is None:
        return MissingPiece(
            f"torch {torch.__version__} is built without CUDA.",
            "For a GPU by NVIDIA install a build of torch with CUDA.",
        )
    if not torch.cuda.is_available():
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        also = "" if hidden is None else f" and that CUDA_VISIBLE_DEVICES, which is '{hidden}', does not hide it"
        return MissingPiece(
            "torch finds no CUDA device.", f"Check that nvidia-smi, the driver's tool, lists a GPU{also}."
        )
    return None


def _missing_package() -> MissingPiece | None:
    if importlib.util.find_spec("gsplat") is None:
        return MissingPiece("gsplat is not installed.", "Install it with 'pip install \"gsplat>=1.5\"'.")
    return None


def _is_compiled() -> bool:
    """Whether this gsplat brings its kernels, as the wheels on its own index do."""
    spec = importlib.util.find_spec("gsplat")
    folders = (spec.submodule_search_locations if spec is not None else None) or ()
    return any(file.suffix in (".so", ".pyd") for folder in folders for file in Path(folder).glob("csrc.*"))


def _missing_compiler() -> MissingPiece | None:
    return _missing_nvcc() or _missing_cxx() or _missing_ninja()


def _missing_nvcc() -> MissingPiece | None:
    """nvcc where torch looks for it, and of a release that torch accepts: one of the same major version."""
    wanted = torch.version.cuda
    remedy = f"Install the CUDA toolkit {wanted}, or set CUDA_HOME to its folder."
    home = _cuda_home()
    if home is None:
        return MissingPiece("There is no nvcc: CUDA_HOME is not set and the PATH has none.", remedy)
    nvcc = Path(home) / "bin" / ("nvcc.exe" if sys.platform == "win32" else "nvcc")
    if not nvcc.is_file():
        return MissingPiece(f"There is no nvcc in {nvcc.parent}.", remedy)
    try:
        said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return MissingPiece(f"{nvcc} does not run: {error}.", remedy)
    release = re.search(r"release (\d+)\.\d+", said)
    if release and release[1] != str(wanted).split(".")[0]:
        text = f"nvcc is of CUDA {release[0].removeprefix('release ')}, but torch is built for CUDA {wanted}."
        return MissingPiece(text, remedy)
    return None


def _cuda_home() -> str | None:
    from torch.utils import cpp_extension  # asks for setuptools

    return cpp_extension.CUDA_HOME


def _missing_cxx() -> MissingPiece | None:
    """The C++ compiler that torch calls."""
    name = os.environ.get("CXX") or ("cl" if sys.platform == "win32" else "c++")
    if shutil.which(shlex.split(name)[0]) is not None:
        return None
    return MissingPiece(
        f"There is no C++ compiler: '{name}' was not found.",
        "Install one, on Debian with 'apt-get install g++', or set CXX to one.",
    )


def _missing_ninja() -> MissingPiece | None:
    if shutil.which("ninja", path=_search_path()) is not None:
        return None
    return MissingPiece("There is no ninja, which torch compiles with.", "Install it with 'pip install ninja'.")


def _search_path() -> str:
    return os.pathsep.join(filter(None, [os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")]))
