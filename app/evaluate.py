"""`handful evaluate`: how far the cameras are from known ones, and how well held-out photos are predicted."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from app.arguments import ArgumentParser, existing_path, one_of
from app.progress_display import create_display
from app.signals import cancel_on_signals
from recon.errors import ReconError
from recon.progress import Cancelled, PipelineEvent

if TYPE_CHECKING:
    from recon.report import Report
    from splatting.camera import Camera

EXAMPLES = (
    "handful evaluate out/room --against truth/cameras.json",
    "handful evaluate out/room --against truth/cameras.json --photos train --json",
    "handful evaluate out/room --artefacts            heat maps of what looks wrong, in out/room/evaluation",
)

# Fields of PoseScores: which, what to call it, and the limits in degrees.
_SHARES = (("auc", "AUC", (5, 10, 30)), ("rra", "rotation within", (5, 15)), ("rta", "direction within", (5, 15)))

_AGAIN = "Run reconstruct into that folder again."


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `handful evaluate`."""
    parser = ArgumentParser(
        "handful evaluate",
        description="Compare the cameras of a project with known ones, and show the quality on held-out photos.\n"
        "Photos that could not be placed count as failures. Files are matched by name, without suffix if need be.",
        examples=EXAMPLES,
    )
    parser.add_argument("project", type=existing_path, metavar="OUT", help="project folder")
    parser.add_argument(
        "--against",
        type=existing_path,
        metavar="FILE",
        help="known cameras: cameras.json, COLMAP folder, transforms.json; without it only the quality is shown",
    )
    parser.add_argument(
        "--photos", type=one_of("all", "train"), default="all", metavar="all|train", help="train: without held-out ones"
    )
    parser.add_argument(
        "--artefacts",
        action="store_true",
        help="also render: maps of what looks like nothing in the photos, and what of the error is colour",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


def run(parsed: argparse.Namespace) -> int:
    """Print the scores; returns the exit code."""
    from recon.report import REPORT_NAME, ReportFileError, read_report, to_plain

    if not (parsed.project / REPORT_NAME).is_file():
        raise ReconError(
            f"{parsed.project} is no project folder.", "Name the folder that was given to reconstruct with -o."
        )
    try:
        report = read_report(parsed.project)
    except ReportFileError as error:
        raise ReconError(str(error), _AGAIN) from error
    _require_result(parsed.project, report)
    poses = None if parsed.against is None else to_plain(_score_poses(parsed, report))
    looked = to_plain(_look(parsed)) if parsed.artefacts else None
    scores = {"poses": poses, "heldout": to_plain(report.heldout), "scene": looked}
    if parsed.json:
        print(json.dumps(scores, indent=2))
    else:
        print("\n".join(_table(scores)))
    return 0


def _require_result(folder: Path, report: "Report") -> None:
    """Raise ReconError where the last run ended with an error, or was cancelled before there were cameras."""
    if report.status == "failed":
        why = report.error.message if report.error else "The report does not say why."
        hint = report.error.hint if report.error else ""
        raise ReconError(f"The last reconstruct into {folder} failed: {why}", hint or _AGAIN)
    if report.status == "cancelled" and not any(photo.placed for photo in report.photos):
        raise ReconError(f"The last reconstruct into {folder} was cancelled before there were cameras.", _AGAIN)


def _look(parsed: argparse.Namespace) -> Any:
    from recon.evaluation.finished_evaluation import evaluate_scene

    with create_display("none" if parsed.json else "auto") as display, cancel_on_signals() as is_cancelled:

        def progress(done: int, total: int, message: str) -> None:
            if is_cancelled():
                raise Cancelled
            display.progress(PipelineEvent("splats", done / total, done / total, message))

        return evaluate_scene(parsed.project, progress=progress)


def _score_poses(parsed: argparse.Namespace, report: "Report") -> Any:
    from recon.camera_files import read_cameras
    from recon.pose_metrics import score_poses

    truth = {name: found.camera for name, found in read_cameras(parsed.against).items()}
    has_cameras = (parsed.project / "cameras.json").is_file()
    ours = {name: found.camera for name, found in (read_cameras(parsed.project).items() if has_cameras else ())}
    placed = [photo.name for photo in report.photos if photo.placed]
    estimated = {name: camera for name in placed if (camera := _find(ours, name)) is not None}
    asked = [photo.name for photo in report.photos if parsed.photos == "all" or not photo.is_heldout]
    known = {name: camera for name in asked if (camera := _find(truth, name)) is not None}
    if len(known) < 2:
        raise ReconError(
            f"{parsed.against} has cameras for {len(known)} of the {len(asked)} photos.",
            "Two are needed; the names of the files must agree.",
        )
    return score_poses(estimated, known, list(known))


def _find(cameras: Mapping[str, "Camera"], name: str) -> "Camera | None":
    """The camera of that file name; failing that, of the only one with the same stem."""
    if name in cameras:
        return cameras[name]
    same_stem = [camera for other, camera in cameras.items() if PurePath(other).stem == Path(name).stem]
    return same_stem[0] if len(same_stem) == 1 else None


def _table(scores: Mapping[str, Any]) -> list[str]:
    lines = []
    if (poses := scores["poses"]) is not None:
        lines.append(f"placed                {poses['num_placed']} of {poses['num_photos']}")
        for key, title, limits in _SHARES:
            values = "   ".join(f"{limit}° {poses[f'{key}_{limit}']:.3f}" for limit in limits)
            lines.append(f"{title:20}  {values}")
        lines.append(f"focal error           {_percent(poses['focal_error'])}")
        lines.append(f"camera centre error   {_percent(poses['center_error'])} of the extent")
    if (heldout := scores["heldout"]) is not None:
        rows = {"held-out photos": heldout, **heldout["views"]}
        width = max(map(len, rows))
        lines += ["", f"{'':{width}}    PSNR    SSIM   PSNR where seen   share seen    FLIP"]
        lines += [f"{name:{width}}  {_quality(row)}" for name, row in rows.items()]
    if (scene := scores["scene"]) is not None:
        lines += _scene_lines(scene)
    return lines or [
        "There are no held-out photos (reconstruct with --holdout); give known cameras with --against, or --artefacts."
    ]


def _scene_lines(scene: Mapping[str, Any]) -> list[str]:
    width = max(len(found["name"]) for found in scene["renders"])
    lines = ["", f"{'':{width}}  strangeness   strange pixels"]
    lines += [
        f"{found['name']:{width}}  {found['score']:11.2f}   {found['strange_share']:14.1%}   {found['picture']}"
        for found in scene["renders"]
    ]
    lines.append("Strangeness: 1 is as unlike the training photos as one more photo of the place.")
    if (colours := scene["colours"]) is not None:
        lines += [
            "",
            f"With the best colours for the held-out photos their PSNR would rise from {colours['psnr']:.2f} to "
            f"{colours['psnr_with_best_colours']:.2f} dB: {colours['geometry_share']:.0%} of the squared error "
            "or more is geometry.",
        ]
    return lines


def _quality(row: Mapping[str, Any]) -> str:
    cells = (
        (row["psnr"], "6.2f"),
        (row["ssim"], "6.3f"),
        (row["covered_psnr"], "15.2f"),
        (row["covered_share"], "10.0%"),
        (row["flip"], "6.3f"),
    )
    return "  ".join(
        "–".rjust(int(form.split(".")[0])) if value is None else format(value, form) for value, form in cells
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"
