"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file aside, then rename it into place; text is coded as UTF-8. Nothing is left behind when that fails."""
    aside = path.with_name(path.name + ".partial")
    try:
        aside.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
