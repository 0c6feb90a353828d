"""Run pytest with splatting's kernels from another build: python -m tests.with_kernels LIBRARY [PYTEST ARGUMENTS]."""

import importlib.util
import sys
from pathlib import Path

import pytest

NAME = "splatting._native"


def load_kernels(library: Path) -> None:
    """Make `splatting._native` the module in `library`, wherever the package is installed."""
    spec = importlib.util.spec_from_file_location(NAME, library)
    if spec is None or spec.loader is None:
        raise ValueError(f"{library} is no extension module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module


if __name__ == "__main__":
    load_kernels(Path(sys.argv[1]))
    sys.exit(pytest.main(sys.argv[2:]))
