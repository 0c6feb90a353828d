"""Photos to verified matches: which keypoints of which pairs show the same point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matching.matcher import SparseMatcher, check_name, create
from matching.plugins import PluginError
from matching.types import Features
from matching.weights import WeightsError
from recon.bounds import check_bounds
from recon.errors import ReconError
from recon.keypoint_adjustment import adjust_keypoints
from recon.match_graph import MatchGraph, PairMatches
from recon.pair_choice import bridging_pairs, choose_pairs, similarities
from recon.pair_verification import verified_pair
from recon.photo import Photo
from recon.photo_rolls import choose_rolls, joined, rolled, strongest, unrolled
from recon.progress import Progress, no_progress

if TYPE_CHECKING:
    from recon.regression.proposals import EpipolarProposals

# Measured at 1,024 px: 42 pairs of photos with nothing in common reach at most 16 matches of which 12 agree; the true
# pairs of seven sets keep at least 44 % of their matches.
_LEAST_INLIERS = 15
_LEAST_SHARE = 0.25
# Measured at 1,024 px with XFeat on 651 pairs: of 83 that were verified by matches of which less than a fifth is right
# 45 stay below, of 316 right ones 4. SIFT's ratios never do.
_LEAST_CONFIDENCE = 0.22
_SAME_PX = 1.5  # keypoints of a photo and of the photo turned that are nearer are one


@dataclass(frozen=True)
class MatchingConfig:
    """How photos are matched."""

    matcher: str = field(
        default="fast",
        metadata={
            "help": "fast: XFeat; quality: ALIKED, for wide baselines; disk: DISK; sift: classical, needs no weights; "
            "union: XFeat and SIFT; or the name of a plug-in"
        },
    )
    max_side_px: int = field(
        default=1024,
        metadata={"help": "longer side of the photos that are matched", "unit": "px", "low": 256, "high": 4096},
    )
    max_keypoints: int = field(
        default=2048, metadata={"help": "keypoints kept of each photo", "unit": "", "low": 64, "high": 16384}
    )
    min_inliers: int = field(
        default=_LEAST_INLIERS,
        metadata={"help": "fewest verified matches of a pair that is used", "unit": "", "low": 8, "high": 1000},
    )
    min_inlier_share: float = field(
        default=_LEAST_SHARE,
        metadata={
            "help": "least share of a pair's matches that must be verified",
            "unit": "",
            "low": 0.0,
            "high": 1.0,
        },
    )
    min_confidence: float = field(
        default=_LEAST_CONFIDENCE,
        metadata={
            "help": "least mean confidence of a pair's verified matches; the matcher says how sure it is of each",
            "unit": "",
            "low": 0.0,
            "high": 1.0,
        },
    )
    max_error_px: float = field(
        default=2.0,
        metadata={
            "help": "largest epipolar error, at the size that is matched",
            "unit": "px",
            "low": 0.1,
            "high": 20.0,
        },
    )

    regression: bool = field(
        default=False,
        metadata={
            "help": "a network trained on synthetic pairs proposes geometries as well; some more matches where most "
            "are wrong, nothing where the matcher is a learned one",
            "unit": "",
        },
    )
    refine: bool = field(
        default=True,
        metadata={"help": "slide photos over each other to place matches to a tenth of a pixel", "unit": ""},
    )
    all_pairs_up_to: int = field(
        default=20,
        metadata={"help": "with more photos only those that look alike are matched", "unit": "", "low": 2, "high": 500},
    )
    neighbours: int = field(
        default=10,
        metadata={"help": "of each photo the most similar ones matched then", "unit": "", "low": 1, "high": 100},
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        check_name(self.matcher)


def match_photos(
    photos: Sequence[Photo],
    config: MatchingConfig = MatchingConfig(),
    progress: Progress = no_progress,
    *,
    known: MatchGraph | None = None,
) -> MatchGraph:
    """Match pairs of photos and keep the matches that one epipolar geometry explains.

    All pairs of a handful; of more photos those that look alike or were taken one after the other. Keypoints outside
    a photo's mask are not used. Photos that do not match as they are are tried turned by quarters, unless the matcher
    does not mind. Keypoints then move to where the photos agree best. The result does not depend on chance.

    Args:
        photos: at least two.
        config: how they are matched.
        progress: called once a photo and pair.
        known: what was found with the same settings for the first of the photos, features included: only the photos
            after these are read for keypoints, and only pairs with them are matched.

    Raises:
        ReconError: no pair has enough verified matches, or the matcher's weights are missing.
    """
    try:
        matcher = create(config.matcher, max_keypoints=config.max_keypoints)
    except WeightsError as error:
        raise ReconError(error.message, "Or choose another matcher: sift needs no weights.") from error
    except PluginError as error:
        raise ReconError(error.message, "Mend the plug-in, or choose a matcher that comes with the program.") from error
    session = _Session(photos, config, matcher, progress, known or MatchGraph((), ()))
    session.match_upright()
    if not matcher.is_rotation_invariant:
        session.match_rolled()
    verified = tuple(session.pairs.values())
    _require_a_good_pair(verified)
    graph = MatchGraph(tuple(session.keypoints), verified, tuple(session.features), tuple(session.rolls))
    if config.refine:
        graph = session.refined(graph)
    progress(session.total, session.total, f"Matched {len(session.pairs)} pairs")
    return graph


class _Session:
    """The keypoints and pairs of one run. Turned photos add keypoints to those that were found upright."""

    def __init__(
        self,
        photos: Sequence[Photo],
        config: MatchingConfig,
        matcher: SparseMatcher,
        progress: Progress,
        known: MatchGraph,
    ) -> None:
        self.photos, self.config, self.matcher, self.progress = photos, config, matcher, progress
        self.network = _pair_network() if config.regression else None
        self.num_known = len(known.features)
        self.features: list[Features] = list(known.features)
        self.keypoints: list[NDArray[np.float32]] = list(known.keypoints)  # at full size
        self.pairs = {(pair.a, pair.b): pair for pair in known.pairs}
        self.rolls = [*known.rolls, *[0] * (len(photos) - self.num_known)]
        self.turned: dict[tuple[int, int], Features] = {}
        # Of many photos fewer pairs are matched; how many turns out when they have been looked at.
        self.done, self.total = 0, len(photos) + math.comb(min(len(photos), config.all_pairs_up_to), 2)
        self.total -= self.num_known + len(known.pairs)

    def match_upright(self) -> None:
        for index in range(self.num_known, len(self.photos)):
            self._step(f"Finding keypoints in {self.photos[index].name}")
            self.features.append(self._detect(index, 0))
            self.keypoints.append(self._at_full_size(index, self.features[index], 0))
        if self._is_handful():
            self._match_all(list(combinations(range(len(self.photos)), 2)))
        else:
            self._match_alike()

    def match_rolled(self) -> None:
        """Find photos that must be turned to match, and match them anew; then single pairs that need another turn."""
        upright = {pair: 0 if matches.rejected else len(matches.indices) for pair, matches in self.pairs.items()}
        rolls = choose_rolls(
            upright, len(self.photos), self._count_inliers, self.config.min_inliers, num_settled=self.num_known
        )
        turned = [index for index, roll in enumerate(rolls.photos) if roll]
        stale = [(a, b) for a, b in self.pairs if rolls.photos[a] or rolls.photos[b]]
        self.total = self.done + len(stale) + len(rolls.pairs)
        for index in turned:
            self.rolls[index] = rolls.photos[index]
            self.features[index] = self._turned(index, self.rolls[index])
            self.keypoints[index] = self._at_full_size(index, self.features[index], self.rolls[index])
        for a, b in stale:
            self._match(a, b)
        for (a, b), roll in rolls.pairs.items():
            self._match_turned(a, b, roll)

    def refined(self, graph: MatchGraph) -> MatchGraph:
        """The graph with its keypoints moved to where the photos agree best."""
        self.total = self.done + sum(pair.rejected is None and pair.b >= self.num_known for pair in graph.pairs)
        return adjust_keypoints(
            self.photos, graph, max_side_px=self.config.max_side_px, num_settled=self.num_known, step=self._step
        )

    def _is_handful(self) -> bool:
        has_descriptors = all(features.descriptors.shape[1] for features in self.features)
        return len(self.photos) <= self.config.all_pairs_up_to or not has_descriptors

    def _match_alike(self) -> None:
        """Match photos that look alike, then what may link the groups that they fall into."""
        alike = similarities(self.features)
        self._match_all(choose_pairs(alike, neighbours=self.config.neighbours))
        linked = [pair for pair, matches in self.pairs.items() if matches.rejected is None]
        self._match_all(bridging_pairs(alike, linked, self.pairs, most=len(self.photos)))

    def _match_all(self, pairs: Sequence[tuple[int, int]]) -> None:
        pairs = [pair for pair in pairs if pair[1] >= self.num_known]  # the others were matched before
        self.total = self.done + len(pairs)
        for a, b in pairs:
            self._match(a, b)

    def _detect(self, index: int, roll: int) -> Features:
        photo = self.photos[index]
        mask = photo.mask(self.config.max_side_px)
        return self.matcher.detect(
            rolled(photo.pixels(self.config.max_side_px), roll), None if mask is None else rolled(mask, roll)
        )

    def _turned(self, index: int, roll: int) -> Features:
        if (index, roll) not in self.turned:
            self.turned[index, roll] = self._detect(index, roll)
        return self.turned[index, roll]

    def _at_full_size(self, index: int, features: Features, roll: int) -> NDArray[np.float32]:
        photo = self.photos[index]
        upright = unrolled(features.keypoints, roll, features.width, features.height)
        width, height = (features.width, features.height)[:: -1 if roll % 2 else 1]
        return (upright * np.array([photo.width / width, photo.height / height])).astype(np.float32)

    def _match(self, a: int, b: int) -> None:
        self._step(f"Matching {self.photos[a].name} with {self.photos[b].name}")
        self.pairs[a, b] = self._verified(a, b, self.features[b])

    def _match_turned(self, a: int, b: int, roll: int) -> None:
        """Match with b turned by `roll` and keep what is found if it is more; b's keypoints may become more by it."""
        self._step(f"Matching {self.photos[a].name} with {self.photos[b].name}, turned")
        features = self._turned(b, roll)
        found = self._verified(a, b, features)
        before = self.pairs[a, b]
        if (found.rejected is None, len(found.indices)) <= (before.rejected is None, len(before.indices)):
            return
        photo = self.photos[b]
        same_px = _SAME_PX * max(photo.width, photo.height) / max(features.width, features.height)
        self.keypoints[b], rows = joined(self.keypoints[b], self._at_full_size(b, features, roll), same_px)
        own, first = np.unique(rows[found.indices[:, 1]], return_index=True)
        self.pairs[a, b] = replace(found, indices=np.stack([found.indices[first, 0], own], axis=1))

    def _verified(self, a: int, b: int, features_b: Features) -> PairMatches:
        features_a = self.features[a]
        return verified_pair(
            a, b, features_a, features_b, self.matcher.match(features_a, features_b), self.config, self.network
        )

    def _count_inliers(self, a: int, b: int, roll: int) -> int:
        self.total += 1
        self._step(f"Turning {self.photos[b].name} to match {self.photos[a].name}")
        features = self._turned(b, roll) if roll else self.features[b]
        few = strongest(self.features[a]), strongest(features)
        return len(verified_pair(a, b, *few, self.matcher.match(*few), self.config, self.network).indices)

    def _step(self, message: str) -> None:
        self.progress(self.done, self.total, message)
        self.done += 1


def _pair_network() -> "EpipolarProposals":
    from recon.regression.proposals import EpipolarProposals  # loads torch and the weights

    return EpipolarProposals()


def _require_a_good_pair(pairs: Sequence[PairMatches]) -> None:
    if all(pair.rejected is not None for pair in pairs):
        best = max((len(pair.indices) for pair in pairs), default=0)
        raise ReconError(
            f"The photos seem to have nothing in common: no two of them agree on more than {best} points.",
            "Photograph one thing that stands still, each photo 10 to 20 degrees further around it than the last.",
        )
