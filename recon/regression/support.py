"""How well matches support a relative pose: the score by which RANSAC and the network compete."""

import numpy as np
from numpy.typing import NDArray

from recon.focal import FocalEvidence
from recon.regression.correspondences import UNIT_PX, Correspondences

SUPPORT_PX = 2.0
"""A match counts 1 at no error and 0 from here on."""

_PARALLEL_PX = 4.0  # rays this near to parallel may meet anywhere, also behind a camera
# One match too many or too few weighs as much as a focal length 2.8 sigma away: with keypoint noise of 0.7 px a match
# at the limit of 2 px costs 4 nats, and z sigma cost z^2 / 2.
_PRIOR_WEIGHT = 1 / 8


def match_support(
    pair: Correspondences, R: NDArray[np.float64], t: NDArray[np.float64], focal: float
) -> NDArray[np.float64]:
    """Support of each match for a pose b_from_a, [M] in [0, 1]; 0 for points behind a camera."""
    rays_a = np.concatenate([pair.in_a / focal, np.ones((len(pair), 1))], axis=1)
    rays_b = np.concatenate([pair.in_b / focal, np.ones((len(pair), 1))], axis=1)
    x, y, z = t
    E = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ R
    lines_b, lines_a = rays_a @ E.T, rays_b @ E
    slope = np.sum(lines_b[:, :2] ** 2, axis=1) + np.sum(lines_a[:, :2] ** 2, axis=1)
    squared_px = np.sum(rays_b * lines_b, axis=1) ** 2 / np.maximum(slope, 1e-300) * (focal * UNIT_PX) ** 2
    turned = rays_a @ R.T
    plane = np.cross(rays_b, turned)
    is_in_front = (np.sum(plane * np.cross(rays_b, t), axis=1) < 0) & (np.sum(plane * np.cross(turned, t), axis=1) < 0)
    sine = np.linalg.norm(plane, axis=1) / np.linalg.norm(rays_b, axis=1) / np.linalg.norm(turned, axis=1)
    is_parallel = (sine < _PARALLEL_PX / UNIT_PX / focal) & (np.sum(rays_b * turned, axis=1) > 0)
    return np.where(is_in_front | is_parallel, np.maximum(0, 1 - squared_px / SUPPORT_PX**2), 0.0)


def prior_cost(focal: float, belief: FocalEvidence) -> float:
    """What a focal length that is not the believed one costs, in matches."""
    return _PRIOR_WEIGHT * belief.z_score(focal) ** 2
