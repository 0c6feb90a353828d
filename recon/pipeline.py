"""The recipe: photos to cameras, points, Gaussians and a mesh. Start reading here."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from recon import outputs
from recon.align import upright
from recon.camera_files import read_cameras
from recon.cleaning import Cleaned, cleaned
from recon.config import DeviceName, ReconConfig
from recon.continuation import continued_fit, continued_start
from recon.dense import DenseScene, make_dense
from recon.device import Device, choose_device
from recon.errors import ReconError
from recon.finished_scene import FinishedScene, open_finished_scene
from recon.frame import framed_camera, framed_dense, framed_gaussians, framed_mesh, framed_scene
from recon.frame_wish import FrameWish
from recon.framing import ProjectFrame, frame_block, frame_of, wish_of
from recon.heldout import resolve_heldout, score_heldout
from recon.match_graph import MatchGraph
from recon.match_photos import match_photos
from recon.mesh_freshness import mesh_settings
from recon.meshing import extract_mesh
from recon.optimise import background_of, optimise
from recon.photo import Photo
from recon.photo_loading import PhotoSet, load_more_photos, load_photos
from recon.pose_additions import cameras_beside, require_progress
from recon.poses import estimate_poses, mapper_gates, reconstruction_from_cameras
from recon.preview_file import PreviewFile, check_preview_file
from recon.previews import preview_camera
from recon.progress import Cancelled, PipelineProgress, Progress, StageName
from recon.project import Project, adopt, file_identity, identities, open_project
from recon.report import DeviceReport, Report, holds_result
from recon.scene import Mesh, Reconstruction, View, training_part
from recon.stages import StageRunner
from recon.stored_results import RESULT_TYPES, load_result
from recon.summary import Results, make_report
from recon.texture import color_mesh, photo_views
from splatting import rasterizer
from splatting.gaussians import Gaussians
from splatting.rasterizer import Rasterizer

NO_WISH = FrameWish()


def reconstruct(
    inputs: Sequence[Path],
    out: Path,
    config: ReconConfig,
    *,
    preset: str = "standard",
    holdout: Sequence[str] = (),
    cameras: Path | None = None,
    frame: FrameWish = NO_WISH,
    until: StageName = "mesh",
    progress: PipelineProgress | None = None,
    preview_file: Path | None = None,
) -> Report:
    """Turn photos into a project folder.

    Stages whose inputs and settings did not change since the last run into the same folder are not run again.

    Args:
        inputs: photo files and folders of photos.
        out: the project folder; made if absent.
        config: all settings.
        preset: name of the preset that `config` was made from, for the report.
        holdout: names of photos that are posed but never trained on nor used for depth.
        cameras: file or folder of known cameras; poses are not estimated then.
        frame: which way is up and how long something is; where it says nothing, as in the last run.
        until: the last stage to run.
        progress: told how far everything is; what it raises stops the run between two steps.
        preview_file: shows the splats while they are fitted; see `recon.preview_file`.

    Returns:
        The report, as written to the folder.

    Raises:
        ReconError: the user can mend it; the reason stands in the folder's report.
        Cancelled: raised by `progress`; finished stages are kept and used by the next run.
    """
    project = open_project(out)
    results = Results(preset=preset, config=config)
    stages = StageRunner(project, until, progress)
    try:
        frame_of = ProjectFrame(project, frame)
        _run(stages, results, project, frame_of, inputs, holdout, cameras, preview_file=preview_file)
    except (ReconError, Cancelled) as error:
        if results.is_recorded or not holds_result(out):  # else nothing has changed
            outputs.write_report(project, make_report(results, stages.reports, until, error))
        raise
    report = make_report(results, stages.reports, until)
    outputs.write_report(project, report)
    return report


def add_photos(
    out: Path, inputs: Sequence[Path], *, device: DeviceName | None = None, progress: PipelineProgress | None = None
) -> Report:
    """Add photos to a finished scene and go on from what it holds; its frame stays.

    The new scene is made beside the old one, which stays whole until the new one is finished and takes its place. A
    stopped run leaves the finished stages for the next one with the same photos. Photos of the scene that were left out
    are tried again.

    Args:
        out: the project folder of a finished scene; its settings are used.
        inputs: further photo files, and folders of which every photo is taken that is not in the scene.
        device: where the splats are fitted; None: as the project's settings say.
        progress: as for `reconstruct`.

    Returns:
        The report, as written to the folder.

    Raises:
        ReconError: the folder holds no finished scene, or none of the photos can be added to it. The scene stays.
        Cancelled: raised by `progress`. The scene stays.
    """
    before = open_finished_scene(out)
    results = Results(preset=before.preset, config=replace(before.config, device=device or before.config.device))
    staged = open_project(before.project.adding.folder)
    stages = StageRunner(staged, "mesh", progress, after=before.fingerprint)
    try:
        wish = wish_of(frame_block(before.project))
        frames = ProjectFrame(staged, wish, fixed=frame_of(before.project))
        _run(stages, results, staged, frames, inputs, before.heldout, before.cameras, before)
    except ReconError:
        shutil.rmtree(staged.folder)  # the same photos would fail again
        raise
    results.note(cleaned(before.project, before.gaussians, made_from=stages.fingerprint).note)
    report = make_report(results, stages.reports, "mesh")
    outputs.write_report(staged, report)
    adopt(before.project, staged)
    return report


def remake_mesh(out: Path, *, progress: PipelineProgress | None = None) -> Mesh:
    """Make the mesh of a finished project anew, from the splats as they are after cleaning; a later run keeps it.

    Raises:
        ReconError: the folder holds no finished scene, or its photos are gone.
        Cancelled: raised by `progress`. The mesh stays as it was.
    """
    scene = open_finished_scene(out)
    project, config = scene.project, scene.config
    stages = StageRunner(project, "mesh", progress, after=scene.fingerprint)
    photos = load_photos([photo.path for photo in scene.photos]).photos
    dense: DenseScene = load_result(project, "points")
    kept = cleaned(project, load_result(project, "splats"), made_from=scene.fingerprint)
    views, points = training_part(scene.scene)
    views = dense.lasting(views)
    mesh = stages.run(
        "mesh",
        mesh_settings(config, kept),
        lambda progress: _mesh(photos, views, dense, kept, config, rasterizer.create("cpu"), progress),
        RESULT_TYPES["mesh"],
    )
    frame = frame_of(project)
    outputs.write_mesh(project, framed_mesh(frame, mesh), framed_camera(frame, preview_camera(views, points)))
    return mesh


def _run(
    stages: StageRunner,
    results: Results,
    project: Project,
    frames: ProjectFrame,
    inputs: Sequence[Path],
    holdout: Sequence[str],
    cameras: Path | None,
    before: FinishedScene | None = None,
    preview_file: Path | None = None,
) -> None:
    """The stages in order; each result is kept in `results` and written to the project as soon as it is there.

    With a scene from `before` each stage goes on from what it holds.
    """
    config, seed = results.config, results.config.seed
    if config.device == "cuda":
        choose_device(config.device)  # what cannot work fails now, not after all stages before the splats
    if cameras is not None:
        read_cameras(cameras)
    if preview_file is not None:
        check_preview_file(preview_file)
    draw = rasterizer.create("cpu")

    photos = results.photos = stages.run("photos", None, lambda progress: _load(inputs, before, progress))
    heldout = resolve_heldout(holdout, photos.photos)
    frames.require_photos([photo.name for photo in photos.photos])
    outputs.write_project(project, photos, results, sorted(heldout), cameras)
    results.is_recorded = True
    if stages.is_over:
        return

    graph = results.graph = stages.run(
        "matches",
        [identities(photos.photos), config.matching],
        lambda progress: match_photos(photos.photos, config.matching, progress, known=before.graph if before else None),
        RESULT_TYPES["matches"],
    )
    if stages.is_over:
        return

    scene = results.scene = stages.run(
        "cameras",
        [config.poses, seed, config.working_side_px, sorted(heldout), file_identity(cameras)],
        lambda progress: _place(photos.photos, graph, config, heldout, cameras, before, progress),
        RESULT_TYPES["cameras"],
    )
    results.frame = frame = frames.from_cameras(scene, made_from=stages.fingerprint, were_given=cameras is not None)
    results.written |= outputs.write_cameras(project, framed_scene(frame, scene), frame)
    if stages.is_over:
        return

    views, points = training_part(scene)
    dense = results.dense = stages.run(
        "points",
        [config.dense, config.initialise],
        lambda progress: make_dense(views, points, config.dense, config.initialise, seed=seed, progress=progress),
        RESULT_TYPES["points"],
    )
    results.frame = frame = frames.with_depth(
        scene, dense, {photo.name: (photo.width, photo.height) for photo in photos.photos}
    )
    results.warnings += frames.warnings
    results.written |= outputs.write_cameras(project, framed_scene(frame, scene), frame)
    results.written |= outputs.write_points(project, framed_dense(frame, dense))
    views = dense.lasting(views)
    if stages.is_over:
        return

    device = choose_device(config.device)
    results.device = DeviceReport(device.torch_name, device.rasterizer, device.reason)
    results.note(device.warning)
    preview = None if preview_file is None else PreviewFile(preview_file, partial(framed_gaussians, frame))
    fitted = stages.run(
        "splats",
        [config.fit, device.rasterizer],
        lambda progress: _fit(dense, views, config, device, before, progress, preview),
        RESULT_TYPES["splats"],
    )
    kept = cleaned(project, fitted, made_from=stages.fingerprint)
    results.note(kept.note)
    gaussians = results.gaussians = kept.gaussians
    heldout_views = [view for view in scene.views if view.is_heldout]
    background, shown_from = background_of(views), preview_camera(views, points)
    results.heldout = score_heldout(gaussians, dense, heldout_views, draw, background, project.previews)
    shown_from = framed_camera(frame, shown_from)
    results.written |= outputs.write_splats(project, framed_gaussians(frame, gaussians), draw, shown_from, background)
    if stages.is_over:
        return

    results.mesh = stages.run(
        "mesh",
        mesh_settings(config, kept),
        lambda progress: _mesh(photos.photos, views, dense, kept, config, draw, progress),
        RESULT_TYPES["mesh"],
    )
    results.written |= outputs.write_mesh(project, framed_mesh(frame, results.mesh), shown_from)


def _load(inputs: Sequence[Path], before: FinishedScene | None, progress: Progress) -> PhotoSet:
    return load_photos(inputs, progress) if before is None else load_more_photos(before.photos, inputs, progress)


def _place(
    photos: Sequence[Photo],
    graph: MatchGraph,
    config: ReconConfig,
    heldout: frozenset[str],
    cameras: Path | None,
    before: FinishedScene | None,
    progress: Progress,
) -> Reconstruction:
    """Estimate the cameras, or take the user's; the user's frame is kept, our own is set upright once."""
    side = config.working_side_px
    if cameras is not None:
        known = read_cameras(cameras)
        if before is not None:
            known |= cameras_beside(
                photos,
                graph,
                known,
                mapper_gates(config.poses),
                max_error_px=config.poses.max_error_px,
                seed=config.seed,
                progress=progress,
            )
        scene = reconstruction_from_cameras(
            photos, graph, known, working_side_px=side, heldout=heldout, progress=progress
        )
    else:
        scene = estimate_poses(
            photos,
            graph,
            config.poses,
            working_side_px=side,
            heldout=heldout,
            seed=config.seed,
            progress=progress,
            before=before.scene if before else None,
        )
    if before is not None:
        require_progress(scene, before.scene)
    return scene if cameras or before else upright(scene)


def _fit(
    dense: DenseScene,
    views: Sequence[View],
    config: ReconConfig,
    device: Device,
    before: FinishedScene | None,
    progress: Progress,
    preview: PreviewFile | None,
) -> Gaussians:
    """Fit the Gaussians that the dense depth gives, or go on with those from before."""
    if before is None:
        return optimise(
            dense.gaussians,
            views,
            config.fit,
            device,
            seed=config.seed,
            progress=progress,
            is_verified=dense.is_verified,
            depth_maps=dense.depth_maps,
            on_step=preview,
        )
    start = continued_start(before.gaussians, dense)
    return optimise(
        start,
        views,
        continued_fit(config.fit),
        device,
        seed=config.seed,
        progress=progress,
        depth_maps=dense.depth_maps,
    )


def _mesh(
    photos: Sequence[Photo],
    views: Sequence[View],
    dense: DenseScene,
    kept: Cleaned,
    config: ReconConfig,
    draw: Rasterizer,
    progress: Progress,
) -> Mesh:
    """The surface, in the colours of the photos at their own size."""

    def first(done: int, total: int, message: str) -> None:
        progress(done, 2 * total, message)

    def second(done: int, total: int, message: str) -> None:
        progress(total + done, 2 * total, message)

    mesh = kept.without_removed(
        extract_mesh(
            kept.gaussians, views, config.mesh, rasterizer=draw, stereo_depths=dense.depth_maps, progress=first
        )
    )
    return color_mesh(mesh, photo_views(photos, views, config.texture.photo_side_px), config.texture, second)
