"""Going on with fitted Gaussians when photos are added: what to take along, what to add, how long to fit."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon.dense import DenseScene
from splatting.fit import FitConfig
from splatting.gaussians import Gaussians, concatenate

STEPS_SHARE = 0.4
"""Of the steps that a fit from the start takes; 100 instead of 250 steps cost .01 dB on held-out photos."""
CONFIRMED_SPACINGS = 3.0  # a fitted Gaussian this near to verified points stands on the surface, in their spacings
COVERED_SPACINGS = 1.5  # a verified point this near to a fitted Gaussian is covered by it


def continued_fit(config: FitConfig) -> FitConfig:
    """Settings for going on: fewer steps, all of them at full size."""
    return replace(config, num_iterations=round(STEPS_SHARE * config.num_iterations), coarse_share=0.0)


def continued_start(fitted: Gaussians, dense: DenseScene) -> Gaussians:
    """The fitted Gaussians where surfaces are verified, and those of a new start wherever none of them is.

    Fitted Gaussians far from all verified points began as guesses that fewer photos allowed: they hide what an added
    photo shows, and new guesses with all photos are better by .25 dB (a sixth photo of the fountain).

    Args:
        fitted: of the scene so far, on the CPU; none may be left of them.
        dense: verified points of all training views, and guesses, with spherical harmonics of degree 0.
    """
    verified = dense.gaussians.select(torch.from_numpy(dense.is_verified))
    kept = fitted.select(torch.from_numpy(_is_near(fitted, verified, CONFIRMED_SPACINGS * _spacings(verified))))
    is_covered = np.zeros(len(dense.gaussians), bool)
    if len(kept):
        distance, _ = cKDTree(kept.means.numpy()).query(verified.means.numpy())
        is_covered[dense.is_verified] = distance <= COVERED_SPACINGS * _spacings(verified)
    start = dense.gaussians.select(torch.from_numpy(~is_covered))
    sh = start.sh.new_zeros(len(start), *kept.sh.shape[1:])
    sh[:, :1] = start.sh
    return concatenate([kept, replace(start, sh=sh)])


def _spacings(start: Gaussians) -> NDArray[np.float32]:
    """Distance of a verified Gaussian from its neighbours, [N]: it starts half as wide."""
    return np.asarray(2 * start.log_scales[:, 0].exp().numpy(), np.float32)


def _is_near(gaussians: Gaussians, others: Gaussians, reach: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which Gaussians [N] lie within the reach [M] of the nearest of the others."""
    distance, nearest = cKDTree(others.means.numpy()).query(gaussians.means.numpy())
    return np.asarray(distance < reach[nearest])
