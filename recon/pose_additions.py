"""Cameras of photos that are added to a scene: mapping starts from those it has, and ends in its frame."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from recon.align import moved, similarity_from_cameras
from recon.colmap import MapperGates, triangulate
from recon.errors import ReconError
from recon.focal import TYPICAL, FocalEvidence, evidence_from_exif, evidence_from_scene
from recon.mapping import find_model
from recon.match_graph import MatchGraph
from recon.photo import Photo
from recon.placement import without_contradicted_photos
from recon.progress import Progress
from recon.scene import Reconstruction
from recon.sparse_model import Lens, MappingProblem, SparseModel, without_large_errors, without_photos
from recon.sparse_scene import camera_with_lens, cameras_of_photos, known_problem
from recon.undistort import DistortedCamera

_MAX_REASONS = 3
_FOCAL_STEP, _WORKERS = 1.25, 2  # as `PoseConfig` has them


def lenses_of_scene(photos: Sequence[Photo], scene: Reconstruction) -> dict[str, Lens]:
    """The lenses of a scene whose cameras were estimated, by camera label.

    Args:
        photos: the scene's and any others.
        scene: all its photos of one label share a lens.
    """
    label_of = {photo.name: photo.camera_label for photo in photos}
    return {
        label_of[view.name]: Lens(
            float(view.camera.K[0, 0]) / max(view.camera.width, view.camera.height), view.removed_distortion[0]
        )
        for view in scene.views
    }


def start_of_mapping(
    photos: Sequence[Photo],
    problem: MappingProblem,
    lenses: Sequence[Lens],
    scene: Reconstruction,
    gates: MapperGates,
    *,
    max_error_px: float,
    seed: int,
) -> SparseModel:
    """The scene's cameras as a model, with its points triangulated from the matches.

    Args:
        photos: of the problem, the scene's among them.
        problem: matches in the mapping frame.
        lenses: of the problem; those of the scene's photos as `lenses_of_scene` tells.
        scene: whose views are placed.
        gates: for triangulation.
        max_error_px: largest reprojection error of a point, in the mapping frame.
        seed: of the triangulation.
    """
    position = {photo.name: index for index, photo in enumerate(photos)}
    placed = {position[view.name]: view.camera.cam_from_world for view in scene.views}
    nothing = np.zeros(0, np.int64)
    cameras = SparseModel(tuple(lenses), placed, np.zeros((0, 3)), nothing, nothing, nothing)
    points = triangulate(problem, cameras, gates, seed=seed)
    return without_large_errors(problem, points, max_error_px=max_error_px)


def cameras_beside(
    photos: Sequence[Photo],
    graph: MatchGraph,
    known: Mapping[str, DistortedCamera],
    gates: MapperGates,
    *,
    max_error_px: float,
    seed: int,
    progress: Progress,
) -> dict[str, DistortedCamera]:
    """Cameras of photos that the user gave none for, placed beside those that are known, which do not move.

    A photo has the lens of a known one with its camera label, else one as EXIF tells or as most cameras have.

    Args:
        photos: those with a known camera among them.
        graph: matches between them, keypoints at full photo size.
        known: by photo name, with or without extension.
        gates: how much evidence is asked for.
        max_error_px: largest reprojection error of a point, in the mapping frame.
        seed: of every random choice.
        progress: may raise `Cancelled`.

    Returns:
        By photo name; without those that could not be placed.
    """
    placed = cameras_of_photos(photos, known)
    others = [index for index in range(len(photos)) if index not in placed]
    assumed = {index: _lens_like(photos, placed, index) for index in others}
    problem, model = known_problem(photos, graph, placed | {index: camera for index, (camera, _) in assumed.items()})
    model = triangulate(problem, without_photos(model, others), gates, seed=seed)
    model = without_large_errors(problem, model, max_error_px=max_error_px)
    beliefs = [evidence_from_scene(lens) for lens in model.lenses]
    for index in others:
        beliefs[index] = assumed[index][1] or beliefs[index]
    found = find_model(
        problem, beliefs, gates, step=_FOCAL_STEP, workers=_WORKERS, seed=seed, progress=progress, start=model
    )
    assert found is not None  # mapping gives back the start at least
    found = without_contradicted_photos(problem, found, max_error_px=max_error_px, settled=placed)
    cameras = {}
    for index in set(others) & found.cam_from_world.keys():
        camera, factor = assumed[index][0], found.lenses[index].focal / model.lenses[index].focal
        K = camera.camera.K * [[factor, 1, 1], [1, factor, 1], [1, 1, 1]]
        pinhole = replace(camera.camera, K=K, cam_from_world=found.cam_from_world[index])
        cameras[photos[index].name] = replace(camera, camera=pinhole)
    return cameras


def _lens_like(
    photos: Sequence[Photo], placed: Mapping[int, DistortedCamera], index: int
) -> tuple[DistortedCamera, FocalEvidence | None]:
    """A camera at the origin with the lens that a photo probably has, and how sure that is; None for a known lens."""
    photo = photos[index]
    for twin, camera in placed.items():
        same_shape = photos[twin].width * photo.height == photos[twin].height * photo.width
        if photos[twin].camera_label == photo.camera_label and same_shape:
            lens = camera.camera.resized(photo.width, photo.height)
            return DistortedCamera(replace(lens, cam_from_world=np.eye(4)), camera.distortion), None
    known = photo.focal_prior_px
    belief = TYPICAL if known is None else evidence_from_exif(known / max(photo.width, photo.height))
    return camera_with_lens(photo, Lens(belief.focal), np.eye(4)), belief


def in_frame_of(scene: Reconstruction, before: Reconstruction) -> Reconstruction:
    """The scene moved as a whole so that the cameras it had before lie where they lay.

    Raises:
        ValueError: fewer than two different cameras of before are left.
    """
    old = {view.name: view.camera for view in before.views}
    common = [view for view in scene.views if view.name in old]
    return moved(scene, *similarity_from_cameras([view.camera for view in common], [old[view.name] for view in common]))


def require_progress(scene: Reconstruction, before: Reconstruction) -> None:
    """Refuse a scene that gained nothing.

    Raises:
        ReconError: no photo is placed that was not placed before.
    """
    if {view.name for view in scene.views} <= {view.name for view in before.views}:
        reasons = " ".join(f"{photo.name}: {photo.reason}" for photo in scene.unplaced[-_MAX_REASONS:])
        raise ReconError(
            f"None of the photos could be placed in the scene. {reasons}",
            "The scene is as it was. Add photos that show mostly the same things as one of its photos.",
        )
