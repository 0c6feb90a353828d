"""Which way up to match photos: learned matchers fail where the camera was rolled by more than about 45 degrees.

This happens where people walk around a thing on a table and look down on it, and where EXIF orientation was lost. Six
photos around bananas on a carpet: three neighbours had 17, 22 and 0 verified matches as they were, and have 347, 225
and 242 turned.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matching.types import Features

# A pair with so many verified matches is the right way up: XFeat's lose nine in ten when one photo is rolled by 90
# degrees, and the neighbours of seven photo sets have at least 200. Sides that look alike reach 119 false ones (temple,
# digger), and joined by those a photo that is upside down was never turned.
_CERTAIN_INLIERS = 150
# Rolling must be worth it: a few matches agree by chance at any roll (up to 24 of the fewer that the search has).
_LEAST_INLIERS = 25
_LEAST_GAIN = 1.5
# The search needs to tell rolls apart, not all matches: a quarter of the keypoints costs a tenth.
_SEARCH_KEYPOINTS = 512


def rolled(pixels: NDArray, roll: int) -> NDArray:
    """Pixels [H, W, ...] turned counter-clockwise by `roll` quarters."""
    return np.ascontiguousarray(np.rot90(pixels, roll))


def unrolled(keypoints: NDArray[np.float32], roll: int, width: int, height: int) -> NDArray[np.float32]:
    """Undo `rolled` for keypoints [N, 2] px; `width` and `height` are those of the turned photo."""
    x, y = keypoints.T
    turned_back = ((x, y), (height - y, x), (width - x, height - y), (y, width - x))[roll % 4]
    return np.stack(turned_back, axis=1).astype(np.float32)


def joined(
    keypoints: NDArray[np.float32], found: NDArray[np.float32], same_px: float
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Add keypoints [M, 2] to those of a photo [N, 2], but those that are there already.

    Returns:
        All of them [N + K, 2], the old ones first, and which of them each of the found ones is, [M].
    """
    distance, rows = cKDTree(keypoints).query(found) if len(keypoints) else (np.full(len(found), np.inf),) * 2
    is_new = distance > same_px
    rows = np.where(is_new, len(keypoints) + np.cumsum(is_new) - 1, rows).astype(np.int64)
    return np.concatenate([keypoints, found[is_new]]), rows


def strongest(features: Features) -> Features:
    """The best keypoints, as many as the search for rolls needs."""
    best = np.argsort(-features.scores, kind="stable")[:_SEARCH_KEYPOINTS]
    return replace(
        features,
        keypoints=features.keypoints[best],
        descriptors=features.descriptors[best],
        scores=features.scores[best],
    )


@dataclass(frozen=True)
class Rolls:
    """How photos are turned for matching, in quarters counter-clockwise.

    Attributes:
        photos: for each photo; most are 0.
        pairs: of pairs (a, b) that match better so, another roll for b.
    """

    photos: list[int]
    pairs: dict[tuple[int, int], int]


def choose_rolls(
    num_inliers: Mapping[tuple[int, int], int],
    num_photos: int,
    count_inliers: Callable[[int, int, int], int],
    min_inliers: int,
    *,
    num_settled: int = 0,
) -> Rolls:
    """Quarters by which to turn photos so that they match.

    Photos that match well as they are stay together. Between such groups every pair is tried at all rolls; then those
    two groups are joined, one of them turned as a whole, whose pairs agree most in sum, until nothing agrees any more.
    Sums, because a single weak pair may agree by chance. Around a thing on the floor the roll adds up to a full turn,
    and no roll of each photo suits all pairs: those that stay worse than they could be get one of their own.

    Args:
        num_inliers: of the pairs a < b that were matched, as the photos are.
        num_photos: how many photos there are.
        count_inliers: `count_inliers(a, b, roll)` matches a with b turned by `roll`, with few keypoints.
        min_inliers: fewer agree by chance.
        num_settled: as many of the first photos were turned before and stay as they are; their rolls count as 0.
    """
    group, rolls = [0] * num_settled + list(range(num_settled, num_photos)), [0] * num_photos

    def join(a: int, b: int, roll: int) -> None:
        """Turn all of group b by `roll` and make it part of group a."""
        for photo in range(num_photos):
            if group[photo] == b:
                group[photo], rolls[photo] = a, (rolls[photo] + roll) % 4

    for (a, b), count in num_inliers.items():
        if count >= _CERTAIN_INLIERS:
            join(group[a], group[b], 0)
    counts = {(a, b): [count_inliers(a, b, roll) for roll in range(4)] for a, b in num_inliers if group[a] != group[b]}
    while len(set(group)) > 1:
        sums: defaultdict[tuple[int, int], NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, np.int64))
        for (a, b), by_roll in counts.items():
            first, second = sorted((group[a], group[b]))
            if first != second:
                # turning the group of b turns b against a one way, turning the group of a the other way
                sense = 1 if group[b] == second else -1
                sums[first, second] += [by_roll[(rolls[b] - rolls[a] + sense * turn) % 4] for turn in range(4)]
        (first, second), best = max(sums.items(), key=lambda item: item[1].max(), default=((0, 0), np.zeros(4)))
        if best.max() < min_inliers:
            break
        roll = int(best.argmax())
        join(first, second, roll if best[roll] >= _LEAST_GAIN * best[0] else 0)
    most_common = 0 if num_settled else max(range(4), key=rolls.count)
    rolls = [(roll - most_common) % 4 for roll in rolls]
    return Rolls(rolls, _rolls_of_pairs(counts, rolls))


def _rolls_of_pairs(
    counts: Mapping[tuple[int, int], Sequence[int]], rolls: Sequence[int]
) -> dict[tuple[int, int], int]:
    """The pairs that match better at another roll than that of their photos, and b's then."""
    found = {}
    for (a, b), by_roll in counts.items():
        best = max(range(4), key=lambda roll: by_roll[roll])
        as_it_is = by_roll[(rolls[b] - rolls[a]) % 4]
        if by_roll[best] >= max(_LEAST_INLIERS, _LEAST_GAIN * as_it_is):
            found[a, b] = (rolls[a] + best) % 4
    return found
