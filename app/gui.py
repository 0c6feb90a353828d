"""`handful gui`: open the window."""

import argparse
import os
import sys
from pathlib import Path

from app.arguments import ArgumentParser
from recon.errors import ReconError

EXAMPLES = ("handful gui", "handful gui out/room")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful gui`."""
    parser = ArgumentParser("handful gui", description="Open the desktop window.", examples=EXAMPLES)
    parser.add_argument("output", nargs="?", type=Path, metavar="OUT", help="project folder to build into")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Show the window until it is closed.

    Raises:
        ReconError: PyQt6 is not installed or there is no display; Qt itself would abort the process.
    """
    problem = display_problem()
    if problem is not None:
        raise ReconError(
            f"The window cannot be opened: {problem}.", "Use the command line: handful reconstruct --help."
        )
    try:
        from app.window_start import open_window
    except ImportError as error:
        raise ReconError(
            f"The window cannot be opened: {error}.",
            "'handful doctor' says what is missing; the command line does without.",
        ) from error
    return open_window(parsed.output)


def display_problem() -> str | None:
    """Why Qt would find no screen; None if it should."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return None
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    return "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)"
