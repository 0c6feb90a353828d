"""What single pairs of photos say of their relative rotation, without the model; and where they contradict it."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import poselib
from numpy.typing import NDArray

from recon.placement import epipolar_errors_px
from recon.pose_metrics import rotation_angle_deg
from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem, SparseModel, undistorted_rays

_MAX_ERROR_PX = 2.0


@dataclass(frozen=True)
class PairRotation:
    """The relative pose that the verified matches of one pair of placed photos give by themselves.

    Attributes:
        a, b: positions of the photos.
        b_from_a: rotation [3, 3].
        num_matches: verified matches.
        num_own: matches that agree with this pose.
        num_model: matches that agree with the cameras of the model.
        off_deg: angle between this rotation and that of the model.
    """

    a: int
    b: int
    b_from_a: NDArray[np.float64]
    num_matches: int
    num_own: int
    num_model: int
    off_deg: float


def pair_rotations(problem: MappingProblem, model: SparseModel, *, seed: int) -> tuple[PairRotation, ...]:
    """Solve every pair of placed photos alone, with the lenses of the model (five points, RANSAC, refined)."""
    found = []
    for pair in problem.pairs:
        if pair.a not in model.cam_from_world or pair.b not in model.cam_from_world or len(pair.indices) < 8:
            continue
        in_a, in_b = (
            undistorted_rays(problem, model, photo, pair.indices[:, side])[:, :2]
            * model.lenses[problem.lens_of[photo]].focal
            * MAPPING_SIDE_PX
            for side, photo in enumerate((pair.a, pair.b))
        )
        cameras = [_camera(model.lenses[problem.lens_of[photo]].focal) for photo in (pair.a, pair.b)]
        ransac = {"max_epipolar_error": _MAX_ERROR_PX, "max_iterations": 1000, "seed": seed}
        pose, info = poselib.estimate_relative_pose(in_a, in_b, *cameras, ransac, {})
        R = np.asarray(pose.R)
        in_model = (model.cam_from_world[pair.b] @ np.linalg.inv(model.cam_from_world[pair.a]))[:3, :3]
        agreeing = int(np.sum(epipolar_errors_px(problem, model, pair) <= _MAX_ERROR_PX))
        own = int(np.sum(info["inliers"]))
        found.append(
            PairRotation(pair.a, pair.b, R, len(pair.indices), own, agreeing, rotation_angle_deg(R @ in_model.T))
        )
    return tuple(found)


def cycle_errors_deg(rotations: tuple[PairRotation, ...], *, min_matches: int) -> dict[tuple[int, int, int], float]:
    """How far the rotations around every three photos a < b < c, each pair with so many matches, are from closing."""
    strong = {(pair.a, pair.b): pair.b_from_a for pair in rotations if pair.num_own >= min_matches}
    photos = sorted({photo for pair in strong for photo in pair})
    return {
        (a, b, c): rotation_angle_deg(strong[a, c].T @ strong[b, c] @ strong[a, b])
        for a, b, c in combinations(photos, 3)
        if (a, b) in strong and (b, c) in strong and (a, c) in strong
    }


def _camera(focal: float) -> dict[str, object]:
    focal_px = focal * MAPPING_SIDE_PX
    return {
        "model": "PINHOLE",
        "width": MAPPING_SIDE_PX,
        "height": MAPPING_SIDE_PX,
        "params": [focal_px, focal_px, 0.0, 0.0],
    }
