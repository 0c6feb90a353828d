"""The search for a model: one mapping per focal hypothesis, the best one kept."""

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

import numpy as np

from recon.colmap import ColmapError, MapperGates, map_photos
from recon.focal import TYPICAL, FocalEvidence
from recon.progress import Cancelled, Progress
from recon.sparse_model import Lens, MappingProblem, SparseModel, residuals_px

log = logging.getLogger(__name__)

_SUPPORT_PX = 2.0  # an observation counts 1 at no error and 0 from here on, in the mapping frame
_WELL_KNOWN_SIGMA = 0.1  # of log(focal): nearer, mapping works as well and the last adjustment finds the rest
_UNKNOWN_SIGMA = 0.3  # only habit is left, and lenses are twice and three times as long as most
_FAR_FACTORS = [1.6, 2.1, 2.8]
_PRIOR_WEIGHT = 0.01  # share of all observations that a focal one sigma away must gain; chosen on three-photo sets


def find_model(
    problem: MappingProblem,
    beliefs: Sequence[FocalEvidence],
    gates: MapperGates,
    *,
    step: float,
    workers: int,
    seed: int,
    progress: Progress,
    start: SparseModel | None = None,
) -> SparseModel | None:
    """Map under several focal hypotheses and keep the model that explains most.

    More placed photos win; then the number of observations weighed by their errors, with a little weight for the
    belief in the focal lengths. When photos are missing, the best hypothesis is tried with another seed.

    Args:
        problem: matches in the mapping frame.
        beliefs: what is known of each lens.
        gates: how much evidence mapping asks for.
        step: factor between hypotheses for lenses that are not known well.
        workers: hypotheses mapped at the same time.
        seed: of every random choice; one more for the second try.
        progress: called from this thread only, with up to 90 of 100.
        start: photos that are placed already and stay where they are.

    Returns:
        None when no hypothesis places two photos.

    Raises:
        ColmapError: every hypothesis failed inside COLMAP.
        Cancelled: `progress` raised it.
    """
    hypotheses = focal_hypotheses(beliefs, step)
    models = _map_all(problem, [(h, seed) for h in hypotheses], gates, workers, progress, start)
    best = max(models, key=lambda model: _score(problem, model, beliefs), default=None)
    if best is not None and best.num_placed == len(problem.keypoints):
        return best
    retries = [(best.lenses if best else hypotheses[0], seed + 1), (typical_lenses(beliefs), seed + 2)]
    models += _map_all(problem, retries, gates, workers, progress, start)
    return max(models, key=lambda model: _score(problem, model, beliefs), default=None)


def focal_hypotheses(beliefs: Sequence[FocalEvidence], step: float) -> list[tuple[Lens, ...]]:
    """The believed focal lengths; then, unless all are known well, the others shorter and longer by `step`.

    Where nothing but habit speaks for one, also lenses of up to 2.8 times that focal length.
    """
    is_open = [belief.sigma > _WELL_KNOWN_SIGMA for belief in beliefs]
    factors = [1.0, 1 / step, step] if any(is_open) else [1.0]
    if any(belief.sigma > _UNKNOWN_SIGMA for belief in beliefs):
        factors += _FAR_FACTORS
    return [
        tuple(
            Lens(belief.focal * (factor if varies else 1.0), belief.radial)
            for belief, varies in zip(beliefs, is_open, strict=True)
        )
        for factor in factors
    ]


def typical_lenses(beliefs: Sequence[FocalEvidence]) -> tuple[Lens, ...]:
    """Lenses as most cameras have them, for when EXIF or the matches mislead; given and placed ones stay."""
    return tuple(
        Lens(belief.focal, belief.radial) if belief.source in ("given", "scene") else Lens(TYPICAL.focal)
        for belief in beliefs
    )


def _map_all(
    problem: MappingProblem,
    jobs: Sequence[tuple[tuple[Lens, ...], int]],
    gates: MapperGates,
    workers: int,
    progress: Progress,
    start: SparseModel | None,
) -> list[SparseModel]:
    """Map each (lenses, seed) in worker threads; progress and cancelling stay in this thread."""
    stop = Event()
    num_placed = 0

    def on_photo() -> None:
        nonlocal num_placed
        num_placed += 1
        if stop.is_set():
            raise Cancelled

    with ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(map_photos, problem, lenses, gates, seed=s, start=start, on_photo=on_photo)
            for lenses, s in jobs
        ]
        try:
            pending: set[Future[SparseModel | None]] = set(futures)
            while pending:
                steps = len(jobs) * len(problem.keypoints)
                progress(min(89, 90 * num_placed // steps), 100, f"placing photos, {len(jobs)} focal lengths")
                _, pending = wait(pending, timeout=0.25, return_when=FIRST_COMPLETED)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return _usable(futures)


def _usable(futures: Sequence[Future[SparseModel | None]]) -> list[SparseModel]:
    """Results of the hypotheses that worked; one that COLMAP failed on only matters when there are no others."""
    errors = [error for future in futures if isinstance(error := future.exception(), ColmapError)]
    for error in errors:
        log.warning("%s", error)
    if len(errors) == len(futures):
        raise errors[0]
    results = [future.result() for future in futures if not isinstance(future.exception(), ColmapError)]
    return [model for model in results if model is not None]


def _score(problem: MappingProblem, model: SparseModel, beliefs: Sequence[FocalEvidence]) -> tuple[int, float]:
    """Placed photos, then the error-weighted number of observations, discounted by the belief in the focals."""
    errors = residuals_px(model, problem)
    support = float(np.sum(np.maximum(0, 1 - (errors / _SUPPORT_PX) ** 2)))
    z = [belief.z_score(lens.focal) for belief, lens in zip(beliefs, model.lenses, strict=True)]
    return model.num_placed, support * (1 - min(0.5, _PRIOR_WEIGHT * float(np.mean(np.square(z))) / 2))
