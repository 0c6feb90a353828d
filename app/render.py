"""`handful render`: pictures and films of the splats."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.arguments import ArgumentParser, existing_path, number, one_of
from app.progress_display import create_display
from recon.errors import ReconError
from recon.progress import PipelineEvent

if TYPE_CHECKING:
    from splatting.camera import Camera
    from splatting.gaussians import Gaussians

EXAMPLES = (
    "handful render out/room --cameras out/room/cameras.json -o renders   a PNG for each camera",
    "handful render out/room --cameras path/to/colmap_model -o renders --depth",
    "handful render out/room --turntable room.mp4 --frames 90 --size 800",
)
BACKGROUNDS = {"black": 0.0, "white": 1.0}
FRAMES_PER_S = 30


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful render`."""
    parser = ArgumentParser("handful render", description="Draw the splats of a project.", examples=EXAMPLES)
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cameras", type=existing_path, metavar="FILE", help="cameras.json, COLMAP folder or transforms.json"
    )
    what.add_argument("--turntable", type=Path, metavar="FILE.mp4", help="film around what the photos look at")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="for --cameras; default OUT/renders")
    parser.add_argument("--depth", action="store_true", help="with --cameras: 16-bit depth pictures too")
    parser.add_argument(
        "--frames", type=number(int, 1, 10_000), default=120, metavar="N", help="of the film; default 120"
    )
    parser.add_argument("--size", type=number(int, 16, 8192), metavar="W", help="width in px; default: the cameras'")
    parser.add_argument("--background", type=one_of(*BACKGROUNDS), default="black", metavar="|".join(BACKGROUNDS))
    parser.add_argument(
        "--device", type=one_of("auto", "cpu", "cuda"), default="auto", metavar="auto|cpu|cuda", help="default auto"
    )
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Draw, and say where the pictures are; returns the exit code."""
    import torch

    from recon.camera_files import read_cameras
    from recon.camera_paths import scene_center, turntable
    from recon.device import choose_device
    from recon.rendering import render_video, render_views
    from splatting import rasterizer

    cameras = {name: found.camera for name, found in read_cameras(parsed.cameras or parsed.project).items()}
    if not cameras:
        raise ReconError("There are no cameras to render from.", "Give a file that has some with --cameras.")
    if parsed.size is not None:
        cameras = {name: _widened(camera, parsed.size) for name, camera in cameras.items()}
    device = choose_device(parsed.device)
    gaussians = _to_device(_read_splats(parsed.project), device.torch_name)
    draw = rasterizer.create(device.rasterizer)
    background = torch.full((3,), BACKGROUNDS[parsed.background], device=device.torch_name)
    with create_display("auto") as display:
        if device.warning is not None:
            display.warning(device.warning)

        def progress(done: int, total: int, message: str) -> None:
            fraction = done / max(total, 1)
            display.progress(PipelineEvent("splats", fraction, fraction, message))

        if parsed.turntable is not None:
            center = scene_center(gaussians.means.cpu().double().numpy(), list(cameras.values()))
            path = turntable(list(cameras.values()), center, parsed.frames)
            made = render_video(
                gaussians,
                path,
                parsed.turntable,
                FRAMES_PER_S,
                rasterizer=draw,
                background=background,
                progress=progress,
            )
        else:
            made = parsed.output or parsed.project / "renders"
            outputs: Literal["rgb", "rgb+depth"] = "rgb+depth" if parsed.depth else "rgb"
            views, names = list(cameras.values()), list(cameras)
            render_views(gaussians, views, names, made, draw, background=background, outputs=outputs, progress=progress)
    print(made)
    return 0


def _read_splats(project: Path) -> "Gaussians":
    from splatting.ply import read_ply

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


def _widened(camera: "Camera", width: int) -> "Camera":
    return camera.resized(width, max(1, round(camera.height * width / camera.width)))
