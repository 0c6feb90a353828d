"""Take likely floaters, what no photo shows, or all but a box out of a finished project; every step can be undone."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from recon import outputs
from recon.artefacts import ArtefactError
from recon.cleaning import CLEANING_FILE, cleaned, cleaning_note, history_document, history_of
from recon.dense import DenseScene
from recon.errors import ReconError
from recon.frame import Frame, framed_camera, framed_gaussians
from recon.framing import frame_of
from recon.optimise import background_of
from recon.previews import preview_camera
from recon.progress import Progress, no_progress
from recon.project import PROJECT_FILE, Project, adopt, open_project
from recon.report import ReportFileError, read_report
from recon.scene import DepthMap, PointCloud, Reconstruction, View, training_part
from recon.stored_results import load_result
from recon.whole_files import write_whole
from splatting import rasterizer
from splatting.camera import Camera
from splatting.edit_history import EditHistory
from splatting.floaters import floater_scores, floater_signs, likely_floaters
from splatting.formats import write_splats
from splatting.gaussians import Gaussians
from splatting.selection import in_box
from splatting.unseen import beyond_the_seen
from splatting.visibility import num_seeing, visibilities

Box = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class CleaningWish:
    """What to take out.

    Attributes:
        strength: of the search for floaters, 0 to 1; None: no search.
        crop: lower and upper corner of a box, x0, y0, z0, x1, y1, z1 in the project's frame; what lies outside goes.
        drops_unseen: take out what no photo shows, guesses beyond the frames and behind things, but not what fills gaps
            in what photos show; see `splatting.unseen`.

    Raises:
        ValueError: the strength is not in [0, 1], or the box is empty.
    """

    strength: float | None = None
    crop: Box | None = None
    drops_unseen: bool = False

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be 0 to 1, got {self.strength:g}")
        if self.crop is not None:
            in_box(np.zeros((0, 3)), self.crop[:3], self.crop[3:])


@dataclass(frozen=True)
class CleanScene:
    """A finished project, ready to be cleaned; everything in the frame of its files.

    Attributes:
        project: where it lies.
        frame: of its files.
        views: the training views, with the cameras that the stages use.
        cameras: the same cameras in the frame.
        gaussians: all that were fitted, in the frame.
        scores: how likely each is a floater [N].
        shares: how much of each every camera sees [V, N], see `splatting.visibility`.
        history: what was removed so far.
        made_from: fingerprint of the fit.
        points: sparse points of the stages.
        depth_maps: verified depth of the views, in the world of the stages.
    """

    project: Project
    frame: Frame
    views: tuple[View, ...]
    cameras: tuple[Camera, ...]
    gaussians: Gaussians
    scores: NDArray[np.float32]
    shares: torch.Tensor
    history: EditHistory
    made_from: str
    points: PointCloud
    depth_maps: tuple[DepthMap, ...]


@dataclass(frozen=True)
class CleanStep:
    """What one criterion selects: in words, and which Gaussians [N], those included that are out already."""

    what: str
    mask: NDArray[np.bool_]


def open_clean_scene(out: Path, *, progress: Progress = no_progress) -> CleanScene:
    """Read a project and look for floaters: about two seconds for 100k Gaussians and six photos.

    Raises:
        ReconError: the folder holds no project with splats, or it cannot be read.
    """
    if not (out / PROJECT_FILE).is_file():
        raise ReconError(f"{out} is no project folder.", "Name the folder that was given to reconstruct with -o.")
    project = open_project(out)
    made_from = project.record("splats").get("fingerprint")
    if made_from is None or not (out / "splats.ply").is_file():
        raise ReconError(f"The project {out} holds no splats yet.", "Run reconstruct at least until the stage splats.")
    try:
        scene: Reconstruction = load_result(project, "cameras")
        dense: DenseScene = load_result(project, "points")
        fitted: Gaussians = load_result(project, "splats")
    except ArtefactError as error:
        raise ReconError(f"The project {out} cannot be read: {error}.", "Run reconstruct again.") from error
    views, points = training_part(scene)
    cameras, draw = [view.camera for view in views], rasterizer.create("cpu")
    depths = [depth_map.depth for depth_map in dense.depth_maps]
    shares = visibilities(fitted, cameras, draw, progress=progress)
    signs = floater_signs(fitted, cameras, draw, verified_depths=depths, shares=shares, progress=progress)
    frame = frame_of(project)
    return CleanScene(
        project,
        frame,
        views,
        tuple(framed_camera(frame, camera) for camera in cameras),
        framed_gaussians(frame, fitted),
        floater_scores(signs),
        shares,
        history_of(project, len(fitted), made_from=made_from),
        made_from,
        points,
        dense.depth_maps,
    )


def selected(scene: CleanScene, wish: CleaningWish) -> list[CleanStep]:
    """What a wish selects, a step for each of its parts."""
    steps = []
    if wish.strength is not None:
        mask = likely_floaters(scene.scores, wish.strength)
        steps.append(CleanStep(f"likely floaters, strength {wish.strength:g}", mask))
    if wish.drops_unseen:
        mask = beyond_the_seen(scene.gaussians, num_seeing(scene.shares)).numpy()
        steps.append(CleanStep("what no photo shows", mask))
    if wish.crop is not None:
        inside = in_box(scene.gaussians.means.numpy(), wish.crop[:3], wish.crop[3:])
        steps.append(CleanStep(f"all outside of {','.join(f'{value:g}' for value in wish.crop)}", ~inside))
    return steps


def remove(history: EditHistory, steps: Sequence[CleanStep]) -> list[int]:
    """Remove what steps select; returns how many Gaussians each took out.

    Raises:
        ReconError: nothing would be left of the scene.
    """
    try:
        return [history.remove(step.mask, step.what) for step in steps]
    except ValueError as error:
        raise ReconError("Nothing would be left of the scene.", "Take a lower strength or a larger box.") from error


def write_cleaned(scene: CleanScene, destination: Path) -> None:
    """Write what is left to a file of its own, in the format that its name says; the project stays as it is.

    Raises:
        ReconError: the name says no format of splats, or the file cannot be written.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        write_splats(scene.gaussians.select(torch.from_numpy(~scene.history.removed())), destination)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        message = f"{destination} cannot be written: {reason or error}."
        raise ReconError(message, "Name another place with -o; the end of the name says the format.") from error


