"""`handful benchmark`: how good the cameras are on photo sets with known ones, beside plain COLMAP's."""

import argparse
import platform
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from app.arguments import ArgumentParser, existing_path, number, one_of
from app.progress_display import Display, ProgressStyle, create_display
from app.signals import cancel_on_signals
from recon.errors import ReconError
from recon.progress import Cancelled, PipelineEvent
from recon.whole_files import write_whole

if TYPE_CHECKING:
    from recon.pose_benchmark import BenchPlan
    from recon.pose_rows import PoseRow

EXAMPLES = (
    "handful benchmark --poses data/fountain data/fox -o out/poses",
    "handful benchmark --poses data/fountain -o out/poses --views 3 4 --seeds 3 --intrinsics both",
    "handful benchmark --poses data/* -o out/quality --matcher quality --methods handful",
)
ROWS_NAME, TABLE_NAME = "poses.json", "poses.md"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful benchmark`."""
    from matching.matcher import BUILT_IN, check_name  # these load torch
    from recon.config import PRESETS

    parser = ArgumentParser(
        "handful benchmark",
        description="Photos to cameras on photo sets with known cameras, by this program and by plain COLMAP (SIFT,\n"
        "all defaults of pycolmap), with a few photos of each set. Prints a table and keeps it in the folder given\n"
        "with -o; a second run into the same folder does only what is missing or has other settings. After changing\n"
        "the program itself, take a new folder. Each set is a folder with images/, splits.json and cameras.json.",
        examples=EXAMPLES,
    )
    parser.add_argument("scenes", nargs="+", type=existing_path, metavar="DATA", help="folders of photo sets")
    parser.add_argument("--poses", action="store_true", required=True, help="measure the cameras")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="for table and rows")
    parser.add_argument(
        "--views", nargs="+", type=number(int, 2, 100), default=[3, 4, 6, 9], metavar="N", help="default 3 4 6 9"
    )
    parser.add_argument(
        "--spacing",
        type=one_of("splits", "wide"),
        default="splits",
        metavar="splits|wide",
        help="photos of splits.json, which overlap well, or spread over the whole capture; default splits",
    )
    parser.add_argument("--seeds", type=number(int, 1, 100), default=1, metavar="N", help="how many; default 1")
    parser.add_argument(
        "--intrinsics",
        type=one_of("unknown", "known", "both"),
        default="unknown",
        metavar="unknown|known|both",
        help="whether the lenses are told; unknown: only what the files say; default unknown",
    )
    parser.add_argument("--matcher", metavar="NAME", help=f"{', '.join(BUILT_IN)}, or a plug-in; default fast")
    presets = tuple(PRESETS)
    parser.add_argument(
        "--preset", type=one_of(*presets), default="standard", metavar="|".join(presets), help="default standard"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        type=one_of("handful", "pycolmap"),
        default=["handful", "pycolmap"],
        metavar="NAME",
        help="handful, pycolmap; default both",
    )
    styles = get_args(ProgressStyle)
    parser.add_argument(
        "--progress", type=one_of(*styles), default="auto", metavar="|".join(styles), help="jsonl: a JSON object a line"
    )
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.matcher is not None:
        try:
            check_name(parsed.matcher)
        except ValueError as error:
            parser.error(str(error))
    return parsed


def run(parsed: argparse.Namespace) -> int:
    """Measure, print the table and keep it; returns the exit code."""
    from recon.pose_benchmark import rows_of_plan
    from recon.pose_rows import read_rows
    from recon.pose_table import report_text

    plan = _plan(parsed)
    rows_file = _open_folder(parsed.output) / ROWS_NAME
    rows = {row.key: row for row in read_rows(rows_file)}
    exit_code = 1
    with create_display(parsed.progress) as display:
        try:
            _measure(plan, rows, rows_file, display)
            exit_code = 0
        except (Cancelled, KeyboardInterrupt):
            exit_code = 130
            display.error("Cancelled.", "Run the same command again: finished rows are kept.")
        finally:
            display.done(exit_code, {"rows": ROWS_NAME, "table": TABLE_NAME})
    table = _heading(plan) + report_text(rows_of_plan(plan, rows.values()))
    write_whole(parsed.output / TABLE_NAME, table)
    if parsed.progress in ("auto", "bar"):
        print(table, end="")
    return exit_code


def _plan(parsed: argparse.Namespace) -> "BenchPlan":
    from recon.benchmark_scenes import choose_photos, read_scene
    from recon.config import PRESETS
    from recon.pose_benchmark import BenchPlan

    scenes = tuple(read_scene(folder) for folder in parsed.scenes)
    if len({scene.name for scene in scenes}) < len(scenes):
        raise ReconError("Two of the folders have the same name.", "Rows are told apart by it; rename one.")
    views = tuple(sorted(set(parsed.views)))
    for scene in scenes:
        for num_views in views:
            choose_photos(scene, num_views, parsed.spacing)  # what cannot work fails now, not after an hour
    config = PRESETS[parsed.preset]
    if parsed.matcher is not None:
        config = replace(config, matching=replace(config.matching, matcher=parsed.matcher))
    return BenchPlan(
        scenes=scenes,
        views=views,
        spacing=parsed.spacing,
        intrinsics=("unknown", "known") if parsed.intrinsics == "both" else (parsed.intrinsics,),
        seeds=tuple(range(parsed.seeds)),
        methods=tuple(dict.fromkeys(parsed.methods)),
        config=config,
    )


def _open_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReconError(f"The folder {folder} cannot be made: {error.strerror}.", "Name another with -o.") from error
    return folder


def _measure(
    plan: "BenchPlan", rows: "dict[tuple[str, int, str, int, str], PoseRow]", rows_file: Path, display: Display
) -> None:
    """Add to `rows`, and to the file, each row as it comes."""
    from recon.pose_benchmark import measure_poses
    from recon.pose_rows import write_rows

    def keep(row: "PoseRow") -> None:
        rows[row.key] = row
        write_rows(list(rows.values()), rows_file)

    with cancel_on_signals() as is_cancelled:

        def progress(done: int, total: int, message: str) -> None:
            if is_cancelled():
                raise Cancelled
            display.progress(PipelineEvent("cameras", done / total, done / total, message))

        measure_poses(plan, list(rows.values()), rows_file.parent / "work", keep, progress)


def _heading(plan: "BenchPlan") -> str:
    from recon.version import program_version

    return (
        f"# Cameras from a few photos\n\nhandful {program_version()}, matcher {plan.config.matching.matcher}, "
        f"photos by {'the splits' if plan.spacing == 'splits' else 'wide spacing'}, "
        f"{date.today().isoformat()}, Python {platform.python_version()}. Mean over the seeds of each cell. "
        "Photos that are not placed count as failures.\n\n"
    )
