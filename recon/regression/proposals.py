"""Epipolar geometries that the pair network proposes, for verification to choose from."""

from pathlib import Path

import numpy as np
import poselib
from numpy.typing import NDArray

from matching.types import Features, Matches
from recon.focal import TYPICAL
from recon.regression.correspondences import Correspondences
from recon.regression.hypotheses import HypothesesConfig, likely_rows, relative_pose
from recon.regression.regressor import PairRegressor

_FEWEST = 8  # matches; fewer prove nothing


class EpipolarProposals:
    """A loaded pair network; lenses are not known yet."""

    def __init__(self, weights: Path | None = None) -> None:
        """Load the shipped weights, or those of a file.

        Raises:
            ValueError: the file holds no weights of the network.
        """
        self._regressor, self._config = PairRegressor.load(weights), HypothesesConfig()

    def propose(self, a: Features, b: Features, matches: Matches, max_error_px: float) -> list[NDArray[np.float64]]:
        """Fundamental matrices [3, 3] in px of the two photos, `b @ F @ a = 0`; none for fewer than 8 matches.

        One of RANSAC on the matches that the network believes, one of the pose that most matches support of those
        that RANSAC and the network propose.
        """
        if len(matches) < _FEWEST:
            return []
        points_a = a.keypoints[matches.indices[:, 0]].astype(np.float64)
        points_b = b.keypoints[matches.indices[:, 1]].astype(np.float64)
        pair = Correspondences(_units(points_a, a), _units(points_b, b), matches.confidence.astype(np.float64))
        guess = self._regressor.guess(pair, TYPICAL)
        likely = likely_rows(pair, guess)
        options = {
            "max_epipolar_error": max_error_px,
            "max_iterations": self._config.max_iterations,
            "seed": self._config.seed,
            "progressive_sampling": True,
        }
        F, _ = poselib.estimate_fundamental(points_a[likely], points_b[likely], options, {})
        pose = relative_pose(pair, TYPICAL, guess, self._config)
        if pose is None:
            return [np.asarray(F)]
        x, y, z = pose.t
        E = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ pose.R
        return [np.asarray(F), _ray_from_pixel(b, pose.focal).T @ E @ _ray_from_pixel(a, pose.focal)]


def _units(points: NDArray[np.float64], photo: Features) -> NDArray[np.float64]:
    return (points - [photo.width / 2, photo.height / 2]) / max(photo.width, photo.height)


def _ray_from_pixel(photo: Features, focal: float) -> NDArray[np.float64]:
    """Inverse of K [3, 3] of a focal length in units."""
    focal_px = focal * max(photo.width, photo.height)
    K = np.array([[focal_px, 0, photo.width / 2], [0, focal_px, photo.height / 2], [0, 0, 1]])
    return np.linalg.inv(K)
