"""Which pairs of many photos are worth matching: those that look alike, and those taken one after the other.

All pairs of a handful are matched. With more photos the pairs grow with their square and most show nothing in common,
so each photo is compared as a whole: the descriptors of its keypoints, pooled into one vector [1].

[1] Jegou et al., Aggregating local descriptors into a compact image representation, CVPR 2010 (VLAD).
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from matching.types import Features

Pair = tuple[int, int]

_NUM_WORDS = 32
_TRAINING_DESCRIPTORS = 16_384  # over all photos
_STEPS = 12  # of k-means


def choose_pairs(alike: NDArray[np.float64], *, neighbours: int, in_sequence: int = 2) -> list[Pair]:
    """Sorted pairs a < b to match: at most `neighbours + in_sequence` times as many as photos.

    Args:
        alike: similarity of every two photos, [V, V]; photos in the order in which they were taken.
        neighbours: the most similar photos of each that are chosen.
        in_sequence: photos taken right after each that are chosen.
    """
    num = len(alike)
    chosen = {(a, b) for a in range(num) for b in range(a + 1, min(num, a + 1 + in_sequence))}
    for a, order in enumerate(np.argsort(-alike, axis=1, kind="stable")):
        others = [int(b) for b in order if b != a][:neighbours]
        chosen |= {(min(a, b), max(a, b)) for b in others}
    return sorted(chosen)


def bridging_pairs(
    alike: NDArray[np.float64], linked: Iterable[Pair], tried: Collection[Pair], most: int
) -> list[Pair]:
    """Untried pairs between groups of photos that nothing links yet, the most similar first.

    Args:
        alike: similarity of every two photos, [V, V].
        linked: pairs that do match.
        tried: pairs that were matched before, with or without success.
        most: no more than this are returned; none where all photos hang together.
    """
    group = groups(len(alike), linked)
    between = [(a, b) for a, b in combinations(range(len(alike)), 2) if group[a] != group[b] and (a, b) not in tried]
    return sorted(sorted(between, key=lambda pair: -alike[pair])[:most])


def groups(num_photos: int, linked: Iterable[Pair]) -> list[int]:
    """For each photo the first photo of the group that it hangs together with."""
    group = list(range(num_photos))
    for a, b in linked:
        old, new = sorted((group[a], group[b]))[::-1]
        group = [new if own == old else own for own in group]
    return group


def similarities(features: Sequence[Features]) -> NDArray[np.float64]:
    """Cosine between the pooled descriptors of every two photos, [V, V]; 0 for a photo without keypoints.

    The words are k-means over the photos' own descriptors, so they suit any matcher. Does not depend on chance.
    """
    share = max(1, _TRAINING_DESCRIPTORS // len(features))
    sample = np.concatenate([_strongest(own, share) for own in features]).astype(np.float64)
    if len(sample) < _NUM_WORDS:
        return np.zeros((len(features), len(features)))
    words, _ = kmeans2(sample, _NUM_WORDS, iter=_STEPS, minit="++", missing="warn", seed=0)
    pooled = np.stack([_pooled(own.descriptors.astype(np.float64), words) for own in features])
    return np.asarray(pooled @ pooled.T)


def _strongest(features: Features, num: int) -> NDArray[np.float32]:
    return features.descriptors[np.argsort(-features.scores, kind="stable")[:num]]


def _pooled(descriptors: NDArray[np.float64], words: NDArray[np.float64]) -> NDArray[np.float64]:
    """VLAD of length 1: per word the sum of what descriptors differ from it, each word's and then all normalised."""
    squared = np.sum(words**2, axis=1) - 2 * descriptors @ words.T
    nearest = squared.argmin(axis=1)
    sums = np.zeros_like(words)
    np.add.at(sums, nearest, descriptors - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)  # a word seen often says no more [2]
    return sums.ravel() / max(float(np.linalg.norm(sums)), 1e-12)


# [2] Arandjelovic & Zisserman, All about VLAD, CVPR 2013: intra-normalisation.
