"""`handful benchmark --images`: how well scenes from a few photos predict photos that were kept back."""

import argparse
import platform
from datetime import date
from typing import TYPE_CHECKING

from app.benchmark_run import IMAGE_ROWS, open_rows, read_scenes, run_until_done
from recon.progress import Progress
from recon.whole_files import write_whole

if TYPE_CHECKING:
    from recon.evaluation.image_benchmark import ImagePlan
    from recon.evaluation.image_rows import ImageRow

ROWS_NAME, TABLE_NAME, CHARTS_NAME = IMAGE_ROWS, "images.md", "images.svg"
VIEWS = (3, 6, 9)


def run_images(parsed: argparse.Namespace) -> int:
    """Measure, print the table and keep it with charts; returns the exit code."""
    from recon.evaluation.image_benchmark import measure_images, rows_of_image_plan
    from recon.evaluation.image_charts import image_charts
    from recon.evaluation.image_rows import read_image_rows, write_image_rows
    from recon.evaluation.image_table import image_report

    plan = _plan(parsed)
    rows_file = open_rows(parsed.output, ROWS_NAME)
    rows = {row.key: row for row in read_image_rows(rows_file)}

    def keep(row: "ImageRow") -> None:
        rows[row.key] = row
        write_image_rows(list(rows.values()), rows_file)

    def measure(progress: Progress) -> None:
        measure_images(plan, list(rows.values()), parsed.output, keep, progress)

    outputs = {"rows": ROWS_NAME, "table": TABLE_NAME, "charts": CHARTS_NAME}
    exit_code = run_until_done(measure, parsed.progress, "splats", outputs)
    asked = rows_of_image_plan(plan, rows.values())
    table = _heading(plan, parsed.preset) + image_report(asked)
    write_whole(parsed.output / CHARTS_NAME, image_charts(asked))
    write_whole(parsed.output / TABLE_NAME, table)
    if parsed.progress in ("auto", "bar"):
        print(table, end="")
    return exit_code


def _plan(parsed: argparse.Namespace) -> "ImagePlan":
    from recon.evaluation.image_benchmark import ImagePlan

    plan = ImagePlan(
        scenes=read_scenes(parsed.scenes),
        views=tuple(sorted(set(parsed.views or VIEWS))),
        cameras=("true", "estimated") if parsed.cameras == "both" else (parsed.cameras,),
        seeds=tuple(range(parsed.seeds)),
        strategies=tuple(dict.fromkeys(parsed.strategies)),
        config=parsed.config,
        checkpoints=tuple(sorted(set(parsed.checkpoints))),
        baseline_steps=parsed.baseline_steps,
    )
    list(plan.cases())  # what cannot work fails now, not after an hour
    return plan


def _heading(plan: "ImagePlan", preset: str) -> str:
    from recon.version import program_version

    return (
        f"# Predicting photos from a few others\n\nhandful {program_version()}, preset {preset}, "
        f"{plan.config.working_side_px} px, {date.today().isoformat()}, Python {platform.python_version()}. "
        "Mean over the held-out photos, then over the seeds of each cell ± standard deviation. Covered: pixels whose "
        f"point at least two training photos see. CPU seconds of all threads.\n\n![charts]({CHARTS_NAME})\n\n"
    )
