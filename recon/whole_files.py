"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file aside, then rename it into place. Nothing is left behind when that fails.

    Text is coded as UTF-8; what stands for bytes of a path that are none becomes a question mark.
    """
    aside = path.with_name(path.name + ".partial")
    try:
        aside.write_bytes(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
