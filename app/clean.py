"""`handful clean`: take floaters, or all but a box, out of a finished project."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.arguments import ArgumentParser, check_unused, existing_path, number
from app.frame_flags import joined_values
from app.progress_display import create_display
from app.signals import cancel_on_signals
from app.stage_progress import add_progress_flag, stage_progress
from recon.errors import ReconError
from recon.progress import Cancelled, PipelineEvent

if TYPE_CHECKING:
    from recon.clean_project import CleanScene

EXAMPLES = (
    "handful clean out/mug                                   count likely floaters at several strengths",
    "handful clean out/mug --strength 0.5                    take them out of the project",
    "handful clean out/mug --crop -0.3,0,-0.3,0.3,0.5,0.3    keep a box only",
    "handful clean out/mug --strength 0.5 -o mug_clean.ply   into a file; the project stays as it is",
    "handful clean out/mug --strength 0.7 --mesh             and the mesh anew",
    "handful clean out/mug --undo                            take the last step back",
)
PREVIEWED = (0.25, 0.5, 0.75, 1.0)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful clean`."""
    parser = ArgumentParser(
        "handful clean",
        description="Take Gaussians out of a finished project: likely floaters, what no photo shows, or all but\n"
        "a box. Steps add up, and each can be undone: what was fitted stays in OUT/work, OUT/cleaned.json says what\n"
        "is gone. A later reconstruct keeps the scene clean and says so; after another fit it says that all is back.",
        examples=EXAMPLES,
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    parser.add_argument(
        "--strength",
        type=number(float, 0, 1),
        metavar="0..1",
        help="take out likely floaters: up to 0.6 photos that were held out lose next to nothing, 1 takes all suspects",
    )
    parser.add_argument(
        "--crop",
        type=_box,
        metavar="x0,y0,z0,x1,y1,z1",
        help="keep only what lies between these two corners, in the frame of the project's files (+y is up)",
    )
    parser.add_argument(
        "--unseen",
        action="store_true",
        help="take out what no photo shows and fills no gap in what they show: guesses beyond the frames",
    )
    parser.add_argument("--undo", action="store_true", help="take the last step back first")
    parser.add_argument("--mesh", action="store_true", help="make the mesh anew from what is left")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write a .ply, .spz, .sog, ... there; the project stays"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    add_progress_flag(parser)
    parsed = parser.parse_args(joined_values(arguments, ("--crop",)))
    if parsed.output is not None and parsed.mesh:
        parser.error("argument --mesh: does not go with -o, which leaves the project as it is")
    return parsed


def run(parsed: argparse.Namespace) -> int:
    """Count, take out, write; returns the exit code."""
    from recon import clean_project
    from recon.clean_project import CleaningWish
    from recon.mesh_freshness import is_mesh_fresh

    is_asked = parsed.undo or parsed.unseen or parsed.strength is not None or parsed.crop is not None
    if parsed.mesh and not is_asked:
        _remake_mesh(parsed)
        return 0
    if parsed.output is not None:
        _check_output(parsed)
    with create_display(parsed.progress) as display, cancel_on_signals() as is_cancelled:
        progress = stage_progress(display, "splats", is_cancelled)
        scene = clean_project.open_clean_scene(parsed.project, progress=progress)
    wish = CleaningWish(parsed.strength, parsed.crop, parsed.unseen)
    has_changed = _undo(scene) if parsed.undo else False
    steps = clean_project.selected(scene, wish)
    for step, count in zip(steps, clean_project.remove(scene.history, steps), strict=True):
        print(f"Removed {_share(count, scene)}: {step.what}.")
        has_changed |= count > 0
    if not (is_asked or parsed.output):
        _preview(scene)
        return 0
    if parsed.output is not None:
        clean_project.write_cleaned(scene, parsed.output)
        print(parsed.output)
        return 0
    if has_changed:
        _save(scene)
    elif not parsed.mesh:
        print("Nothing has changed.")
    if parsed.mesh:
        _remake_mesh(parsed)
    elif has_changed and (parsed.project / "mesh.glb").is_file():
        if is_mesh_fresh(scene.project):
            print("The mesh fits the scene as it is now.")
        else:
            print(f"The mesh is as it was; 'handful clean {parsed.project} --mesh' makes it anew.")
    return 0


def _check_output(parsed: argparse.Namespace) -> None:
    from recon.export import check_not_own
    from splatting.formats import format_of

    try:
        format_of(parsed.output)
    except ValueError as error:
        raise ReconError(f"{error}.", "Name another file with -o; the end of its name says the format.") from error
    check_not_own(parsed.project, parsed.output)
    if parsed.output.exists():
        check_unused(parsed.output, may_replace=parsed.overwrite)


def _preview(scene: "CleanScene") -> None:
    from recon.clean_project import CleaningWish, selected

    out = scene.history.removed()
    for strength in PREVIEWED:
        mask = selected(scene, CleaningWish(strength))[0].mask & ~out
        print(f"--strength {strength:<4g}  {_share(int(mask.sum()), scene)}")
    unseen = selected(scene, CleaningWish(drops_unseen=True))[0].mask & ~out
    print(f"--unseen         {_share(int(unseen.sum()), scene)}")
    low, high = scene.gaussians.means[~out].numpy().min(axis=0), scene.gaussians.means[~out].numpy().max(axis=0)
    print(f"The scene reaches from {_corner(low)} to {_corner(high)}.")
    for step in scene.history.steps:
        print(f"Out already: {_share(step.count, scene)}: {step.what}.")
    print("Nothing has changed.")


def _undo(scene: "CleanScene") -> bool:
    edit = scene.history.undo()
    if edit is None:
        raise ReconError("There is nothing to undo: all that was fitted is in the scene.", "Nothing has changed.")
    print(f"Back again: {_share(edit.count, scene)}: {edit.what}.")
    return True


def _save(scene: "CleanScene") -> None:
    from recon.clean_project import save_cleaning

    folder = scene.project.folder
    try:
        save_cleaning(scene)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}."
        raise ReconError(message, "Nothing has changed.") from error
    removed = int(scene.history.removed().sum())
    print(f"{folder / 'splats.ply'}: {len(scene.gaussians) - removed:,} Gaussians, {removed:,} out.")
    if removed:
        print(f"'handful clean {folder} --undo' takes the last step back.")


def _remake_mesh(parsed: argparse.Namespace) -> None:
    from recon.pipeline import remake_mesh

    with create_display(parsed.progress) as display, cancel_on_signals() as is_cancelled:

        def progress(event: PipelineEvent) -> None:
            if is_cancelled():
                raise Cancelled
            display.progress(replace(event, overall_fraction=event.stage_fraction))  # one stage of them all is run

        mesh = remake_mesh(parsed.project, progress=progress)
    print(f"{parsed.project / 'mesh.glb'}: {len(mesh.faces):,} faces.")


def _share(count: int, scene: "CleanScene") -> str:
    return f"{count:,} of {len(scene.gaussians):,} Gaussians ({100 * count / max(len(scene.gaussians), 1):.1f} %)"


def _corner(corner: object) -> str:
    return ",".join(f"{value:.3g}" for value in corner)  # type: ignore[attr-defined]


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 6 or not all(low < high for low, high in zip(numbers[:3], numbers[3:], strict=True)):
        raise argparse.ArgumentTypeError(f"must be six numbers x0,y0,z0,x1,y1,z1 with x0 < x1 and so on, not '{text}'")
    return numbers
