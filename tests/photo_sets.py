"""Where the measurement photo sets lie."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def scene_dir(name: str) -> Path:
    """Folder of a photo set below HANDFUL_DATA; skips the test with the reason where it is absent."""
    folder = Path(os.environ.get("HANDFUL_DATA", _DEFAULT)) / name
    if not folder.is_dir():
        pytest.skip(f"photo set {name} is not in {folder.parent} (set HANDFUL_DATA)")
    return folder
