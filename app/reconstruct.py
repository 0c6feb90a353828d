"""`handful reconstruct`: photos to a project folder."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from app.arguments import ArgumentParser, existing_path, number, one_of
from app.config_flags import add_config_flags, apply_config_flags
from app.frame_flags import add_frame_flags, frame_wish, joined_values
from app.progress_display import Display, ProgressStyle, create_display
from app.signals import cancel_on_signals
from recon.errors import ReconError, mendable_storage
from recon.progress import STAGES, Cancelled, PipelineEvent

if TYPE_CHECKING:
    from recon.config import ReconConfig
    from recon.report import Report

EXAMPLES = (
    "handful reconstruct photos/ -o out/room",
    "handful reconstruct a.jpg b.jpg c.jpg -o out/mug --preset draft",
    "handful reconstruct photos/ -o out/room --holdout IMG_3.jpg IMG_7.jpg      measure on photos kept back",
    "handful reconstruct photos/ -o out/room --until cameras                    only find the cameras",
    "handful reconstruct out/room --add IMG_9.jpg IMG_10.jpg                    more photos, without starting over",
    "handful reconstruct photos/ -o out/room --fit.num-iterations 500           see --help-all",
)


_WITH_ADD = frozenset({"add", "photos", "output", "device", "progress"})
"""What may be said about added photos; all else is the project's."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful reconstruct`."""
    from matching.matcher import BUILT_IN  # these load torch
    from recon.config import PRESETS

    parser = ArgumentParser(
        "handful reconstruct",
        description="Turn 3 to 20 photos of one thing or place into cameras, splats and a mesh. A second run into the\n"
        "same folder resumes: stages whose photos and settings did not change are not run again.",
        examples=EXAMPLES,
    )
    presets = tuple(PRESETS)
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTOS", help="photos, and folders of photos")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="project folder to make")
    parser.add_argument(
        "--add",
        nargs="+",
        type=existing_path,
        metavar="PHOTO",
        help="add photos to the finished scene in OUT, with its settings: handful reconstruct OUT --add PHOTO...",
    )
    parser.add_argument("--preset", type=one_of(*presets), metavar="|".join(presets), help="default standard")
    parser.add_argument(
        "--holdout", nargs="+", default=[], metavar="NAME", help="photos to measure on: posed, never trained on"
    )
    parser.add_argument(
        "--cameras",
        type=existing_path,
        metavar="FILE",
        help="known cameras: cameras.json, COLMAP folder, transforms.json",
    )
    add_frame_flags(parser)
    parser.add_argument(
        "--matcher", metavar="NAME", help=f"{', '.join(BUILT_IN)}, or an installed plug-in; default fast"
    )
    parser.add_argument(
        "--device",
        type=one_of("auto", "cpu", "cuda"),
        metavar="auto|cpu|cuda",
        help="where splats are fitted; default auto",
    )
    parser.add_argument("--seed", type=number(int, 0, 2**31 - 1), metavar="N", help="of all random choices; default 0")
    parser.add_argument("--until", type=one_of(*STAGES), metavar="STAGE", help=f"last of {', '.join(STAGES)}")
    styles = get_args(ProgressStyle)
    parser.add_argument(
        "--progress", type=one_of(*styles), default="auto", metavar="|".join(styles), help="jsonl: a JSON object a line"
    )
    parser.add_argument(
        "--preview-file", type=Path, metavar="FILE", help="PLY that shows the splats while they are fitted"
    )
    parser.add_argument("--help-all", action="help", help="show this help with all advanced options")
    show = "--help-all" in arguments
    add_config_flags(
        parser, PRESETS["standard"], show=show, without=frozenset({"--seed", "--device", "--matching.matcher"})
    )
    parsed = parser.parse_intermixed_args(joined_values(arguments))
    if parsed.add is not None:
        _check_addition(parser, parsed)
        return parsed
    if parsed.output is None:
        parser.error("the following arguments are required: -o/--output")
    parsed.preset, parsed.until = parsed.preset or "standard", parsed.until or "mesh"
    parsed.config = _config(parser, parsed)
    return parsed


