"""Vector quantisation for SOG: codebooks of 256 numbers and palettes of spherical harmonics, at a bounded cost."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splatting.formats.arrays import Floats

CODES = 256
_CODEBOOK_ROUNDS = 12
_ROUNDS = 5
# Training the first level of a palette needs no more vectors than this; the second level sees all of them.
_SAMPLE = 1 << 16
_BLOCK = 1 << 13


def codebook(values: Floats) -> Floats:
    """256 sorted numbers that stand for many with a small squared error: Lloyd's algorithm in one dimension.

    Args:
        values: any shape, at least one.
    """
    numbers = np.sort(values.ravel().astype(np.float64))
    low, high = numbers[0], numbers[-1]
    quantiles = np.quantile(numbers, (np.arange(CODES) + 0.5) / CODES)
    # Half by density, half by range: the rare, large values count as much in the picture.
    codes = 0.5 * quantiles + 0.5 * np.linspace(low, high, CODES)
    sums = np.concatenate([[0], np.cumsum(numbers)])
    for _ in range(_CODEBOOK_ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(numbers, (codes[1:] + codes[:-1]) / 2), [len(numbers)]])
        counts = np.diff(edges)
        codes = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), codes)
        codes.sort()
    return codes.astype(np.float32)


def nearest_codes(values: Floats, codes: Floats) -> NDArray[np.uint8]:
    """Index of the nearest number of a sorted codebook, same shape as the values."""
    return np.searchsorted((codes[1:] + codes[:-1]) / 2, values).astype(np.uint8)


def palette(vectors: Floats, size: int, progress: Callable[[int, int, str], None]) -> tuple[Floats, NDArray[np.int64]]:
    """Vectors that stand for many with a small squared error, and which one stands for which.

    Two levels of k-means: sqrt(size) clusters, each divided further, with more parts where the error is larger. The
    cost grows with N sqrt(size) D instead of N size D: 65,536 entries for 300,000 vectors take seconds, not hours.

    Args:
        vectors: [N, D].
        size: most entries of the palette; if it is N or more, every vector stands for itself.
        progress: called after every part.

    Returns:
        Palette [K, D] with K <= size, and labels [N].
    """
    if len(vectors) <= size:
        return vectors, np.arange(len(vectors))
    points = torch.from_numpy(np.ascontiguousarray(vectors))
    generator = torch.Generator().manual_seed(0)
    sample = points[torch.randperm(len(points), generator=generator)[:_SAMPLE]]
    coarse = _kmeans(sample, math.isqrt(size), generator)
    labels = _assign(points, coarse)
    error = torch.zeros(len(coarse)).index_add_(0, labels, (points - coarse[labels]).square().sum(1))
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels, minlength=len(coarse))
    parts, entries = _shares(error, counts, size), []
    fine_labels = torch.empty(len(points), dtype=torch.int64)
    start, used = 0, 0
    for i, (count, num_parts) in enumerate(zip(counts.tolist(), parts.tolist(), strict=True)):
        progress(i, len(coarse), "colours seen from the side")
        if count:
            members = order[start : start + count]
            centres = _kmeans(points[members], num_parts, generator)
            fine_labels[members] = _assign(points[members], centres) + used
            entries.append(centres)
            start, used = start + count, used + len(centres)
    return torch.cat(entries).numpy(), fine_labels.numpy()


def _shares(error: Tensor, counts: Tensor, size: int) -> Tensor:
    """How many entries each cluster gets [C]: by its error, at least 1, at most its members, `size` in all."""
    shares = counts.clamp(max=1)
    for _ in range(8):  # what full clusters leave goes to the others
        left = size - int(shares.sum())
        wish = torch.where(shares < counts, error.double(), 0.0)
        if left <= 0 or wish.sum() <= 0:
            break
        shares = torch.minimum(shares + (wish * (left / wish.sum())).long(), counts)
    return shares


def _kmeans(points: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """Centres [K, D] of points [N, D], K <= N, from random points and a few rounds."""
    centres = points[torch.randperm(len(points), generator=generator)[:num_clusters]].clone()
    if len(centres) in (1, len(points)):
        return points.mean(0, keepdim=True) if len(centres) == 1 else centres
    for _ in range(_ROUNDS):
        labels = _assign(points, centres)
        counts = torch.bincount(labels, minlength=len(centres))[:, None]
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres


def _assign(points: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest centre [N], in blocks so that no N x K table is held."""
    squares = centres.square().sum(1)
    blocks = [torch.addmm(squares, block, centres.T, alpha=-2).argmin(1) for block in points.split(_BLOCK)]
    return torch.cat(blocks)
