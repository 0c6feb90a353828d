"""How far off the cameras of an adjusted model may be, from the geometry of what they see.

The covariance of all cameras with the points eliminated [1], as if the errors of keypoints were independent. They are
not, so the numbers compare scenes well but are too small; `recon.pose_confidence` turns them into probabilities.

[1] Triggs et al., Bundle adjustment: a modern synthesis, 1999, sec. 6.1 and 9.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from recon.sparse_model import MAPPING_SIDE_PX, MappingProblem, SparseModel, residuals_px

Floats = NDArray[np.float64]

USUAL_RADIAL = 0.05
"""Standard deviation of the radial coefficient of a lens; those of phones and zooms lie within twice that."""

_LOSS_SCALE_PX = 1.0  # of the adjustment's Cauchy loss
_LEAST_NOISE_PX = 0.2  # no keypoint is better; fewer residuals than unknowns would promise more
_ROTATION_PRIOR = 1.0  # rad; what nothing determines is this uncertain
_FOCAL_PRIOR = 1.0  # of log(focal)
_LARGEST_DEG = 90.0


def pair_uncertainties(
    problem: MappingProblem,
    model: SparseModel,
    held_lenses: Mapping[int, float],
    *,
    radial_sigma: float = USUAL_RADIAL,
) -> dict[tuple[int, int], float]:
    """Standard deviation of the relative pose of every two placed photos, in degrees, at most 90.

    That of the rotation or of the direction of translation, whichever is larger. A scale that no point carries from
    one group of photos to another makes the directions between them uncertain.

    Args:
        problem: holds the keypoints.
        model: as the last adjustment left it.
        held_lenses: lenses whose focal length the adjustment held, with the standard deviation of its logarithm: it
            may be off by that much, whatever the photos would tell. Those of the others come from the photos.
        radial_sigma: the same for a radial coefficient of 0, which was held.

    Returns:
        By photos (a, b), a < b. Empty for fewer than two photos; 90 everywhere for a model without points.
    """
    placed = sorted(model.cam_from_world)
    pairs = list(combinations(placed, 2))
    if not len(model.point_of) or not pairs:
        return dict.fromkeys(pairs, _LARGEST_DEG)
    covariance = _camera_covariance(problem, model, placed, held_lenses, radial_sigma)
    blocks = covariance.reshape(len(placed), 6, len(placed), 6)
    position = {photo: i for i, photo in enumerate(placed)}
    return {(a, b): _relative_sigma_deg(model, blocks, (a, b), (position[a], position[b])) for a, b in pairs}


def _camera_covariance(
    problem: MappingProblem,
    model: SparseModel,
    placed: Sequence[int],
    held_lenses: Mapping[int, float],
    radial_sigma: float,
) -> Floats:
    """Covariance of the twists (rotation, translation) of all cameras, [6 V, 6 V]; the first camera is held."""
    lenses = sorted({problem.lens_of[photo] for photo in placed})
    of_cameras, of_points, errors = _jacobians(problem, model, placed, lenses)
    num_camera = 6 * len(placed)
    num_spare = 2 * len(model.point_of) - num_camera - 3 * len(model.xyz)
    noise = max(_LEAST_NOISE_PX, float(np.sqrt(np.sum(errors**2) / max(1, num_spare))))
    information = _reduced_information(of_cameras, of_points, model) / noise**2
    camera_prior = np.tile(np.repeat([_ROTATION_PRIOR, _scene_reach(model)], 3), len(placed))
    lens_prior = np.repeat([_FOCAL_PRIOR, USUAL_RADIAL], len(lenses))
    information += np.diag(np.concatenate([camera_prior, lens_prior]) ** -2.0)
    held_sigma = np.array(
        [held_lenses.get(lens, np.nan) for lens in lenses]
        + [np.nan if model.lenses[lens].radial else radial_sigma for lens in lenses]
    )
    held = num_camera + np.flatnonzero(~np.isnan(held_sigma))
    free = np.setdiff1d(np.arange(6, len(information)), held)
    covariance = np.zeros_like(information)
    covariance[np.ix_(free, free)] = np.linalg.inv(information[np.ix_(free, free)])
    # The adjustment saw one value of what was held; the true one would have moved the cameras by this much.
    by_held = -covariance @ information[:, held] * held_sigma[held - num_camera]
    return (covariance + by_held @ by_held.T)[:num_camera, :num_camera]


def _jacobians(
    problem: MappingProblem, model: SparseModel, placed: Sequence[int], lenses: Sequence[int]
) -> tuple[sparse.csr_matrix, Floats, Floats]:
    """Weighted derivatives of all observations, to first order in the lens distortion.

    Returns:
        By twists of cameras, log(focal) and radial coefficient of lenses, sparse [2 O, 6 V + 2 L]; by points,
        [O, 2, 3]; the weighted errors, [O] px.
    """
    num, num_columns = len(model.point_of), 6 * len(placed) + 2 * len(lenses)
    values, columns, by_points = np.zeros((num, 2, 8)), np.zeros((num, 2, 8), np.int64), np.zeros((num, 2, 3))
    for position, photo in enumerate(placed):
        rows = np.flatnonzero(model.photo_of == photo)
        lens = problem.lens_of[photo]
        transform = model.cam_from_world[photo]
        x = model.xyz[model.point_of[rows]] @ transform[:3, :3].T + transform[:3, 3]
        projection = _projection_derivative(x, model.lenses[lens].focal * MAPPING_SIDE_PX)
        by_points[rows] = projection @ transform[:3, :3]
        values[rows, :, :3] = projection @ -_cross_matrices(x)
        values[rows, :, 3:6] = projection
        flat = x[:, :2] / x[:, 2:]
        values[rows, :, 6] = flat * model.lenses[lens].focal * MAPPING_SIDE_PX
        values[rows, :, 7] = values[rows, :, 6] * np.sum(flat**2, axis=1, keepdims=True)
        columns[rows, :, :6] = 6 * position + np.arange(6)
        columns[rows, :, 6] = 6 * len(placed) + lenses.index(lens)
        columns[rows, :, 7] = columns[rows, :, 6] + len(lenses)
    residuals = np.minimum(residuals_px(model, problem), 100.0)
    weights = 1 / np.sqrt(1 + (residuals / _LOSS_SCALE_PX) ** 2)
    row = np.repeat(np.arange(2 * num), 8)
    of_cameras = sparse.csr_matrix(
        ((values * weights[:, None, None]).ravel(), (row, columns.ravel())), shape=(2 * num, num_columns)
    )
    return of_cameras, by_points * weights[:, None, None], residuals * weights


def _reduced_information(of_cameras: sparse.csr_matrix, of_points: Floats, model: SparseModel) -> Floats:
    """Normal matrix of cameras and lenses with the points eliminated (Schur complement), [C, C]."""
    num, num_points = len(of_points), len(model.xyz)
    normal = np.zeros((num_points, 3, 3))
    np.add.at(normal, model.point_of, of_points.transpose(0, 2, 1) @ of_points)
    # A point seen under no angle has no depth; a trace of certainty keeps its matrix invertible.
    normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3) + 1e-300 * np.eye(3)
    row = np.repeat(np.arange(2 * num), 3)
    column = (3 * model.point_of[:, None, None] + np.arange(3)).repeat(2, axis=1).ravel()
    by_points = sparse.csr_matrix((of_points.ravel(), (row, column)), shape=(2 * num, 3 * num_points))
    indices = np.arange(num_points)
    inverse = sparse.bsr_matrix((np.linalg.inv(normal), indices, np.arange(num_points + 1)))
    mixed = (of_cameras.T @ by_points).tocsr()
    return np.asarray((of_cameras.T @ of_cameras - mixed @ inverse @ mixed.T).todense())


def _relative_sigma_deg(
    model: SparseModel, blocks: Floats, photos: tuple[int, int], positions: tuple[int, int]
) -> float:
    """Of `b_from_a`: a twist of b acts on it as it is, one of a through the adjoint of `b_from_a`."""
    a, b = positions
    b_from_a = model.cam_from_world[photos[1]] @ np.linalg.inv(model.cam_from_world[photos[0]])
    R, t = b_from_a[:3, :3], b_from_a[:3, 3]
    cross_t = _cross_matrices(t[None])[0]
    adjoint = np.block([[R, np.zeros((3, 3))], [cross_t @ R, R]])
    covariance = (
        blocks[b, :, b]
        + adjoint @ blocks[a, :, a] @ adjoint.T
        - blocks[b, :, a] @ adjoint.T
        - adjoint @ blocks[a, :, b]
    )
    length = max(float(np.linalg.norm(t)), 1e-12)
    across = (np.eye(3) - np.outer(t, t) / length**2) / length
    by_twist = across @ np.hstack([-cross_t, np.eye(3)])  # of the direction: t' = t + w x t + v
    rotation = np.trace(covariance[:3, :3])
    direction = np.trace(by_twist @ covariance @ by_twist.T)
    return float(min(_LARGEST_DEG, np.degrees(np.sqrt(max(rotation, direction, 0.0)))))


def _projection_derivative(x: Floats, focal_px: float) -> Floats:
    """Of pixels by points [N, 3] in the camera frame, [N, 2, 3]."""
    depth = np.where(np.abs(x[:, 2]) < 1e-9, 1e-9, x[:, 2])
    derivative = np.zeros((len(x), 2, 3))
    derivative[:, 0, 0] = derivative[:, 1, 1] = 1 / depth
    derivative[:, :, 2] = -x[:, :2] / depth[:, None] ** 2
    return derivative * focal_px


def _cross_matrices(x: Floats) -> Floats:
    """[N, 3] to [N, 3, 3] with `cross_matrices(x) @ y == cross(x, y)`."""
    matrices = np.zeros((len(x), 3, 3))
    matrices[:, 0, 1], matrices[:, 0, 2], matrices[:, 1, 2] = -x[:, 2], x[:, 1], -x[:, 0]
    return matrices - matrices.transpose(0, 2, 1)


def _scene_reach(model: SparseModel) -> float:
    """How far the points lie from the cameras, the median; a translation that nothing determines is so uncertain."""
    centers = np.array([-T[:3, :3].T @ T[:3, 3] for T in model.cam_from_world.values()])
    return float(np.median(np.linalg.norm(model.xyz[:, None] - centers, axis=-1))) or 1.0


def lower_median(values: Collection[float]) -> float:
    """The value that at least half of the others reach or exceed; of two the smaller.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("values must not be empty")
    return sorted(values)[(len(values) - 1) // 2]
