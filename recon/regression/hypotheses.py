"""The relative pose of a pair: proposals of RANSAC and of the network compete by the support of the matches.

The network helps in two ways. Its inlier probabilities choose and order the matches that RANSAC samples from, which
matters when most are wrong. And its own hypotheses, refined on the matches, stand beside those of RANSAC. The proposal
of RANSAC on all matches always stands too, so the network cannot lower the support.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import poselib
from numpy.typing import NDArray

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
    judge: Literal["support", "believed support"] = field(
        default="support",
        metadata={"help": "what decides between proposals; believed support trusts the network against the majority"},
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
    scored = [_scored(pair, belief, guess, *proposal) for proposal in _proposals(pair, belief, guess, config)]
    if config.judge == "believed support":
        return max(scored, key=lambda pose: pose.believed_support, default=None)
    return max(scored, key=lambda pose: pose.support, default=None)  # the first of equals: RANSAC


_Proposal = tuple[NDArray[np.float64], NDArray[np.float64], float, PoseSource]  # R, t, focal


def _proposals(
    pair: Correspondences, belief: FocalEvidence, guess: PairGuess | None, config: HypothesesConfig
) -> Iterator[_Proposal]:
    order = np.lexsort((*pair.in_a.T, *pair.in_b.T))
    yield from _from_ransac(pair, order, "ransac", belief, config)
    if guess is None:
        return
    if config.filters:
        likely = likely_rows(pair, guess)
        yield from _from_ransac(pair, likely, "filtered ransac", belief, config)
    refining = replace(config, max_iterations=1)
    for proposal in _best_guesses(pair, belief, guess, config.num_refined):
        yield proposal
        yield from _from_ransac(pair, order, "network", belief, refining, start=proposal)


def _best_guesses(
    pair: Correspondences, belief: FocalEvidence, guess: PairGuess, count: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float, PoseSource]]:
    """The network's hypotheses that most matches support as they are."""
    focals = np.full(len(guess.focals), belief.focal) if belief.sigma <= _KNOWN_SIGMA else guess.focals
    support = [
        float(match_support(pair, R, t, focal).sum()) - prior_cost(focal, belief)
        for R, t, focal in zip(guess.R, guess.t, focals, strict=True)
    ]
    best = np.argsort(-np.array(support), kind="stable")[:count]
    return [(guess.R[k], guess.t[k], float(focals[k]), "network") for k in best]


def likely_rows(pair: Correspondences, guess: PairGuess) -> NDArray[np.int64]:
    """Rows of the likely matches, the likeliest first; at least a few."""
    order = np.lexsort((*pair.in_a.T, *pair.in_b.T, -guess.inlier_probability))
    num_likely = int(np.sum(guess.inlier_probability > _LIKELY))
    return order[: max(_FEWEST_LIKELY, num_likely)]


def _from_ransac(
    pair: Correspondences,
    rows: NDArray[np.int64],
    source: PoseSource,
    belief: FocalEvidence,
    config: HypothesesConfig,
    *,
    start: _Proposal | None = None,
) -> Iterator[_Proposal]:
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
    focal = belief.focal if start is None else start[2]
    camera = poselib.Camera("SIMPLE_PINHOLE", [focal * UNIT_PX, 0.0, 0.0], 0, 0)
    pose, both = (None, None) if start is None else _starting_at(start, camera)
    found, _ = poselib.estimate_relative_pose(in_a, in_b, camera, camera, options, {}, pose)
    yield found.R, found.t, focal, source
    if is_known:
        return
    solved, _ = poselib.estimate_shared_focal_relative_pose(in_a, in_b, np.zeros(2), options, {}, both)
    focal = solved.camera1.focal() / UNIT_PX
    if _SANE_FOCALS[0] < focal < _SANE_FOCALS[1]:
        yield solved.pose.R, solved.pose.t, focal, source


def _starting_at(start: _Proposal, camera: poselib.Camera) -> tuple[poselib.CameraPose, poselib.ImagePair]:
    pose, both = poselib.CameraPose(), poselib.ImagePair()
    pose.R, pose.t = start[0], start[1]
    both.pose, both.camera1, both.camera2 = pose, camera, camera
    return pose, both


def _scored(
    pair: Correspondences,
    belief: FocalEvidence,
    guess: PairGuess | None,
    R: NDArray[np.float64],
    t: NDArray[np.float64],
    focal: float,
    source: PoseSource,
) -> RelativePose:
    """The pose with its support; t is turned round if more matches are then in front."""
    length = np.linalg.norm(t)
    t = t / length if length > 0 else np.array([1.0, 0.0, 0.0])
    ways = [(sign * t, match_support(pair, R, sign * t, focal)) for sign in (1, -1)]
    t, support = max(ways, key=lambda way: float(way[1].sum()))
    total, cost = float(support.sum()), prior_cost(focal, belief)
    believed = total if guess is None else float(support @ guess.inlier_probability)
    return RelativePose(np.asarray(R, np.float64), t, focal, total - cost, believed - cost, support > 0, source)
