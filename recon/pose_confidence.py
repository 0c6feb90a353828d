"""The probability that the camera of a photo is right, from evidence that is cheap once the cameras are there.

A camera counts as right when its rotation and the direction of its translation, relative to at least half of the
other placed photos, are within `RIGHT_WITHIN_DEG`. The probability is that of a logistic model, fitted to synthetic
scenes by `tests/bench/bench_pose_confidence.py`, which also shows how well it is calibrated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon.placement import agreeing_share
from recon.pose_covariance import lower_median, pair_uncertainties
from recon.sparse_model import MappingProblem, SparseModel

RIGHT_WITHIN_DEG = 2.0
"""Error up to which a camera counts as right."""

_LEAST_SHARE = 0.05  # fewer agreeing matches speak no louder
_MOST_TRACKED = 1000  # more points of three views tell no more


@dataclass(frozen=True)
class PoseEvidence:
    """What speaks for and against the camera of one photo.

    Attributes:
        sigma_deg: standard deviation of its pose relative to the nearer half of the other photos.
        agreeing_share: of its verified matches those that agree with the cameras, in [0, 1].
        num_tracked: its points that three or more photos see.
        second_deg: how far the second opinion places it elsewhere relative to half of the others; None where it
            does not place it.
    """

    sigma_deg: float
    agreeing_share: float
    num_tracked: int
    second_deg: float | None = None


def gather_evidence(
    problem: MappingProblem,
    model: SparseModel,
    held_lenses: Mapping[int, float],
    *,
    max_error_px: float,
) -> dict[int, PoseEvidence]:
    """Evidence on every placed photo, without a second opinion.

    Args:
        problem: verified matches.
        model: as the last adjustment left it; two or more photos.
        held_lenses: see `pair_uncertainties`.
        max_error_px: up to which a match agrees with the cameras.
    """
    sigmas = pair_uncertainties(problem, model, held_lenses)
    num_views = np.bincount(model.point_of, minlength=len(model.xyz))
    tracked = model.photo_of[num_views[model.point_of] >= 3]
    return {
        photo: PoseEvidence(
            sigma_deg=lower_median([sigma for pair, sigma in sigmas.items() if photo in pair]),
            agreeing_share=agreeing_share(problem, model, photo, max_error_px),
            num_tracked=int(np.sum(tracked == photo)),
        )
        for photo in sorted(model.cam_from_world)
    }


def with_second_opinion(
    evidence: Mapping[int, PoseEvidence], disagreements: Mapping[tuple[int, int], float]
) -> dict[int, PoseEvidence]:
    """Add what another model says; photos that it does not place stay without."""
    told = {}
    for photo, own in evidence.items():
        angles = [angle for pair, angle in disagreements.items() if photo in pair]
        told[photo] = replace(own, second_deg=lower_median(angles)) if angles else own
    return told


def features(evidence: PoseEvidence) -> NDArray[np.float64]:
    """The numbers that the logistic model weighs, one for each of `COEFFICIENTS`, [F]."""
    return np.array(
        [
            1.0,
            np.log10(np.clip(evidence.sigma_deg, 0.01, 90)),
            -np.log(max(evidence.agreeing_share, _LEAST_SHARE)),
            np.log10(1 + min(evidence.num_tracked, _MOST_TRACKED)),
            np.log1p(evidence.second_deg or 0.0),
            float(evidence.second_deg is None),
        ]
    )


COEFFICIENTS = (1.636, -3.145, -1.969, 0.134, -1.19, -0.361)
"""Of 1, log10(sigma), -log(agreeing share), log10(1 + tracked), log(1 + second), no second opinion."""


def confidence(evidence: PoseEvidence) -> float:
    """Probability that the camera is right, in [0, 1]."""
    return float(1 / (1 + np.exp(-features(evidence) @ COEFFICIENTS)))


def main_doubt(evidence: PoseEvidence) -> str:
    """What lowers the confidence most, as the end of a sentence."""
    usual = features(_USUAL)
    losses = (usual - features(evidence)) * COEFFICIENTS
    doubts = (
        "",
        "its matches hardly determine it",
        "many of its matches contradict it",
        "few of its points are seen in a third photo",
        "another way of placing the photos turns or moves it elsewhere",
        "it could not be confirmed from another beginning",
    )
    return doubts[int(np.argmax(losses[1:])) + 1]


_USUAL = PoseEvidence(0.2, 0.95, 300, 0.1)  # a photo that all is well with
