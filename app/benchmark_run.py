"""What the measurements of `handful benchmark` share: the scenes, the folder, and a run that can be stopped."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.progress_display import ProgressStyle, create_display
from app.signals import cancel_on_signals
from recon.errors import ReconError
from recon.progress import Cancelled, PipelineEvent, Progress, StageName
from recon.row_files import save_rows

if TYPE_CHECKING:
    from recon.benchmark_scenes import BenchScene

POSE_ROWS, IMAGE_ROWS = "poses.json", "images.json"


def read_scenes(folders: Sequence[Path]) -> "tuple[BenchScene, ...]":
    """Read the photo sets.

    Raises:
        ReconError: one of them is none, or two have the same name.
    """
    from recon.benchmark_scenes import read_scene

    scenes = tuple(read_scene(folder) for folder in folders)
    if len({scene.name for scene in scenes}) < len(scenes):
        raise ReconError("Two of the folders have the same name.", "Rows are told apart by it; rename one.")
    return scenes


def open_rows(folder: Path, name: str) -> Path:
    """Make the folder for tables and rows, or re-open one; returns its file of rows, which marks it as ours at once.

    Raises:
        ReconError: it holds something else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise ReconError(f"The folder {folder} cannot be made: {error.strerror}.", "Name another with -o.") from error
    if entries and not entries & {POSE_ROWS, IMAGE_ROWS}:
        raise ReconError(
            f"The folder {folder} holds something else.",
            "Name a new or empty folder with -o, so that none of your files is overwritten.",
        )
    if name not in entries:
        save_rows([], folder / name)
    return folder / name


def run_until_done(
    measure: Callable[[Progress], None], style: ProgressStyle, stage: StageName, outputs: Mapping[str, str]
) -> int:
    """Run a measurement that keeps its rows as they come; returns the exit code.

    Args:
        measure: given what to call with its progress.
        style: how that is shown.
        stage: the stage of the pipeline that it is shown as.
        outputs: files that are made, told at the end.
    """
    exit_code = 1
    with create_display(style) as display:
        try:
            with cancel_on_signals() as is_cancelled:

                def progress(done: int, total: int, message: str) -> None:
                    if is_cancelled():
                        raise Cancelled
                    display.progress(PipelineEvent(stage, done / total, done / total, message))

                measure(progress)
            exit_code = 0
        except (Cancelled, KeyboardInterrupt):
            exit_code = 130
            display.error("Cancelled.", "Run the same command again: finished rows are kept.")
        finally:
            display.done(exit_code, dict(outputs))
    return exit_code