def _check_addition(parser: ArgumentParser, parsed: argparse.Namespace) -> None:
    """`OUT --add PHOTO...`: one project folder, and none of what its settings say already."""
    folders = [*parsed.photos, *([parsed.output] if parsed.output else [])]
    if len(folders) != 1:
        parser.error("--add takes one project folder and no other photos: handful reconstruct OUT --add PHOTO...")
    (parsed.output,) = folders
    for name, value in vars(parsed).items():
        if name not in _WITH_ADD and value != parser.get_default(name):
            flag = "--" + name.removeprefix("config ").replace("_", "-")
            parser.error(f"--add goes on with the settings of the project, so {flag} cannot be given")


def _config(parser: ArgumentParser, parsed: argparse.Namespace) -> "ReconConfig":
    from recon.config import PRESETS

    try:
        config = apply_config_flags(PRESETS[parsed.preset], parsed)
        if parsed.matcher is not None:
            config = replace(config, matching=replace(config.matching, matcher=parsed.matcher))
        if parsed.device is not None:
            config = replace(config, device=parsed.device)
        if parsed.seed is not None:
            config = replace(config, seed=parsed.seed)
    except ValueError as error:
        parser.error(str(error))
    return config


def run(parsed: argparse.Namespace) -> int:
    """Run the pipeline; returns the exit code."""
    exit_code, outputs = 1, {}
    with create_display(parsed.progress) as display:
        try:
            with mendable_storage():
                report = _reconstruct(parsed, display)
            exit_code, outputs = report.exit_code, report.outputs
        except ReconError as error:
            exit_code = 2
            display.error(error.message, error.hint)
        except (Cancelled, KeyboardInterrupt):
            exit_code = 130
            display.error("Cancelled.", "Run the same command again: finished stages are kept.")
        finally:
            display.done(exit_code, outputs)
    if exit_code in (0, 3) and parsed.progress in ("auto", "bar"):
        _print_outcome(report, parsed.output)
    return exit_code


def _reconstruct(parsed: argparse.Namespace, display: Display) -> "Report":
    from recon.pipeline import add_photos, reconstruct

    with cancel_on_signals() as is_cancelled:

        def progress(event: PipelineEvent) -> None:
            if is_cancelled():
                raise Cancelled
            display.progress(event)

        if parsed.add is not None:
            report = add_photos(parsed.output, parsed.add, device=parsed.device, progress=progress)
        else:
            report = reconstruct(
                parsed.photos,
                parsed.output,
                parsed.config,
                preset=parsed.preset,
                holdout=parsed.holdout,
                cameras=parsed.cameras,
                frame=frame_wish(parsed),
                until=parsed.until,
                progress=progress,
                preview_file=parsed.preview_file,
            )
    for warning in report.warnings:
        display.warning(warning)
    for photo in report.photos:
        if photo.placed is False:
            told = " ".join(text for text in (photo.reason, photo.hint) if text)
            names_it = told.startswith(photo.name)  # what is wrong with a file, rather than with its place in the scene
            display.warning(f"Left out: {told}" if names_it else f"{photo.name} was left out: {told}")
    return report


def _print_outcome(report: "Report", folder: Path) -> None:
    known = [photo for photo in report.photos if photo.placed is not None]
    if any(photo.placed for photo in known):
        print(f"{sum(photo.placed is True for photo in known)} of {len(known)} photos placed.")
    else:  # the run ended before cameras were sought
        print(f"{len(report.photos) - len(known)} of {len(report.photos)} photos can be used.")
    sure = [(photo.confidence, photo.name) for photo in known if photo.confidence is not None]
    if sure:
        lowest, name = min(sure)
        print(f"Least sure camera: {name}, {100 * lowest:.0f} % likely to be right within 2 degrees.")
    rejected = sum(pair.rejected is not None for pair in report.pairs)
    if rejected:
        print(f"{rejected} of {len(report.pairs)} pairs were not used; the report says why.")
    if report.heldout is not None and report.heldout.psnr is not None:
        print(f"Held-out photos: PSNR {report.heldout.psnr:.2f} dB, SSIM {report.heldout.ssim:.3f}.")
    if report.frame is not None:
        print(f"Lengths are {'in metres' if report.frame.unit == 'm' else 'in no real unit; see handful align'}.")
    if report.device is not None:
        print(f"Splats fitted on {report.device.name}: {report.device.reason}")
    for what, path in report.outputs.items():
        print(f"  {what:12} {folder / path}")
    print(f"  {'report':12} {folder / 'report.html'}")
