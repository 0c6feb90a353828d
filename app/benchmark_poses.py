"""`handful benchmark --poses`: how good the cameras are, beside plain COLMAP's."""

import argparse
import platform
from datetime import date
from typing import TYPE_CHECKING

from app.benchmark_run import POSE_ROWS, open_rows, read_scenes, run_until_done
from recon.progress import Progress
from recon.whole_files import write_whole

if TYPE_CHECKING:
    from recon.pose_benchmark import BenchPlan
    from recon.pose_rows import PoseRow

ROWS_NAME, TABLE_NAME = POSE_ROWS, "poses.md"
VIEWS = (3, 4, 6, 9)


def run_poses(parsed: argparse.Namespace) -> int:
    """Measure, print the table and keep it; returns the exit code."""
    from recon.pose_benchmark import measure_poses, rows_of_plan
    from recon.pose_rows import read_rows, write_rows
    from recon.pose_table import report_text

    plan = _plan(parsed)
    rows_file = open_rows(parsed.output, ROWS_NAME)
    rows = {row.key: row for row in read_rows(rows_file)}

    def keep(row: "PoseRow") -> None:
        rows[row.key] = row
        write_rows(list(rows.values()), rows_file)

    def measure(progress: Progress) -> None:
        measure_poses(plan, list(rows.values()), parsed.output / "work", keep, progress)

    exit_code = run_until_done(measure, parsed.progress, "cameras", {"rows": ROWS_NAME, "table": TABLE_NAME})
    table = _heading(plan) + report_text(rows_of_plan(plan, rows.values()))
    write_whole(parsed.output / TABLE_NAME, table)
    if parsed.progress in ("auto", "bar"):
        print(table, end="")
    return exit_code


def _plan(parsed: argparse.Namespace) -> "BenchPlan":
    from recon.benchmark_scenes import choose_photos
    from recon.pose_benchmark import BenchPlan

    scenes, views = read_scenes(parsed.scenes), tuple(sorted(set(parsed.views or VIEWS)))
    for scene in scenes:
        for num_views in views:
            choose_photos(scene, num_views, parsed.spacing)  # what cannot work fails now, not after an hour
    return BenchPlan(
        scenes=scenes,
        views=views,
        spacing=parsed.spacing,
        intrinsics=("unknown", "known") if parsed.intrinsics == "both" else (parsed.intrinsics,),
        seeds=tuple(range(parsed.seeds)),
        methods=tuple(dict.fromkeys(parsed.methods)),
        config=parsed.config,
    )


def _heading(plan: "BenchPlan") -> str:
    from recon.version import program_version

    return (
        f"# Cameras from a few photos\n\nhandful {program_version()}, matcher {plan.config.matching.matcher}, "
        f"photos by {'the splits' if plan.spacing == 'splits' else 'wide spacing'}, "
        f"{date.today().isoformat()}, Python {platform.python_version()}. Mean over the seeds of each cell. "
        "Photos that are not placed count as failures.\n\n"
    )
