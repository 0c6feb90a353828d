"""The search for depth at one image scale: a map of inverse depth and ways to improve it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

import matching._native as _native
from matching.stereo_scale import Scale

if TYPE_CHECKING:
    from matching.stereo import StereoConfig


class Search:
    """The best map of inverse depth so far at one scale, and ways to improve it."""

    # How far depths spread, in px. The first round copies them, wide; the others follow the slope of the surface, which
    # is known by then: a third less error on oblique surfaces and 2 % more confirmed pixels (still life, six views).
    FIRST_SPREAD_PX = (1, 3, 7, 15)
    SPREAD_PX = (1, 2, 5)
    VARIATIONS_PX = (2.0, 1.0, 0.5, 0.25)
    FINE_VARIATIONS_PX = (0.5, 0.25)
    # A median that costs less correlation than this is kept: it removes outliers that fit by chance. Larger than noise
    # in the score, so it also smooths; the slope-following round makes up for that. .02 confirms 1 to 2 % fewer pixels.
    MEDIAN_BONUS = 0.2
    # A surface continued over pixels that no view confirms is kept unless it costs more correlation than this.
    PLANE_BONUS = 0.1
    MIN_GAIN = 1e-4
    # Correlation that stands for a source that does not see the pixel: photos overlap only in part, and one that sees
    # well outweighs two that see something else. With -1 a tenth of the right depths of three photos is lost.
    UNSEEN = 0.3

    def __init__(self, scale: Scale, limits: tuple[float, float], num_best: int, num_threads: int) -> None:
        self.scale = scale
        # A little beyond the range: it comes from sparse points.
        self.limits = (0.8 * limits[0], 1.25 * limits[1])
        self.swept = limits
        self.num_best = num_best
        self.num_threads = num_threads
        self.inverse_depth = np.zeros((scale.height, scale.width), np.float32)
        self.score = np.full((scale.height, scale.width), -2, np.float32)

    def start(self, inverse_depth: NDArray[np.float32]) -> None:
        """Begin with a map."""
        self.inverse_depth = np.ascontiguousarray(inverse_depth, dtype=np.float32)
        self.score = self._score_of(self.inverse_depth)

    def sweep(self, config: StereoConfig) -> None:
        """Begin with the best of planes of constant depth, even in inverse depth."""
        near, far = self.swept[1], self.swept[0]
        wanted = config.planes_per_px * (near - far) / self.scale.step
        count = int(np.clip(wanted, min(24, config.max_planes), config.max_planes))
        best = np.full_like(self.score, -3)
        for inverse_depth in np.linspace(far, near, count, dtype=np.float32):
            plane = np.full_like(self.score, inverse_depth)
            score = self._score_of(plane)
            # Support of the neighbourhood: a plane that fits more than one window is rarely chance.
            score = 0.5 * score + 0.5 * cv2.blur(score, (5, 5))
            wins = score > best
            best[wins] = score[wins]
            self.inverse_depth[wins] = inverse_depth
        self.start(_median(self.inverse_depth))

    def rounds(self, num_rounds: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Spread, vary and smooth; yields (done, total) after each hypothesis."""
        variations = 2 * len(self.VARIATIONS_PX) + 1
        total = 4 * (len(self.FIRST_SPREAD_PX) + (num_rounds - 1) * len(self.SPREAD_PX)) + num_rounds * variations
        done = 0
        for index in range(num_rounds):
            spread = self._followed(self.SPREAD_PX) if index else self._copied(self.FIRST_SPREAD_PX)
            for candidate in itertools.chain(spread, self._varied(rng)):
                self._try(candidate, self.MIN_GAIN)
                yield (done := done + 1), total
            self._try(_median(self.inverse_depth), -self.MEDIAN_BONUS)
            yield (done := done + 1), total

    def propose(self, depth: NDArray[np.float32], margin: float) -> None:
        """Try a map of depth, 0 where it proposes nothing; it wins where it scores more than `margin` above what is."""
        has = depth > 0
        inverse_depth = self._clipped(np.asarray(1 / np.where(has, depth, 1), np.float32))
        self._try(np.where(has, inverse_depth, self.inverse_depth), margin)

    def polish(self, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Follow slopes to the next pixel, vary a little, smooth: one short round; yields (done, total)."""
        total = 4 + 2 * len(self.FINE_VARIATIONS_PX) + 1
        candidates = itertools.chain(self._followed((1,)), self._varied(rng, self.FINE_VARIATIONS_PX))
        for done, candidate in enumerate(candidates, 1):
            self._try(candidate, self.MIN_GAIN)
            yield done, total
        self._try(_median(self.inverse_depth), -self.MEDIAN_BONUS)
        yield total, total

    def settle(self) -> None:
        """Move to the top of the parabola through three scores; then score the final map as a whole."""
        step = np.float32(0.4 * self.scale.step)
        above, below = (
            self._score_of(self.inverse_depth + step),
            self._score_of(self._clipped(self.inverse_depth - step)),
        )
        curvature = above - 2 * self.score + below
        is_peak = curvature < -1e-4
        offset = np.clip(np.where(is_peak, 0.5 * (below - above) / np.where(is_peak, curvature, 1), 0), -1, 1)
        self._try(self._clipped(self.inverse_depth + step * offset.astype(np.float32)), 0.0)
        self.score = self._score_of(self.inverse_depth)

    def is_seen(self) -> NDArray[np.bool_]:
        """Where at least one source sees the surface found, [H, W]."""
        best = np.empty_like(self.score)
        self._correlate(self.inverse_depth, None, best, 0.0, num_best=1, unseen=-2.0)
        return best > -2

    def _copied(self, distances: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        for distance in distances:
            for rows, columns in ((0, distance), (0, -distance), (distance, 0), (-distance, 0)):
                yield _shifted(self.inverse_depth, rows, columns)

    def _followed(self, distances: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        # Inverse depth of a plane is linear in the pixel, so two slopes continue it exactly.
        for distance in distances:
            smooth = np.asarray(cv2.blur(_median(self.inverse_depth), (5, 5)), np.float32)
            for rows, columns in ((0, 1), (1, 0)):
                slope = 0.5 * (_shifted(smooth, -rows, -columns) - _shifted(smooth, rows, columns))
                for step in (distance, -distance):
                    continued = self._clipped(self.inverse_depth + step * slope)
                    yield _shifted(continued, step * rows, step * columns)

    def _varied(
        self, rng: np.random.Generator, amplitudes: Sequence[float] = VARIATIONS_PX
    ) -> Iterator[NDArray[np.float32]]:
        for amplitude in amplitudes:
            for sign in (1, -1):
                noise = rng.random(self.score.shape, dtype=np.float32)
                offset = (0.6 + 0.8 * noise) * np.float32(sign * amplitude * self.scale.step)
                yield self._clipped(self.inverse_depth + offset)

    def _clipped(self, inverse_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(inverse_depth, *self.limits, dtype=np.float32)

    def _try(self, candidate: NDArray[np.float32], margin: float) -> None:
        self._correlate(candidate, self.inverse_depth, self.score, margin)

    def _score_of(self, candidate: NDArray[np.float32]) -> NDArray[np.float32]:
        score = np.empty_like(candidate)
        self._correlate(candidate, None, score, 0.0)
        return score

    def _correlate(
        self,
        candidate: NDArray[np.float32],
        inverse_depth: NDArray[np.float32] | None,
        score: NDArray[np.float32],
        margin: float,
        *,
        num_best: int | None = None,
        unseen: float = UNSEEN,
    ) -> None:
        scale = self.scale
        _native.score_candidate(
            scale.padded,
            scale.mean,
            scale.variance,
            scale.radius,
            scale.sources,
            num_best=num_best or self.num_best,
            unseen=unseen,
            candidate=candidate,
            inverse_depth=inverse_depth,
            score=score,
            margin=margin,
            num_threads=self.num_threads,
        )


def _median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.medianBlur(values, 5), np.float32)


def _shifted(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The map moved by whole pixels; edge values move in. A copy."""
    height, width = values.shape
    row_indices = np.clip(np.arange(height) - rows, 0, height - 1)
    column_indices = np.clip(np.arange(width) - columns, 0, width - 1)
    return values[row_indices][:, column_indices] if columns else values[row_indices]
