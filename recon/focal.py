"""What is known of a focal length before any camera is placed: from EXIF, from pairs of matches, from habit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import poselib

from recon.sparse_model import MAPPING_SIDE_PX, Lens, MappingProblem

TYPICAL_FOCAL = 0.85
"""Median focal length of phones and of cameras with a standard zoom, in units of the photo's longer side."""

_TYPICAL_SIGMA = 0.35  # of the logarithm: two sigma reach from .42 (ultra-wide) to 1.7 (short tele)
_GIVEN_SIGMA = 0.001  # calibrations are good to a pixel
_EXIF_SIGMA = 0.08  # EXIF rounds to whole mm, and focusing near lengthens the lens
_PAIR_SIGMA = 0.15  # one pair with many matches; the worst seen was 19 % off
_MIN_SIGMA = 0.05  # pairs of one scene share their systematic errors
_MIN_PAIR_MATCHES = 100  # below about 300 single pairs scatter widely; their median is still good at 100
_MIN_AXES_ANGLE_DEG = 5.0  # parallel optical axes tell nothing of the focal length [1]
_MAX_PAIRS = 8
_MAX_SCATTER = 0.35  # of the logarithms: pairs that differ more tell nothing, whatever their median (temple: .5)
_ENOUGH_PAIRS = 3  # fewer may all be degenerate; they are believed only
_MAX_LONE_Z_SCORE = 1.5  # when habit agrees this far (one pair of forward-facing photos: 4.8 times too long)
_SANE = (0.3, 6.0)  # fisheye to long tele: outside, a pair is degenerate


@dataclass(frozen=True)
class FocalEvidence:
    """Belief about log(focal), focal in units of the photo's longer side: a Gaussian.

    Attributes:
        focal: its median.
        sigma: standard deviation of the logarithm.
        source: the strongest thing it rests on; "scene" for a lens of photos that are placed already.
        radial: the lens's distortion, see `Lens`; 0 where nothing is known of it.
    """

    focal: float
    sigma: float
    source: Literal["given", "scene", "exif", "matches", "habit"]
    radial: float = 0.0

    def z_score(self, focal: float) -> float:
        """How many standard deviations a focal length lies from the median."""
        return float(np.log(focal / self.focal)) / self.sigma


TYPICAL = FocalEvidence(TYPICAL_FOCAL, _TYPICAL_SIGMA, "habit")


def given_focal(focal: float) -> FocalEvidence:
    """The focal length of a calibrated lens, in units of the longer side: it is not adjusted."""
    return FocalEvidence(focal, _GIVEN_SIGMA, "given")


def evidence_from_exif(focal: float) -> FocalEvidence:
    """Belief in a focal length written by the camera, in units of the longer side."""
    return FocalEvidence(focal, _EXIF_SIGMA, "exif")


def evidence_from_scene(lens: Lens) -> FocalEvidence:
    """Belief in a lens that placed photos were taken with."""
    return FocalEvidence(lens.focal, _MIN_SIGMA, "scene", lens.radial)


def evidence_from_matches(problem: MappingProblem, lens: int, *, seed: int) -> FocalEvidence | None:
    """Focal length of a lens from its strongest pairs of photos, each solved alone [2].

    Single pairs can be 20 % off and are useless where the optical axes are parallel; the median of several is
    within 4 % on every measured scene, at .91 as well as at 3 times the longer side.

    Returns:
        The median of the pairs, its sigma from their scatter; None when no pair tells anything, when the pairs
        contradict each other, or when only one or two tell of a lens that hardly any camera has.

    [1] Sturm et al., Focal length calibration from two views, 2005. [2] poselib's six-point shared-focal solver.
    """
    own = [p for p in problem.pairs if problem.lens_of[p.a] == lens and problem.lens_of[p.b] == lens]
    strong = sorted((p for p in own if len(p.indices) >= _MIN_PAIR_MATCHES), key=lambda p: -len(p.indices))
    focals: list[float] = []
    for pair in strong[:_MAX_PAIRS]:
        in_a = problem.keypoints[pair.a][pair.indices[:, 0]] - MAPPING_SIDE_PX / 2
        in_b = problem.keypoints[pair.b][pair.indices[:, 1]] - MAPPING_SIDE_PX / 2
        ransac = {"max_epipolar_error": 1.5, "max_iterations": 2000, "seed": seed}
        solved, _ = poselib.estimate_shared_focal_relative_pose(in_a, in_b, np.zeros(2), ransac, {})
        focal = solved.camera1.focal() / MAPPING_SIDE_PX
        axes_angle = np.degrees(np.arccos(np.clip(solved.pose.R[2, 2], -1, 1)))
        if axes_angle >= _MIN_AXES_ANGLE_DEG and _SANE[0] < focal < _SANE[1]:
            focals.append(focal)
    if not focals:
        return None
    logs = np.log(focals)
    median = float(np.median(logs))
    scatter = 1.4826 * float(np.median(np.abs(logs - median)))
    if scatter > _MAX_SCATTER:
        return None
    evidence = FocalEvidence(
        float(np.exp(median)), max(_MIN_SIGMA, max(_PAIR_SIGMA, scatter) / len(focals) ** 0.5), "matches"
    )
    is_alone = len(focals) < _ENOUGH_PAIRS
    return None if is_alone and abs(TYPICAL.z_score(evidence.focal)) > _MAX_LONE_Z_SCORE else evidence


def combined(beliefs: Sequence[FocalEvidence]) -> FocalEvidence:
    """Product of Gaussian beliefs; its source is that of the sharpest.

    Raises:
        ValueError: there are none.
    """
    if not beliefs:
        raise ValueError("beliefs must not be empty")
    weights = np.array([belief.sigma**-2 for belief in beliefs])
    mean = float(np.sum(weights * np.log([belief.focal for belief in beliefs])) / weights.sum())
    sharpest = min(beliefs, key=lambda belief: belief.sigma)
    return FocalEvidence(float(np.exp(mean)), float(weights.sum() ** -0.5), sharpest.source)
