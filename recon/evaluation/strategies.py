"""The ways from placed photos to a scene that are compared: ours and two classical ones, in the same rasterizer."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from recon.config import ReconConfig
from recon.device import Device
from recon.evaluation.densify import fit_with_densification
from recon.evaluation.image_case import ImageCase, PlacedCase, cpu_seconds, dense_start
from recon.evaluation.image_rows import Checkpoint, Strategy
from recon.evaluation.scoring import Exam
from recon.evaluation.sparse_start import sparse_start
from recon.optimise import optimise
from recon.progress import Progress
from recon.scene import DepthMap
from splatting.fit import FitConfig, fit
from splatting.gaussians import Gaussians


@dataclass(frozen=True)
class Measured:
    """What a strategy gave.

    Attributes:
        gaussians: at the end, on the CPU.
        checkpoints: with scores, in the order of their steps.
        dense_cpu_s: CPU seconds of the dense start; 0 without one.
    """

    gaussians: Gaussians
    checkpoints: tuple[Checkpoint, ...]
    dense_cpu_s: float


def run_strategy(
    strategy: Strategy,
    case: ImageCase,
    placed: PlacedCase,
    config: ReconConfig,
    num_steps: int,
    exam: Exam,
    scored: Collection[int],
    *,
    device: Device,
    cache: Path,
    progress: Progress,
) -> Measured:
    """Make a scene and score it on the way.

    Args:
        strategy: `edgs` is ours as the product does it; `sfm` starts from the sparse points and fits them as ours, no
            densification; `densify` grows them by gsplat's strategy.
        case, placed: what is made into a scene.
        config: dense depth, start and fit.
        num_steps: of the fit.
        exam: scores it.
        scored: after which steps; 0 is the start, the last step is always scored.
        device: where it is fitted.
        cache: folder where dense starts are kept.
        progress: told how far it is.

    Raises:
        ReconError: there is too little to start from.
    """
    dense_cpu_s, is_verified = 0.0, None
    depth_maps: tuple[DepthMap, ...] = ()
    views = placed.views
    if strategy == "edgs":
        dense, dense_cpu_s = dense_start(case, placed, config, cache, progress)
        start, is_verified, depth_maps = dense.gaussians, dense.is_verified, dense.depth_maps
        views = dense.lasting(views)
    else:
        start = sparse_start(placed.points)
    watch = _Watch(exam, frozenset(scored) | {num_steps})
    watch.look(0, lambda: start)
    gaussians = optimise(
        start,
        views,
        _fit_config(config, num_steps),
        device,
        seed=case.seed,
        progress=progress,
        is_verified=is_verified,
        depth_maps=depth_maps,
        on_step=watch.look,
        loop=fit_with_densification if strategy == "densify" else fit,
    )
    return Measured(gaussians, tuple(watch.checkpoints), dense_cpu_s)


def _fit_config(config: ReconConfig, num_steps: int) -> FitConfig:
    return replace(config.fit, num_iterations=num_steps)


class _Watch:
    """Scores the scene at some steps of a fit, and counts its CPU seconds without that."""

    def __init__(self, exam: Exam, scored: Collection[int]) -> None:
        self.checkpoints: list[Checkpoint] = []
        self._exam, self._scored = exam, scored
        self._spent, self._since = 0.0, cpu_seconds()

    def look(self, step: int, current: Callable[[], Gaussians]) -> None:
        if step not in self._scored:
            return
        self._spent += 0.0 if step == 0 else cpu_seconds() - self._since
        gaussians = current()
        views = self._exam.score(gaussians)
        self.checkpoints.append(Checkpoint(step, len(gaussians), round(self._spent, 2), views))
        self._since = cpu_seconds()
