"""Every public name says what it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("app", "recon", "matching", "splatting")
    for path in ROOT.glob(f"{package}/**/*.py")
)
# What these do is said by the library that calls them.
OVERRIDES = {"forward", "backward"}


def undocumented(source: str) -> Iterator[str]:
    """Names of a module, its public functions, classes and their public methods that lack a docstring."""
    tree = ast.parse(source)
    if source.strip() and not ast.get_docstring(tree):
        yield "the module"
    yield from _undocumented_in(tree, "")


def _undocumented_in(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        is_qt_override = prefix and node.name != node.name.lower()
        if not ast.get_docstring(node) and node.name not in OVERRIDES and not is_qt_override:
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _undocumented_in(node, node.name + ".")


@pytest.mark.parametrize("path", MODULES)
def test_public_names_have_docstrings(path: str) -> None:
    assert list(undocumented((ROOT / path).read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", ["the module"]),
        ('"""Doc."""\ndef f(): ...', ["f"]),
        ('"""Doc."""\ndef _f(): ...', []),
        ('"""Doc."""\nclass A:\n    """A."""\n    def f(self): ...', ["A.f"]),
        ('"""Doc."""\nclass A: ...', ["A"]),
        ("", []),
    ],
)
def test_missing_docstrings_are_found(source: str, expected: list[str]) -> None:
    assert list(undocumented(source)) == expected
