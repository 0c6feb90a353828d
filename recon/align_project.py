"""Another frame for a finished project: everything in its folder moves at once, and nothing is computed anew."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recon import outputs
from recon.artefacts import ArtefactError
from recon.cleaning import cleaned
from recon.dense import DenseScene
from recon.errors import ReconError
from recon.frame import Frame, frame_report, framed_camera, framed_dense, framed_gaussians, framed_mesh, framed_scene
from recon.frame_wish import FrameWish
from recon.framing import block_of, depths_of_splats, depths_of_stereo, find_frame, frame_block, frame_key, wish_of
from recon.optimise import background_of
from recon.previews import preview_camera
from recon.progress import Progress, StageName, no_progress
from recon.project import PROJECT_FILE, Project, adopt, open_project
from recon.real_scale import DepthAt
from recon.report import FrameReport, ReportFileError, read_report
from recon.scene import Mesh, Reconstruction, training_part
from recon.stored_results import load_result
from recon.whole_files import write_whole
from splatting import rasterizer
from splatting.gaussians import Gaussians

_FILES: dict[StageName, str] = {
    "cameras": "cameras.json",
    "points": "points.ply",
    "splats": "splats.ply",
    "mesh": "mesh.glb",
}
_AGAIN = "Run the command that made it again: what is stored in work/ is used, what is missing is made anew."


@dataclass(frozen=True)
class _Stored:
    """What the stages of a project made, in their own frame; None where one has not run."""

    scene: Reconstruction
    dense: DenseScene | None
    gaussians: Gaussians | None
    mesh: Mesh | None
    made_from: str


def align_project(out: Path, wish: FrameWish, *, progress: Progress = no_progress) -> FrameReport:
    """Give a project another frame.

    Cameras, points, splats, mesh, pictures and report are written beside the old ones and then take their place; what
    the stages stored stays as it is, so that a later run goes on from it, and keeps the frame.

    Args:
        out: the project folder; its last run must have come as far as the cameras.
        wish: which way is up and how long something is; where it says nothing, as it was wished before.
        progress: told how far it is.

    Returns:
        What the report says of the frame now.

    Raises:
        ReconError: the folder holds no project with cameras, or the measured length cannot be found in it. Nothing
            has changed then.
    """
    if not (out / PROJECT_FILE).is_file():
        raise ReconError(f"{out} is no project folder.", "Name the folder that was given to reconstruct with -o.")
    project = open_project(out)
    progress(0, 6, "reading the scene")
    try:
        asked = json.loads((out / PROJECT_FILE).read_text(encoding="utf-8"))
        stored = _stored(project)
        sizes = {photo["name"]: (photo["width"], photo["height"]) for photo in asked["photos"] if "width" in photo}
        were_given = asked["cameras"] is not None
    except (ArtefactError, ValueError, KeyError, TypeError) as error:
        raise ReconError(f"The project {out} cannot be read: {error}.", _AGAIN) from error
    whole = wish.over(wish_of(frame_block(project)))
    depth_maps = stored.dense.depth_maps if stored.dense else None
    progress(1, 6, "finding the frame")
    frame = find_frame(whole, stored.scene, depth_maps, _depths(stored), sizes, were_given=were_given)
    key = frame_key(stored.made_from, whole)
    block = block_of(whole, frame, made_from=key, is_final=stored.dense is not None)
    _write(project, stored, frame, {**asked, "frame": block}, progress)
    return frame_report(frame)


def _stored(project: Project) -> _Stored:
    """What the files in the folder were written from, be they of the last run or of the one before.

    Files of another frame do not stay there (`recon.framing`), so what the stages stored of them shares one frame too.
    """
    results: list[Any] = []
    for stage, name in _FILES.items():
        is_there = (project.folder / name).is_file()
        results.append(load_result(project, stage) if is_there else None)
    made_from = project.record("cameras").get("fingerprint")
    if results[0] is None or made_from is None:
        raise ReconError(
            f"The project {project.folder} holds no cameras yet.", "Run reconstruct at least until the stage cameras."
        )
    scene, dense, fitted, mesh = results
    fit_made_from = project.record("splats").get("fingerprint", "")
    gaussians = None if fitted is None else cleaned(project, fitted, made_from=fit_made_from).gaussians
    return _Stored(scene, dense, gaussians, mesh, made_from)


def _depths(stored: _Stored) -> DepthAt:
    """Depths that photos agree on, else those that the splats show."""
    sources: list[DepthAt] = []
    if stored.dense is not None:
        sources.append(depths_of_stereo(stored.scene, stored.dense.depth_maps))
    if stored.gaussians is not None:
        sources.append(depths_of_splats(stored.scene, stored.gaussians, rasterizer.create("cpu")))
    return _first_known(sources)


def _first_known(sources: Sequence[DepthAt]) -> DepthAt:
    return lambda idx, pixel: next((z for source in sources if (z := source(idx, pixel)) is not None), None)


def _write(project: Project, stored: _Stored, frame: Frame, asked: dict[str, Any], progress: Progress) -> None:
    """Everything in the frame, first beside the project, then in its place."""
    staged = project.aligning
    shutil.rmtree(staged.folder, ignore_errors=True)
    staged.previews.mkdir(parents=True)
    if project.previews.is_dir():
        shutil.copytree(project.previews, staged.previews, dirs_exist_ok=True)  # the report embeds them
    try:
        write_whole(staged.folder / PROJECT_FILE, json.dumps(asked, indent=1) + "\n")
        progress(2, 6, "writing cameras")
        outputs.write_cameras(staged, framed_scene(frame, stored.scene), frame)
        views, points = training_part(stored.scene)
        if stored.dense is not None:
            progress(3, 6, "writing points")
            outputs.write_points(staged, framed_dense(frame, stored.dense))
        preview = framed_camera(frame, preview_camera(views, points))
        if stored.gaussians is not None:
            progress(4, 6, "writing splats")
            moved, draw = framed_gaussians(frame, stored.gaussians), rasterizer.create("cpu")
            outputs.write_splats(staged, moved, draw, preview, background_of(views))
        if stored.mesh is not None:
            progress(5, 6, "writing the mesh")
            outputs.write_mesh(staged, framed_mesh(frame, stored.mesh), preview)
        _write_report(project, staged, frame)
    except BaseException:
        shutil.rmtree(staged.folder, ignore_errors=True)
        raise
    adopt(project, staged)
    progress(6, 6, "done")


def _write_report(project: Project, staged: Project, frame: Frame) -> None:
    try:
        report = read_report(project.folder)
    except ReportFileError:
        return  # deleted or of another version: the scene does not need it
    outputs.write_report(staged, replace(report, frame=frame_report(frame)))