def save_cleaning(scene: CleanScene) -> None:
    """Make the project what its history says: `splats.ply`, its picture, the report and the record, or nothing at all.

    The mesh stays as it is: see `recon.pipeline.remake_mesh`.
    """
    project, staged = scene.project, scene.project.cleaning
    shutil.rmtree(staged.folder, ignore_errors=True)
    staged.previews.mkdir(parents=True)
    if project.previews.is_dir():
        shutil.copytree(project.previews, staged.previews, dirs_exist_ok=True)  # the report embeds them
    try:
        kept = scene.gaussians.select(torch.from_numpy(~scene.history.removed()))
        preview = framed_camera(scene.frame, preview_camera(scene.views, scene.points))
        outputs.write_splats(staged, kept, rasterizer.create("cpu"), preview, background_of(scene.views))
        write_whole(staged.folder / CLEANING_FILE, history_document(scene.history, scene.made_from))
        _write_report(scene, staged)
    except BaseException:
        shutil.rmtree(staged.folder, ignore_errors=True)
        raise
    adopt(project, staged)


def _write_report(scene: CleanScene, staged: Project) -> None:
    """The report with a word on what is gone now, in place of the one on what was gone before."""
    try:
        report = read_report(scene.project.folder)
    except ReportFileError:
        return  # deleted or of another version: the scene does not need it
    before = cleaned(scene.project, scene.gaussians, made_from=scene.made_from).note
    note = cleaning_note(scene.project, scene.history)
    told = [warning for warning in report.warnings if warning != before]
    outputs.write_report(staged, replace(report, warnings=(*told, *([note] if note else []))))
