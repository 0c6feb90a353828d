"""`handful export`: the scene in another format."""

import argparse
from pathlib import Path

from app.arguments import ArgumentParser, existing_path, one_of

EXAMPLES = (
    "handful export out/room --to ply -o room.ply        Gaussian splats, for any 3DGS viewer",
    "handful export out/room --to glb -o room.glb        the mesh",
    "handful export out/room --to colmap -o room_model   cameras, points and undistorted images",
)
FORMATS = ("ply", "glb", "colmap")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful export`."""
    parser = ArgumentParser(
        "handful export", description="Write the splats, the mesh or the cameras of a project.", examples=EXAMPLES
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    parser.add_argument("--to", required=True, dest="format", type=one_of(*FORMATS), metavar="|".join(FORMATS))
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: in OUT/export")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Write the file or folder and say where it is; returns the exit code."""
    from recon.export import export

    print(export(parsed.project, parsed.format, parsed.output))
    return 0
