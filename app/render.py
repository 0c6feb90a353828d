"""`handful render`: pictures and films of the splats."""

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.arguments import ArgumentParser, check_unused, existing_path, number, one_of
from app.progress_display import create_display
from app.signals import cancel_on_signals
from app.stage_progress import add_progress_flag, stage_progress
from recon.errors import ReconError

if TYPE_CHECKING:
    from splatting.camera import Camera
    from splatting.gaussians import Gaussians

EXAMPLES = (
    "handful render out/room --cameras out/room/cameras.json -o renders   a PNG for each camera",
    "handful render out/room --cameras path/to/colmap_model -o renders --depth --normals",
    "handful render out/room --turntable room.mp4 --seconds 8 --size 1280x720",
    "handful render out/room --path keys.json -o flight.mp4 --fps 60       a film through key views",
    "handful render out/room --path keys.json -o frames --frames 240       the same as numbered PNGs",
)
BACKGROUNDS = {"black": 0.0, "white": 1.0}
SECONDS_PER_KEY_VIEW = 2.0
OTHER_FILMS = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".webm"})


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful render`."""
    parser = ArgumentParser(
        "handful render",
        description="Draw the splats of a project. A path file is a cameras.json of key views in order; they may have "
        'times\n("t", in seconds), and the file "closed": true. The camera moves through them smoothly.',
        examples=EXAMPLES,
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cameras", type=existing_path, metavar="FILE", help="cameras.json, COLMAP folder or transforms.json"
    )
    what.add_argument("--turntable", type=Path, metavar="FILE.mp4", help="film around what the photos look at")
    what.add_argument("--path", type=existing_path, metavar="FILE", help="key views to move through")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="for --cameras and --path; or FILE.mp4 for --path; default "
        "OUT/renders"
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace films and pictures of the same name")
    parser.add_argument("--depth", action="store_true", help="with pictures: 16-bit depth, and depth in colours, too")
    parser.add_argument("--normals", action="store_true", help="with pictures: normals, in the camera's frame, too")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--frames", type=number(int, 1, 100_000), metavar="N", help="of the film")
    length.add_argument(
        "--seconds", type=number(float, 0.1, 3600), metavar="S", help="of the film; default: as the way is long"
    )
    parser.add_argument("--fps", type=number(float, 1, 240), default=30.0, metavar="F", help="of the film; default 30")
    parser.add_argument("--size", type=_size, metavar="W|WxH", help="in px; default: the cameras'")
    parser.add_argument("--background", type=one_of(*BACKGROUNDS), default="black", metavar="|".join(BACKGROUNDS))
    parser.add_argument(
        "--device", type=one_of("auto", "cpu", "cuda"), default="auto", metavar="auto|cpu|cuda", help="default auto"
    )
    add_progress_flag(parser)
    parsed = parser.parse_args(arguments)
    if parsed.turntable is not None and (parsed.depth or parsed.normals):
        parser.error("--depth and --normals go with pictures, not with --turntable")
    if parsed.turntable is not None and parsed.output is not None:
        parser.error("-o goes with --cameras and --path; --turntable names its file itself")
    if parsed.turntable is not None and not _is_film(parsed.turntable):
        parser.error(f"--turntable makes a film, whose name ends in .mp4, not '{parsed.turntable}'")
    if parsed.output is not None and parsed.output.suffix.lower() in OTHER_FILMS:
        parser.error(f"films end in .mp4, not '{parsed.output}'")
    if parsed.cameras is not None and _is_film(parsed.output):
        parser.error("--cameras gives one picture for each camera; for a film between them there is --path")
    if parsed.cameras is not None and (parsed.frames or parsed.seconds):
        parser.error("--cameras gives one picture for each camera; --frames and --seconds go with films")
    return parsed


def _size(text: str) -> tuple[int, int | None]:
    """`W` or `WxH` in px."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    sides = [int(side) for side in match.groups() if side is not None] if match else []
    if not sides or not all(16 <= side <= 8192 for side in sides):
        raise argparse.ArgumentTypeError(f"must be W or WxH, from 16 to 8192 px each, not '{text}'")
    return (sides[0], sides[1] if len(sides) > 1 else None)


def run(parsed: argparse.Namespace) -> int:
    """Draw, and say where the pictures are; returns the exit code."""
    import torch

    from recon.device import choose_device
    from recon.project import Project, finish_adoption
    from recon.rendering import picture_stems, render_video, render_views
    from splatting import rasterizer

    finish_adoption(Project(parsed.project))
    gaussians = _read_splats(parsed.project)
    cameras, names = _views(parsed, gaussians)
    if parsed.size is not None:
        cameras = [_sized(camera, *parsed.size) for camera in cameras]
    device = choose_device(parsed.device)
    gaussians = _to_device(gaussians, device.torch_name)
    draw = rasterizer.create(device.rasterizer)
    background = torch.full((3,), BACKGROUNDS[parsed.background], device=device.torch_name)
    film = parsed.turntable or (parsed.output if parsed.path and _is_film(parsed.output) else None)
    made: Path = film or parsed.output or parsed.project / "renders"
    if film is not None or parsed.output is not None:
        written = [film] if film else [made / f"{stem}.png" for stem in picture_stems(names)]
        for file in filter(Path.exists, written):
            check_unused(file, may_replace=parsed.overwrite)
    with create_display(parsed.progress) as display, cancel_on_signals() as is_cancelled:
        if device.warning is not None:
            display.warning(device.warning)
        progress = stage_progress(display, "splats", is_cancelled)
        try:
            if film is not None:
                render_video(
                    gaussians, cameras, film, parsed.fps, rasterizer=draw, background=background, progress=progress
                )
            else:
                render_views(
                    gaussians,
                    cameras,
                    names,
                    made,
                    draw,
                    background=background,
                    with_depth=parsed.depth,
                    with_normals=parsed.normals,
                    progress=progress,
                )
        except OSError as error:
            raise ReconError(f"{made} cannot be written: {error.strerror or error}.", "Name another place.") from error
    print(made)
    return 0


def _views(parsed: argparse.Namespace, gaussians: "Gaussians") -> "tuple[list[Camera], list[str]]":
    """The cameras to draw from and their names."""
    from recon.camera_files import read_cameras
    from recon.key_views import along, read_key_views

    if parsed.path is not None:
        keys = read_key_views(parsed.path)
        seconds = parsed.seconds or keys.seconds or SECONDS_PER_KEY_VIEW * max(1, len(keys.cameras) - 1)
        cameras = along(keys, parsed.frames or max(1, round(seconds * parsed.fps)))
        return cameras, [f"{idx:05}" for idx in range(len(cameras))]
    found = read_cameras(parsed.cameras or parsed.project)
    if not found:
        raise ReconError("There are no cameras to render from.", "Give a file that has some with --cameras.")
    cameras = [distorted.camera for distorted in found.values()]
    if parsed.turntable is not None:
        cameras = _around(parsed, cameras, gaussians)
    return cameras, list(found)


def _around(parsed: argparse.Namespace, cameras: "list[Camera]", gaussians: "Gaussians") -> "list[Camera]":
    """The turntable, in a frame that is upright or, where nobody knows, as the cameras were held."""
    import numpy as np

    from recon.align import up_direction
    from recon.camera_paths import scene_center, subject_center, turning_seconds, turntable
    from recon.framing import frame_of
    from recon.project import Project

    xyz = gaussians.means.double().numpy()
    if frame_of(Project(parsed.project)).is_upright:
        up = np.array([0.0, 1.0, 0.0])
        center = subject_center(xyz, cameras, up, 0.0)
    else:
        up = up_direction(np.array([camera.R for camera in cameras]))
        center = scene_center(xyz, cameras)
    seconds = parsed.seconds or turning_seconds(cameras, center, up)
    return turntable(cameras, center, parsed.frames or max(1, round(seconds * parsed.fps)), up=up)


def _is_film(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".mp4"


def _read_splats(project: Path) -> "Gaussians":
    from splatting.formats.ply import read_ply

    path = project / "splats.ply"
    if not path.is_file():
        raise ReconError(f"{project} holds no splats.", "Run reconstruct at least until the stage splats.")
    try:
        return read_ply(path)
    except (ValueError, OSError) as error:
        raise ReconError(f"The splats cannot be read: {error}.", "Run reconstruct again.") from error


def _to_device(gaussians: "Gaussians", device: str) -> "Gaussians":
    from dataclasses import fields

    parts = {part.name: getattr(gaussians, part.name).to(device) for part in fields(gaussians)}
    return type(gaussians)(**parts)


def _sized(camera: "Camera", width: int, height: int | None) -> "Camera":
    """The same view in another size; in other proportions it loses what does not fit, on both sides alike."""
    if height is None:
        return camera.resized(width, max(1, round(camera.height * width / camera.width)))
    grown = max(width / camera.width, height / camera.height)
    K = camera.K.copy()
    K[:2] *= grown
    K[0, 2] += (width - camera.width * grown) / 2
    K[1, 2] += (height - camera.height * grown) / 2
    return replace(camera, K=K, width=width, height=height)
