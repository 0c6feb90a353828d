"""Which photos are placed in agreement with their matches, and why others are not placed."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from recon.match_graph import PairMatches
from recon.scene import UnplacedPhoto
from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem, SparseModel, undistorted_rays, without_photos

_MIN_AGREEING_SHARE = 0.5


def without_contradicted_photos(
    problem: MappingProblem, model: SparseModel, *, max_error_px: float, settled: Collection[int] = ()
) -> SparseModel:
    """Take away photos whose camera contradicts most of their verified matches, the worst first.

    Mapping may fit a photo to a few points while most of its matches say otherwise, as with repeated structure.
    `settled` photos stay whatever the others say.
    """
    while model.num_placed > 2:
        asked = [photo for photo in model.cam_from_world if photo not in settled]
        shares = {photo: agreeing_share(problem, model, photo, max_error_px) for photo in asked}
        worst = min(shares, key=lambda photo: shares[photo], default=None)
        if worst is None or shares[worst] >= _MIN_AGREEING_SHARE:
            break
        model = without_photos(model, {worst})
    return model


def explain_unplaced(
    names: Sequence[str], pairs: Sequence[PairMatches], model: SparseModel, min_pose_inliers: int
) -> tuple[UnplacedPhoto, ...]:
    """The photos without a camera, each with the reason and what to do, one sentence each.

    Args:
        names: of all photos.
        pairs: all that were matched, rejected ones included.
        model: the placed photos and their points.
        min_pose_inliers: ties to the scene that a photo needs.
    """
    return tuple(
        UnplacedPhoto(name, *_reason(names, pairs, model, photo, min_pose_inliers))
        for photo, name in enumerate(names)
        if photo not in model.cam_from_world
    )


def _reason(
    names: Sequence[str], pairs: Sequence[PairMatches], model: SparseModel, photo: int, min_pose_inliers: int
) -> tuple[str, str]:
    """Why a photo has no camera, and what to do about it."""
    own = [p for p in pairs if photo in (p.a, p.b) and _other(p, photo) in model.cam_from_world]
    best = max(own, key=lambda pair: (pair.rejected is None, len(pair.indices)), default=None)
    if best is None or not len(best.indices):
        return (
            "It has no verified matches with any placed photo.",
            "Leave it out, or take photos between it and the others, a step apart.",
        )
    neighbour = names[_other(best, photo)]
    between = f"Take one more photo between {neighbour} and {names[photo]}."
    shares = f"It shares {len(best.indices)} matches with its best neighbour {neighbour}"
    used = [pair for pair in own if pair.rejected is None]
    if not used:
        return f"{shares}, too few to be used.", between
    ties = _num_ties(model, used, photo)
    if ties < min_pose_inliers:
        return f"{shares}, but only {ties} lead to points of the scene; {min_pose_inliers} are needed.", between
    return (
        f"No camera agrees with its {ties} matches to points of the scene, most of them with {neighbour}: "
        "they contradict each other.",
        f"{between} Things that look alike, or that moved, mislead.",
    )


def _num_ties(model: SparseModel, pairs: Sequence[PairMatches], photo: int) -> int:
    """Keypoints of the photo that a match leads to a point of the scene (2D-3D correspondences)."""
    tied: set[int] = set()
    for pair in pairs:
        own, others = (0, 1) if pair.a == photo else (1, 0)
        with_point = model.keypoint_of[model.photo_of == _other(pair, photo)]
        leads = np.isin(pair.indices[:, others], with_point)
        tied.update(pair.indices[leads, own].tolist())
    return len(tied)


def agreeing_share(problem: MappingProblem, model: SparseModel, photo: int, max_error_px: float) -> float:
    """Share of the verified matches of a placed photo, with placed photos, that fit the two cameras; 0 without any."""
    agreeing, total = 0, 0
    for pair in _pairs_of(problem, photo):
        if _other(pair, photo) in model.cam_from_world and len(pair.indices):
            agreeing += int(np.sum(epipolar_errors_px(problem, model, pair) <= max_error_px))
            total += len(pair.indices)
    return agreeing / total if total else 0.0


def epipolar_errors_px(problem: MappingProblem, model: SparseModel, pair: PairMatches) -> NDArray[np.float64]:
    """Sampson distance of each match of a pair under the model's cameras, [M] px in the mapping frame [1].

    [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., sec. 11.4.3.
    """
    rays_a = undistorted_rays(problem, model, pair.a, pair.indices[:, 0])
    rays_b = undistorted_rays(problem, model, pair.b, pair.indices[:, 1])
    b_from_a = model.cam_from_world[pair.b] @ np.linalg.inv(model.cam_from_world[pair.a])
    x, y, z = b_from_a[:3, 3]
    E = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ b_from_a[:3, :3]
    lines_b, lines_a = rays_a @ E.T, rays_b @ E
    algebraic = np.abs(np.sum(rays_b * lines_b, axis=1))
    focal_a, focal_b = (model.lenses[problem.lens_of[p]].focal * MAPPING_SIDE_PX for p in (pair.a, pair.b))
    gradient = np.hypot(
        np.linalg.norm(lines_a[:, :2], axis=1) / focal_a, np.linalg.norm(lines_b[:, :2], axis=1) / focal_b
    )
    return algebraic / np.maximum(gradient, 1e-300)


def _pairs_of(problem: MappingProblem, photo: int) -> list[PairMatches]:
    return [pair for pair in problem.pairs if photo in (pair.a, pair.b)]


def _other(pair: PairMatches, photo: int) -> int:
    return pair.b if pair.a == photo else pair.a
