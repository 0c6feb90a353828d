"""`handful export`: the scene in another format."""

import argparse
from pathlib import Path

from app.arguments import ArgumentParser, check_unused, existing_path, one_of
from app.convert import UPS
from recon.export import EXPORTERS

EXAMPLES = (
    "handful export out/room --to ply -o room.ply        Gaussian splats, for SuperSplat, Blender and others",
    "handful export out/room --to ply --y-out up         the same as they lie in the project, as the mesh and cameras",
    "handful export out/room --to spz -o room.spz        a fifth of the size; also splat, sog, splat-glb",
    "handful export out/room --to glb -o room.glb        the mesh",
    "handful export out/room --to obj -o room.obj        the same with .mtl and .png; also stl, 3mf, mesh-ply",
    "handful export out/room --to html -o room.html      one offline page that any browser shows",
    "handful export out/room --to colmap -o room_model   cameras and undistorted photos; also transforms",
)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful export`."""
    parser = ArgumentParser(
        "handful export",
        description="Write the splats, the mesh or the cameras of a project.\n\n"
        "y points up in a project, and so in its mesh and cameras. Splats are turned to where programs expect y in\n"
        "files of the format: down in ply, compressed-ply, splat and sog, up in spz and splat-glb.",
        examples=EXAMPLES,
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    parser.add_argument("--to", required=True, dest="format", type=one_of(*EXPORTERS), metavar="FORMAT",
                        help=", ".join(EXPORTERS))  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: in OUT/export")
    parser.add_argument("--y-out", type=one_of("up", "down"), metavar="up|down",
                        help="where y is to point in a file of splats")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Write the file or folder and say where it is; returns the exit code."""
    from app.late_progress import late_progress
    from recon.export import destination_of, export
    from recon.mesh_files import files_beside

    output = parsed.output
    if output is not None and not EXPORTERS[parsed.format].is_folder:
        file = destination_of(parsed.project, parsed.format, output)
        for path in (file, *files_beside(file)):
            if path.exists():
                check_unused(path, may_replace=parsed.overwrite)
    with late_progress() as progress:
        made = export(parsed.project, parsed.format, output, up=UPS[parsed.y_out], progress=progress)
    print(made)
    return 0
