"""Cameras of photos that are added to a scene: mapping starts from those it has, and ends in its frame."""

from collections.abc import Sequence

import numpy as np

from recon.align import moved, similarity_from_cameras
from recon.colmap import MapperGates, triangulate
from recon.errors import ReconError
from recon.photo import Photo
from recon.scene import Reconstruction
from recon.sparse_model import Lens, MappingProblem, SparseModel, without_large_errors

_MAX_REASONS = 3


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
