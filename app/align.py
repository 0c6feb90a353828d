"""`handful align`: turn a finished project upright and give it real lengths."""

import argparse
from pathlib import Path

from app.arguments import ArgumentParser, existing_path
from app.frame_flags import add_frame_flags, frame_wish, joined_values
from app.progress_display import create_display
from recon.errors import ReconError
from recon.progress import PipelineEvent

EXAMPLES = (
    'handful align out/mug --scale "IMG_1.jpg:412,300,IMG_1.jpg:980,310=9.5cm"   two points of one photo',
    'handful align out/mug --scale "IMG_1.jpg:412,300,IMG_4.jpg:77,1210=9.5cm"   in two photos',
    'handful align out/room --scale "IMG_1.jpg,IMG_2.jpg=0.5m"                  two cameras stood so far apart',
    'handful align out/mug --scale "IMG_1.jpg:20%,45%,IMG_1.jpg:60%,45%=4in"    shares of width and height',
    "handful align out/room --up auto                                           floors, walls and cameras decide",
    "handful align out/room --up -z                                             z of the cameras' frame is down",
    "handful align out/room --up none --scale none                              as the cameras are",
)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful align`."""
    parser = ArgumentParser(
        "handful align",
        description="Move a finished project: +Y up, the ground at y = 0, the subject above the origin, and in metres "
        "once a\nlength is known. Splats, mesh, points and cameras move together, or nothing does; nothing is computed "
        "anew.\nWhat was exported before stays as it is.",
        examples=EXAMPLES,
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    add_frame_flags(parser)
    parsed = parser.parse_args(joined_values(arguments))
    if parsed.up is None and parsed.scale is None:
        parser.error("one of the arguments --up and --scale is required")
    return parsed


def run(parsed: argparse.Namespace) -> int:
    """Move the project and say how; returns the exit code."""
    from recon.align_project import align_project

    with create_display("auto") as display:

        def progress(done: int, total: int, message: str) -> None:
            fraction = done / max(total, 1)
            display.progress(PipelineEvent("mesh", fraction, fraction, message))

        try:
            frame = align_project(Path(parsed.project), frame_wish(parsed), progress=progress)
        except OSError as error:
            raise ReconError(
                f"{parsed.project} cannot be written: {error.strerror or error}.", "Nothing has changed."
            ) from error
    print(f"Up: {frame.up}")
    print(f"Unit: {'metre' if frame.unit == 'm' else 'arbitrary'}. {frame.scale}")
    return 0
