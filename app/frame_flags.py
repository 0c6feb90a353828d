"""`--up` and `--scale`, the same for every command that makes or moves a project."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recon.frame_wish import FrameWish

FLAGS = ("--up", "--scale")


def add_frame_flags(parser: argparse.ArgumentParser) -> None:
    """Add both options."""
    from recon.frame_wish import parse_scale, parse_up

    parser.add_argument(
        "--up",
        type=_checked(parse_up),
        metavar="DIRECTION",
        help="auto, none, an axis of the cameras' own frame such as +z or -y, or three numbers as in 0,0.2,1; default "
        "auto, but none with --cameras",
    )
    parser.add_argument(
        "--scale",
        type=_checked(parse_scale),
        metavar='"A,B=LENGTH"',
        help="a length that you know, in mm, cm, m, in or ft. A and B: PHOTO:x,y for a point at these pixels of a "
        "photo as you gave it (or PHOTO:x%%,y%%), or PHOTO for where its camera stood. none: forget it",
    )


def joined_values(arguments: list[str], flags: tuple[str, ...] = FLAGS) -> list[str]:
    """Arguments with `--up -y` as `--up=-y`: argparse takes what begins with a minus for another option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in flags and not argument.startswith("--"):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def frame_wish(parsed: argparse.Namespace) -> "FrameWish":
    """What the two options ask for."""
    from recon.frame_wish import FrameWish

    return FrameWish(parsed.up, parsed.scale)


def _checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """A type that leaves texts as they are but refuses those that `check` refuses."""

    def parse(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text.strip()

    return parse
