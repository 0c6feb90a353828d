"""Which version of the program this is."""

import importlib.metadata
import tomllib
from pathlib import Path


def program_version() -> str:
    """The version of the installed distribution; where it is not installed, of `pyproject.toml` beside it."""
    try:
        return importlib.metadata.version("handful")
    except importlib.metadata.PackageNotFoundError:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
        return project["project"]["version"]
