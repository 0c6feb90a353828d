"""The photos placed a second time from another beginning, to see whether the cameras come out the same."""

import logging
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recon.colmap import ColmapError, MapperGates, adjust, map_photos
from recon.pose_metrics import rotation_angle_deg
from recon.sparse_model import MappingProblem, SparseModel

Floats = NDArray[np.float64]

log = logging.getLogger(__name__)


def second_model(
    problem: MappingProblem, model: SparseModel, doubtful: Sequence[int], gates: MapperGates, *, seed: int
) -> SparseModel | None:
    """Map anew with the lenses of the model, beginning with its most doubtful photo.

    Mapping begins with the strongest pair and never looks back, so a wrong beginning is only found by another one;
    a wrong photo at the end by making it the beginning.

    Args:
        problem: matches in the mapping frame.
        model: the first opinion.
        doubtful: its photos, the most doubtful first; the first two that have a usable partner are tried.
        gates: how much evidence mapping asks for.
        seed: of every random choice.

    Returns:
        None when no other beginning holds.
    """
    for photo in doubtful[:2]:
        partner = _best_partner(model, photo, gates.min_init_angle_deg)
        if partner is None:
            continue
        try:
            found = map_photos(problem, model.lenses, gates, seed=seed, first_pair=(photo, partner))
            if found is not None and found.num_placed >= 2:
                return adjust(problem, found).model
        except ColmapError as error:
            log.info("the second opinion failed: %s", error)
    return None


def disagreements_deg(first: SparseModel, second: SparseModel) -> dict[tuple[int, int], float]:
    """How far two models disagree on the relative pose of every two photos a < b that both place.

    Returns:
        The angle between the rotations or between the directions of translation, whichever is larger, in [0, 180].
    """
    both = sorted(set(first.cam_from_world) & set(second.cam_from_world))
    return {(a, b): _pose_angle_deg(_b_from_a(first, a, b), _b_from_a(second, a, b)) for a, b in combinations(both, 2)}


def _best_partner(model: SparseModel, photo: int, min_angle_deg: float) -> int | None:
    """The photo with most common points of those from which they are seen under a large enough angle; None without."""
    own = model.point_of[model.photo_of == photo]
    common: dict[int, int] = {}
    for other in set(model.cam_from_world) - {photo}:
        points = model.xyz[np.intersect1d(own, model.point_of[model.photo_of == other])]
        if len(points) and np.median(_ray_angles_deg(model, points, photo, other)) > min_angle_deg:
            common[other] = len(points)
    return max(common, key=lambda other: common[other], default=None)


def _ray_angles_deg(model: SparseModel, points: Floats, a: int, b: int) -> Floats:
    """Angles under which two photos see points [N, 3], [N]."""
    rays = []
    for T in (model.cam_from_world[a], model.cam_from_world[b]):
        ray = points + T[:3, :3].T @ T[:3, 3]  # the centre is -R^T t
        rays.append(ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-12))
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(rays[0] * rays[1], axis=1), -1, 1))))


def _b_from_a(model: SparseModel, a: int, b: int) -> Floats:
    return np.asarray(model.cam_from_world[b] @ np.linalg.inv(model.cam_from_world[a]))


def _pose_angle_deg(one: Floats, other: Floats) -> float:
    cross, dot = np.cross(one[:3, 3], other[:3, 3]), one[:3, 3] @ other[:3, 3]
    direction = float(np.degrees(np.arctan2(np.linalg.norm(cross), dot)))
    return max(rotation_angle_deg(one[:3, :3] @ other[:3, :3].T), direction)
