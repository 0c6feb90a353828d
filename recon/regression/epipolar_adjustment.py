"""All cameras and their focal length moved at once until the matches of all pairs agree, before there are points.

Between averaged poses, which are rough, and bundle adjustment, which needs good ones to triangulate from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from recon.focal import FocalEvidence
from recon.regression.correspondences import UNIT_PX

_LOSS_PX = 1.5  # Cauchy: matches further off than this soon stop to pull
_NOISE_PX = 0.7  # of keypoints; weighs the belief in the focal length against the matches
_MAX_STEPS = 40
_STEP = 1e-6  # of the differences that make the Jacobian, rad and mean baselines


@dataclass(frozen=True)
class JointCameras:
    """C cameras of one focal length.

    Attributes:
        R: cam_from_world [C, 3, 3].
        centres: [C, 3].
        focal: units.
    """

    R: NDArray[np.float64]
    centres: NDArray[np.float64]
    focal: float


def adjust_to_matches(
    cameras: JointCameras,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    places: NDArray[np.float64],
    is_match: NDArray[np.bool_],
    belief: FocalEvidence | None,
) -> tuple[JointCameras, NDArray[np.float64]]:
    """Minimise the robust Sampson distances of all matches over all cameras (Levenberg and Marquardt).

    Camera 0 stays; the unit of length stays that of the mean distance from it.

    Args:
        cameras: where to start.
        a, b: [P] the cameras of each pair.
        places: [P, S, 4] matches in units, x and y in a, then in b.
        is_match: [P, S], false for rows that only fill up.
        belief: of the focal length, which then moves too; None holds it.

    Returns:
        The cameras, and the distances [P, S] in px, 0 where there is no match.
    """
    residual = _residuals(cameras, a, b, places) * is_match
    cost, damping = _cost(residual, cameras, belief), 1e-3
    for _ in range(_MAX_STEPS):
        normal, gradient = _normal_equations(cameras, a, b, places, residual, is_match, belief)
        improved = False
        while not improved and damping < 1e6:
            damped = normal + damping * np.diag(np.diag(normal)) + 1e-9 * np.trace(normal) * np.eye(len(normal))
            candidate = _moved(cameras, -np.linalg.solve(damped, gradient))
            own = _residuals(candidate, a, b, places) * is_match
            own_cost = _cost(own, candidate, belief)
            improved = own_cost < cost
            damping = damping / 5 if improved else damping * 4
        if not improved:
            break
        gain = cost - own_cost
        cameras, residual, cost = candidate, own, own_cost
        if gain < 1e-6 * cost:
            break
    return cameras, np.abs(residual)


def _residuals(
    cameras: JointCameras, a: NDArray[np.int64], b: NDArray[np.int64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Signed Sampson distances [P, S] in px."""
    return _pair_residuals(cameras.R[a], cameras.centres[a], cameras.R[b], cameras.centres[b], cameras.focal, places)


def _pair_residuals(
    R_a: NDArray[np.float64],
    c_a: NDArray[np.float64],
    R_b: NDArray[np.float64],
    c_b: NDArray[np.float64],
    focal: float,
    places: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Of pairs whose cameras have orientations [P, 3, 3] and centres [P, 3]."""
    one = np.ones((*places.shape[:2], 1))
    rays_a = np.concatenate([places[..., :2] / focal, one], axis=-1)
    rays_b = np.concatenate([places[..., 2:] / focal, one], axis=-1)
    t = np.einsum("pij,pj->pi", R_b, c_a - c_b)
    zero = np.zeros(len(t))
    cross = np.stack([zero, -t[:, 2], t[:, 1], t[:, 2], zero, -t[:, 0], -t[:, 1], t[:, 0], zero], axis=-1)
    E = cross.reshape(-1, 3, 3) @ R_b @ R_a.transpose(0, 2, 1)
    lines_b, lines_a = rays_a @ E.transpose(0, 2, 1), rays_b @ E
    slope = np.sum(lines_b[..., :2] ** 2, axis=-1) + np.sum(lines_a[..., :2] ** 2, axis=-1)
    return np.sum(rays_b * lines_b, axis=-1) / np.sqrt(np.maximum(slope, 1e-300)) * (focal * UNIT_PX)


def _normal_equations(
    cameras: JointCameras,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    places: NDArray[np.float64],
    residual: NDArray[np.float64],
    is_match: NDArray[np.bool_],
    belief: FocalEvidence | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Newton matrix and gradient over [rotation and centre of cameras 1 to C - 1, log focal]."""
    count = len(cameras.R)
    own = (cameras.R[a], cameras.centres[a], cameras.R[b], cameras.centres[b])
    turns = [Rotation.from_rotvec(_STEP * axis).as_matrix() for axis in np.eye(3)]
    shifts = _STEP * np.eye(3)
    moved = [
        *((turn @ own[0], *own[1:]) for turn in turns),
        *((own[0], own[1] + shift, *own[2:]) for shift in shifts),
        *((*own[:2], turn @ own[2], own[3]) for turn in turns),
        *((*own[:3], own[3] + shift) for shift in shifts),
    ]
    base = _pair_residuals(*own, cameras.focal, places)
    columns = [_pair_residuals(*each, cameras.focal, places) - base for each in moved]
    columns.append(_pair_residuals(*own, cameras.focal * np.exp(_STEP), places) - base)
    jacobian = np.stack(columns, axis=-1) / _STEP  # [P, S, 13]
    weight = is_match / (1 + (residual / _LOSS_PX) ** 2)
    blocks = np.einsum("ps,psi,psj->pij", weight, jacobian, jacobian)
    slopes = np.einsum("ps,psi,ps->pi", weight, jacobian, residual)
    normal, gradient = np.zeros((6 * count + 1,) * 2), np.zeros(6 * count + 1)
    for k, (first, second) in enumerate(zip(a, b, strict=True)):
        where = np.r_[6 * first : 6 * first + 6, 6 * second : 6 * second + 6, 6 * count]
        normal[np.ix_(where, where)] += blocks[k]
        gradient[where] += slopes[k]
    if belief is not None:
        stiffness = (_NOISE_PX / belief.sigma) ** 2
        normal[-1, -1] += stiffness
        gradient[-1] += stiffness * np.log(cameras.focal / belief.focal)
        return normal[6:, 6:], gradient[6:]
    return normal[6:-1, 6:-1], gradient[6:-1]


def _moved(cameras: JointCameras, step: NDArray[np.float64]) -> JointCameras:
    """The cameras after a step of the normal equations; the mean distance from camera 0 is kept."""
    poses = step[: 6 * (len(cameras.R) - 1)].reshape(-1, 6)
    R, centres = cameras.R.copy(), cameras.centres.copy()
    R[1:] = Rotation.from_rotvec(poses[:, :3]).as_matrix() @ R[1:]
    centres[1:] += poses[:, 3:]
    size = np.linalg.norm(cameras.centres - cameras.centres[0], axis=1).sum()
    new_size = np.linalg.norm(centres - centres[0], axis=1).sum()
    centres = centres[0] + (centres - centres[0]) * (size / max(new_size, 1e-12))
    zoom = float(np.exp(np.clip(step[-1], -0.3, 0.3))) if len(step) % 6 == 1 else 1.0
    return JointCameras(R, centres, cameras.focal * zoom)


def _cost(residual: NDArray[np.float64], cameras: JointCameras, belief: FocalEvidence | None) -> float:
    robust = float(np.sum(np.log1p((residual / _LOSS_PX) ** 2))) * _LOSS_PX**2
    return robust + (0.0 if belief is None else (_NOISE_PX * belief.z_score(cameras.focal)) ** 2)
