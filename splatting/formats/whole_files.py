"""Files that appear whole or not at all, also when they are written in parts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write aside, renamed into place at the end; an error leaves `path` as it was, and nothing else."""
    aside = path.with_name(path.name + ".partial")
    try:
        with aside.open("wb") as file:
            yield file
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
