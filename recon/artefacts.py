"""Store what a stage made in one open file, and read it back.

A value is a tree of frozen dataclasses, tuples, dicts, numbers, strings, paths, arrays and tensors. The tree becomes
JSON, the arrays members of one NumPy archive. Nothing in a file is ever executed: only known dataclasses are built.
"""

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splatting.formats.whole_files import whole_file


class ArtefactError(Exception):
    """The file is not an artefact, is damaged, or holds a type that was not expected."""


def save_artefact(value: Any, path: Path) -> None:
    """Write a value; the file appears whole or not at all.

    Raises:
        TypeError: a part of the value is of no storable type.
    """
    arrays: list[np.ndarray] = []
    tree = _encode(value, arrays)
    members: dict[str, Any] = {f"array_{i}": array for i, array in enumerate(arrays)}
    with whole_file(path) as file:
        np.savez(file, tree=np.array(json.dumps(tree)), **members)


def load_artefact(path: Path, types: tuple[type, ...]) -> Any:
    """Read a value back.

    Args:
        path: written by `save_artefact`.
        types: the dataclasses that may occur.

    Raises:
        ArtefactError: the file is missing, damaged, or names another type.
    """
    by_name = {cls.__name__: cls for cls in types}
    try:
        with np.load(path, allow_pickle=False) as archive:
            tree = json.loads(str(archive["tree"]))
            return _decode(tree, lambda index: archive[f"array_{index}"], by_name)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{path.name} cannot be read: {error}") from error


def to_json(value: Any) -> Any:
    """The tree of a value that holds no arrays, for fingerprints and project files."""
    arrays: list[np.ndarray] = []
    tree = _encode(value, arrays)
    if arrays:
        raise TypeError("the value holds arrays")
    return tree


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, np.ndarray | torch.Tensor):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        arrays.append(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        return {kind: len(arrays) - 1}
    if isinstance(value, list | tuple):
        return {"tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _encode(item, arrays) for key, item in value.items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, "fields": parts}
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _decode(tree: Any, array: Callable[[int], np.ndarray], types: dict[str, type]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "path" in tree:
        return Path(tree["path"])
    if "array" in tree:
        return array(tree["array"])
    if "tensor" in tree:
        return torch.from_numpy(array(tree["tensor"]))
    if "tuple" in tree:
        return tuple(_decode(item, array, types) for item in tree["tuple"])
    if "dict" in tree:
        return {key: _decode(item, array, types) for key, item in tree["dict"].items()}
    return types[tree["type"]](**{name: _decode(part, array, types) for name, part in tree["fields"].items()})
