"""Measured rows in a JSON file: written whole, read with an error of ours where the file is something else."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from recon.errors import ReconError
from recon.report import to_plain
from recon.whole_files import write_whole

Row = TypeVar("Row")

_NOT_OURS = "Name another folder with -o, or delete the file."


def save_rows(rows: Sequence[object], path: Path) -> None:
    """Write all rows, dataclasses of plain values; the file appears whole or not at all."""
    write_whole(path, json.dumps({"rows": to_plain(list(rows))}, indent=1, ensure_ascii=False) + "\n")


def load_rows(path: Path, row_from: Callable[[dict], Row], what: str) -> list[Row]:
    """Read rows; none where there is no file.

    Args:
        path: of the file.
        row_from: undoes what `to_plain` made of one row.
        what: the file should hold, for the error's sentence.

    Raises:
        ReconError: the file is damaged or holds something else.
    """
    if not path.exists():
        return []
    try:
        return [row_from(plain) for plain in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except OSError as error:
        raise ReconError(f"{path} cannot be read: {error.strerror}.", _NOT_OURS) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReconError(f"{path} does not hold {what}: {error!s}.", _NOT_OURS) from error
