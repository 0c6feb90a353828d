"""The relative pose of a pair: proposals of RANSAC and of the network compete by the support of the matches.

The network helps in two ways. Its inlier probabilities choose and order the matches that RANSAC samples from, which
matters when most are wrong. And its own hypotheses, refined on the matches, stand beside those of RANSAC. The proposal
of RANSAC on all matches always stands too, so the network cannot lower the support.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import poselib

from recon.bounds import check_bounds
from recon.focal import FocalEvidence
from recon.regression.correspondences import UNIT_PX, Correspondences, PairGuess, PoseSource, RelativePose
from recon.regression.support import SUPPORT_PX, match_support, prior_cost

_KNOWN_SIGMA = 0.1  # of log(focal): the focal length is believed as it is
_SANE_FOCALS = (0.3, 6.0)  # fisheye to long tele: outside, a pair is degenerate
_FEWEST = 6  # matches that can determine a pose with its focal length
_FEWEST_LIKELY = 12  # as few likely matches RANSAC may be given
_LIKELY = 0.5  # inlier probability


@dataclass(frozen=True)
class HypothesesConfig:
    """How relative poses are proposed."""

    max_iterations: int = field(
        default=5000, metadata={"help": "of RANSAC, on all and on likely matches", "unit": "", "low": 1, "high": 10**6}
    )
    num_refined: int = field(
        default=3, metadata={"help": "hypotheses of the network that are refined", "unit": "", "low": 0, "high": 12}
    )
    filters: bool = field(default=True, metadata={"help": "RANSAC also runs on the likely matches alone"})
    seed: int = field(default=0, metadata={"help": "of the sampling", "unit": "", "low": 0, "high": 2**31 - 1})

    def __post_init__(self) -> None:
        check_bounds(self)


def relative_pose(
    pair: Correspondences,
    belief: FocalEvidence,
    guess: PairGuess | None = None,
    config: HypothesesConfig = HypothesesConfig(),
) -> RelativePose | None:
    """The pose that most matches support, of those that RANSAC and the network propose.

    With a focal length known to a tenth, as from EXIF, it is believed; else it is estimated too, in competition with
    the believed one. The order of the matches does not matter.

    Args:
        pair: matches, right and wrong ones.
        belief: what is known of the focal length, in units.
        guess: what the network makes of these matches; None leaves RANSAC alone.
        config: how poses are proposed.

    Returns:
        None for fewer than six matches, or when no proposal makes sense.

    Raises:
        ValueError: the guess is of another number of matches.
    """
    if guess is not None and len(guess.inlier_probability) != len(pair):
        raise ValueError(f"the guess is of {len(guess.inlier_probability)} matches, the pair has {len(pair)}")
    if len(pair) < _FEWEST:
        return None
    proposals = list(_proposals(pair, belief, guess, config))
    return max(proposals, key=lambda pose: pose.support, default=None)  # the first of equals: RANSAC


def _proposals(
    pair: Correspondences, belief: FocalEvidence, guess: PairGuess | None, config: HypothesesConfig
) -> Iterator[RelativePose]:
    order = np.lexsort((*pair.in_a.T, *pair.in_b.T))
    yield from _from_ransac(pair, order, "ransac", belief, config)
    if guess is None:
        return
    if config.filters:
        likely = _likely_rows(pair, guess)
        yield from _from_ransac(pair, likely, "filtered ransac", belief, config)
    scored = [
        _scored(pair, belief, R, t, belief.focal if belief.sigma <= _KNOWN_SIGMA else float(focal), "network")
        for R, t, focal in zip(guess.R, guess.t, guess.focals, strict=True)
    ]
    scored.sort(key=lambda pose: -pose.support)
    for pose in scored[: config.num_refined]:
        yield pose
        yield from _from_ransac(pair, order, "network", belief, replace(config, max_iterations=1), start=pose)


def _likely_rows(pair: Correspondences, guess: PairGuess) -> np.ndarray:
    """Rows of the likely matches, the likeliest first; at least a few."""
    order = np.lexsort((*pair.in_a.T, *pair.in_b.T, -guess.inlier_probability))
    num_likely = int(np.sum(guess.inlier_probability > _LIKELY))
    return order[: max(_FEWEST_LIKELY, num_likely)]


def _from_ransac(
    pair: Correspondences,
    rows: np.ndarray,
    source: PoseSource,
    belief: FocalEvidence,
    config: HypothesesConfig,
    *,
    start: RelativePose | None = None,
) -> Iterator[RelativePose]:
    """RANSAC on some matches with the believed focal length, and with a free one if that is not known."""
    in_a, in_b = pair.in_a[rows] * UNIT_PX, pair.in_b[rows] * UNIT_PX
    options = {
        "max_epipolar_error": SUPPORT_PX,
        "max_iterations": config.max_iterations,
        "min_iterations": min(100, config.max_iterations),
        "seed": config.seed,
        "progressive_sampling": source == "filtered ransac",
    }
    is_known = belief.sigma <= _KNOWN_SIGMA
    focal = belief.focal if start is None or is_known else start.focal
    camera = {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal * UNIT_PX, 0.0, 0.0]}
    initial = None if start is None else _camera_pose(start)
    found, _ = poselib.estimate_relative_pose(in_a, in_b, camera, camera, options, {}, initial)
    yield _scored(pair, belief, found.R, found.t, focal, source)
    if is_known:
        return
    both = None
    if initial is not None:
        lens = poselib.Camera("SIMPLE_PINHOLE", [focal * UNIT_PX, 0.0, 0.0], 0, 0)
        both = poselib.ImagePair()
        both.pose, both.camera1, both.camera2 = initial, lens, lens
    solved, _ = poselib.estimate_shared_focal_relative_pose(in_a, in_b, np.zeros(2), options, {}, both)
    focal = solved.camera1.focal() / UNIT_PX
    if _SANE_FOCALS[0] < focal < _SANE_FOCALS[1]:
        yield _scored(pair, belief, solved.pose.R, solved.pose.t, focal, source)


def _camera_pose(pose: RelativePose) -> poselib.CameraPose:
    found = poselib.CameraPose()
    found.R, found.t = pose.R, pose.t
    return found


def _scored(
    pair: Correspondences, belief: FocalEvidence, R: np.ndarray, t: np.ndarray, focal: float, source: PoseSource
) -> RelativePose:
    """The pose with its support; t is turned round if more matches are then in front."""
    t = np.asarray(t, np.float64)
    length = np.linalg.norm(t)
    t = t / length if length > 0 else np.array([1.0, 0.0, 0.0])
    ways = [(float(s.sum()), sign, s) for sign in (1, -1) for s in [match_support(pair, R, sign * t, focal)]]
    total, sign, support = max(ways, key=lambda way: way[0])
    return RelativePose(
        np.asarray(R, np.float64), sign * t, focal, total - prior_cost(focal, belief), support > 0, source
    )
