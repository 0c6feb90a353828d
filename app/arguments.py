"""Parsing arguments: errors in one sentence with a hint, and types that say what they accept."""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from recon.errors import ReconError


class ArgumentParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and a hint on stderr, with exit code 2; options are never abbreviated."""

    def __init__(self, prog: str, *, description: str, examples: Iterable[str] = ()) -> None:
        lines = "\n".join(f"  {example}" for example in examples)
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"examples:\n{lines}" if lines else None,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Print the sentence and leave with exit code 2."""
        message = re.sub(r"^argument (?:\S*/)?(\S+?): ", r"\1 ", message)
        message = message.replace(" expected one argument", " needs a value").rstrip(".")
        print_error(f"{message[0].upper()}{message[1:]}.", f"See {self.prog} --help.")
        sys.exit(2)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Leaves descriptions and examples as they are written, and keeps options beside their texts."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def print_error(message: str, hint: str = "") -> None:
    """Tell on stderr what is wrong and what to do about it."""
    print(f"Error: {message}", file=sys.stderr)
    if hint:
        print(f"Hint: {hint}", file=sys.stderr)


def one_of(*choices: str) -> Callable[[str], str]:
    """A type that accepts some words only."""

    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"must be {' or '.join(choices)}, not '{text}'")
        return text

    return parse


def number(kind: type, low: float | None = None, high: float | None = None) -> Callable[[str], Any]:
    """A type that accepts whole (`int`) or decimal (`float`) numbers within bounds, both included."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            name = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {name}, not '{text}'") from None
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must {_bounds(low, high)}, not {text}")
        return value

    return parse


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"lie between {low:g} and {high:g}" if high < 1e6 else f"be {low:g} or more, and no more than {high:.0f}"
    if low is not None:
        return f"be {low:g} or more"
    return f"be {high:g} or less" if high is not None else "be finite"


def existing_path(text: str) -> Path:
    """A type that accepts files and folders that exist."""
    path = Path(text)
    try:
        exists = path.exists()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {text}: {error.strerror}") from None
    if not exists:
        raise argparse.ArgumentTypeError(f"names {text}, which does not exist")
    return path


def check_unused(destination: Path, *, may_replace: bool = False, source: Path | None = None) -> None:
    """Refuse a place to write at which there already is something.

    Args:
        destination: file, or folder, to be written.
        may_replace: whether a file may be replaced; a folder never is.
        source: what it is made from, which is not replaced either.

    Raises:
        ReconError: there is something, or no folder to write into.
    """
    if not destination.parent.is_dir():
        raise ReconError(f"The folder {destination.parent} does not exist.", "Make it, or name another place.")
    if not destination.exists():
        return
    if source is not None and destination.samefile(source):
        raise ReconError(f"{destination} is the file to read.", "Name another one to write.")
    if destination.is_dir():
        raise ReconError(f"{destination} is a folder.", "Name a file in it.")
    if not may_replace:
        raise ReconError(f"{destination} exists already.", "Name another place, or add --overwrite.")
