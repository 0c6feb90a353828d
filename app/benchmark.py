"""`handful benchmark`: how good cameras and scenes are on photo sets with known cameras, beside the classical ways."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from app.arguments import ArgumentParser, existing_path, number, one_of
from app.config_flags import add_config_flags, apply_config_flags
from app.progress_display import ProgressStyle

if TYPE_CHECKING:
    from recon.config import ReconConfig

EXAMPLES = (
    "handful benchmark --poses data/fountain data/fox -o out/poses",
    "handful benchmark --poses data/fountain -o out/poses --views 3 4 --seeds 3 --intrinsics both",
    "handful benchmark --poses data/* -o out/quality --matcher quality --methods handful",
    "handful benchmark --images data/fountain data/fox -o out/images --views 3 6 --seeds 3",
    "handful benchmark --images data/fox -o out/no_dropout --strategies edgs --fit.dropout 0",
)
_POSES_ONLY = frozenset({"spacing", "intrinsics", "methods"})
_IMAGES_ONLY = frozenset({"cameras", "strategies", "checkpoints", "max_steps", "baseline_steps"})


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful benchmark`."""
    from matching.matcher import BUILT_IN, check_name  # these load torch
    from recon.config import PRESETS

    parser = ArgumentParser(
        "handful benchmark",
        description="Measure on photo sets with known cameras, with a few photos of each. --poses: photos to cameras,\n"
        "by this program and by plain COLMAP (SIFT, all defaults of pycolmap). --images: photos to scenes, scored on\n"
        "photos that were kept back. Prints a table and keeps it in the folder given with -o; a second run into the\n"
        "same folder does only what is missing or has other settings. After changing the program itself, take a new\n"
        "folder. Each set is a folder with images/, splits.json and cameras.json.",
        examples=EXAMPLES,
    )
    parser.add_argument("scenes", nargs="+", type=existing_path, metavar="DATA", help="folders of photo sets")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--poses", action="store_true", help="measure the cameras")
    what.add_argument("--images", action="store_true", help="measure the pictures of held-out photos")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="for tables and rows")
    parser.add_argument(
        "--views", nargs="+", type=number(int, 2, 100), metavar="N", help="default 3 4 6 9; with --images 3 6 9"
    )
    parser.add_argument("--seeds", type=number(int, 1, 100), default=1, metavar="N", help="how many; default 1")
    parser.add_argument("--matcher", metavar="NAME", help=f"{', '.join(BUILT_IN)}, or a plug-in; default fast")
    presets = tuple(PRESETS)
    parser.add_argument(
        "--preset", type=one_of(*presets), default="standard", metavar="|".join(presets), help="default standard"
    )
    _add_pose_options(parser)
    _add_image_options(parser)
    styles = get_args(ProgressStyle)
    parser.add_argument(
        "--progress", type=one_of(*styles), default="auto", metavar="|".join(styles), help="jsonl: a JSON object a line"
    )
    parser.add_argument("--help-all", action="help", help="show this help with all advanced options")
    without = frozenset({"--seed", "--matching.matcher"})
    add_config_flags(parser, PRESETS["standard"], show="--help-all" in arguments, without=without)
    parsed = parser.parse_intermixed_args(arguments)
    for name in _IMAGES_ONLY if parsed.poses else _POSES_ONLY:
        if getattr(parsed, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} goes with {'--images' if parsed.poses else '--poses'}")
    try:
        if parsed.matcher is not None:
            check_name(parsed.matcher)
        parsed.config = _config(parsed)
    except ValueError as error:
        parser.error(str(error))
    return parsed


def _add_pose_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("with --poses")
    group.add_argument(
        "--spacing",
        type=one_of("splits", "wide"),
        default="splits",
        metavar="splits|wide",
        help="photos of splits.json, which overlap well, or spread over the whole capture; default splits",
    )
    group.add_argument(
        "--intrinsics",
        type=one_of("unknown", "known", "both"),
        default="unknown",
        metavar="unknown|known|both",
        help="whether the lenses are told; unknown: only what the files say; default unknown",
    )
    group.add_argument(
        "--methods",
        nargs="+",
        type=one_of("handful", "pycolmap"),
        default=["handful", "pycolmap"],
        metavar="NAME",
        help="handful, pycolmap; default both",
    )


def _add_image_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("with --images")
    group.add_argument(
        "--cameras",
        type=one_of("true", "estimated", "both"),
        default="true",
        metavar="true|estimated|both",
        help="those of the set, or ours from the photos; default true",
    )
    strategies = ("edgs", "sfm", "densify")
    group.add_argument(
        "--strategies",
        nargs="+",
        type=one_of(*strategies),
        default=list(strategies),
        metavar="NAME",
        help="edgs: ours; sfm: from sparse points without densification; densify: from sparse points with gsplat's "
        "DefaultStrategy; default all",
    )
    group.add_argument(
        "--checkpoints",
        nargs="+",
        type=number(int, 0, 100_000),
        default=[0, 250, 500, 1000],
        metavar="STEP",
        help="scored beside the last step; default 0 250 500 1000",
    )
    group.add_argument(
        "--max-steps", type=number(int, 1, 100_000), metavar="N", help="of edgs; default what the preset says"
    )
    group.add_argument(
        "--baseline-steps",
        type=number(int, 1, 100_000),
        default=3000,
        metavar="N",
        help="of sfm and densify; default 3000",
    )


def _config(parsed: argparse.Namespace) -> "ReconConfig":
    from recon.config import PRESETS

    config = apply_config_flags(PRESETS[parsed.preset], parsed)
    if parsed.matcher is not None:
        config = replace(config, matching=replace(config.matching, matcher=parsed.matcher))
    if parsed.max_steps is not None:
        config = replace(config, fit=replace(config.fit, num_iterations=parsed.max_steps))
    return config


def run(parsed: argparse.Namespace) -> int:
    """Measure, print the table and keep it; returns the exit code."""
    if parsed.images:
        from app.benchmark_images import run_images

        return run_images(parsed)
    from app.benchmark_poses import run_poses

    return run_poses(parsed)
