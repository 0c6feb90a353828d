"""Photos to scenes on sets with known cameras, by several strategies, scored on photos that were kept back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon.artefacts import to_json
from recon.benchmark_scenes import BenchScene, choose_heldout, choose_photos
from recon.config import ReconConfig
from recon.device import choose_device
from recon.errors import ReconError
from recon.evaluation.densify import GROW_FROM, GROW_UNTIL, RATES
from recon.evaluation.image_case import ImageCase, PlacedCase, place
from recon.evaluation.image_rows import CameraSource, ImageRow, RowKey, Strategy
from recon.evaluation.reference_depth import as_seen_in, covered_pixels, reference_depths
from recon.evaluation.scoring import Exam, steps_to_score
from recon.evaluation.strategies import Measured, run_strategy
from recon.optimise import background_of
from recon.progress import Progress
from recon.project import fingerprint
from recon.stages import VERSIONS
from recon.version import program_version
from splatting import rasterizer

# Usual CPU seconds at 640 px: a pair of photos, a photo's stereo, a step of a fit; for the progress only.
_PAIR_S, _STEREO_S = 0.7, 2.0
_STEP_S: dict[Strategy, float] = {"edgs": 0.12, "sfm": 0.04, "densify": 0.1}
_SCORES_VERSION = 3


@dataclass(frozen=True)
class ImagePlan:
    """What to run.

    Attributes:
        scenes: photo sets.
        views: numbers of photos.
        cameras: given with the set, estimated from the photos, or both.
        seeds: of everything random.
        strategies: see `run_strategy`.
        config: all settings; `fit.num_iterations` are the steps of `edgs`.
        checkpoints: steps after which scenes are scored, beside the last one.
        baseline_steps: of `sfm` and `densify`.
    """

    scenes: tuple[BenchScene, ...]
    views: tuple[int, ...]
    cameras: tuple[CameraSource, ...]
    seeds: tuple[int, ...]
    strategies: tuple[Strategy, ...]
    config: ReconConfig
    checkpoints: tuple[int, ...]
    baseline_steps: int

    def num_steps(self, strategy: Strategy) -> int:
        """Steps of a strategy's fit."""
        return self.config.fit.num_iterations if strategy == "edgs" else self.baseline_steps

    def cases(self) -> Iterator[ImageCase]:
        """Everything that is reconstructed, scene after scene, few photos first.

        Raises:
            ReconError: a scene has no set of one of the sizes.
        """
        for scene in self.scenes:
            for num_views in self.views:
                training, heldout = choose_photos(scene, num_views), choose_heldout(scene, num_views)
                for cameras in self.cameras:
                    for seed in self.seeds:
                        yield ImageCase(scene, training, heldout, cameras, seed)


@dataclass(frozen=True)
class _Job:
    """A case and the strategies that are still to run on it."""

    case: ImageCase
    strategies: tuple[Strategy, ...]
    cost: float


def measure_images(
    plan: ImagePlan, done: Sequence[ImageRow], folder: Path, keep: Callable[[ImageRow], None], progress: Progress
) -> None:
    """Run all that is not done yet.

    Args:
        plan: what to run.
        done: rows of an earlier run; those with the settings of the plan are not run again.
        folder: `work/` in it keeps matches, dense starts and the depth that tells what is covered; `renders/` the
            photos, renders and errors of the first seed's last steps.
        keep: called with each row as it comes.
        progress: told how much is done in thousandths; what it raises ends the run, rows handed over stay.

    Raises:
        ReconError: a scene has no set of one of the sizes, its photos cannot be read, or the device is not there.
    """
    choose_device(plan.config.device)
    jobs = [job for job in _jobs(plan, done) if job.strategies]
    total, finished = sum(job.cost for job in jobs), 0.0
    for job in jobs:

        def step(part: int, parts: int, message: str, job: _Job = job, start: float = finished) -> None:
            share = min(1.0, part / parts) if parts else 0.0
            progress(int(1000 * (start + share * job.cost) / total), 1000, f"{job.case.title}: {message}")

        for row in _run(plan, job, folder, step):
            keep(row)
        finished += job.cost
    progress(1000, 1000, "done")


def rows_of_image_plan(plan: ImagePlan, rows: Iterable[ImageRow]) -> list[ImageRow]:
    """The rows that the plan asks for, made with its settings, in its order."""
    found = {(row.key, row.settings): row for row in rows}
    wanted = [
        (_key(case, strategy), image_settings(plan, case, strategy))
        for case in plan.cases()
        for strategy in plan.strategies
    ]
    return [found[key] for key in wanted if key in found]


def image_settings(plan: ImagePlan, case: ImageCase, strategy: Strategy) -> str:
    """Digest of all settings that a row depends on."""
    config = plan.config
    known = case.scene.camera_numbers  # also of estimated ones: they say what is covered
    shared = [config.matching, config.poses, config.working_side_px, case.training, case.heldout, case.cameras, known]
    versions = [program_version(), _SCORES_VERSION, *(VERSIONS[name] for name in ("matches", "cameras"))]
    steps = plan.num_steps(strategy)
    own: list[object] = [steps, sorted(steps_to_score(plan.checkpoints, steps))]
    if strategy == "densify":
        own += [config.fit.sh_degree, config.fit.ssim_weight, RATES, GROW_FROM, GROW_UNTIL]
    else:
        own += [replace(config.fit, num_iterations=steps), VERSIONS["splats"]]
    if strategy == "edgs":
        own += [config.dense, config.initialise, VERSIONS["points"]]
    return fingerprint(to_json(shared), versions, to_json(own))


def _jobs(plan: ImagePlan, done: Sequence[ImageRow]) -> Iterator[_Job]:
    settled = {(row.key, row.settings) for row in done}
    for case in plan.cases():
        open_ones = tuple(
            strategy
            for strategy in plan.strategies
            if (_key(case, strategy), image_settings(plan, case, strategy)) not in settled
        )
        num_photos = len(case.training) + (len(case.heldout) if case.cameras == "estimated" else 0)
        preparation = _PAIR_S * num_photos * (num_photos - 1) / 2 + _STEREO_S * len(case.training)
        yield _Job(case, open_ones, preparation + sum(_STEP_S[name] * plan.num_steps(name) for name in open_ones))


def _run(plan: ImagePlan, job: _Job, folder: Path, progress: Progress) -> Iterator[ImageRow]:
    """The rows of a job, in order; what cannot be made gives rows with a failure."""
    case, cache, parts = job.case, folder / "work", len(job.strategies) + 2

    def part(number: int) -> Progress:
        return lambda done, total, message: progress(
            1000 * number + (1000 * min(done, total) // total if total else 0), 1000 * parts, message
        )

    try:
        placed = place(case, plan.config, cache, part(0))
    except ReconError as error:
        for strategy in job.strategies:
            yield _failed(plan, case, strategy, error)
        return
    covered, warnings = _coverage(case, placed, plan.config, cache, part(1))
    exam = Exam(placed.heldout, covered, background_of(placed.views), rasterizer.create("cpu"))
    for number, strategy in enumerate(job.strategies, start=2):
        steps = plan.num_steps(strategy)
        try:
            measured = run_strategy(
                strategy,
                case,
                placed,
                plan.config,
                steps,
                exam,
                steps_to_score(plan.checkpoints, steps),
                device=choose_device(plan.config.device),
                cache=cache,
                progress=part(number),
            )
        except ReconError as error:
            yield _failed(plan, case, strategy, error)
            continue
        if case.seed == plan.seeds[0]:
            name = f"{case.scene.name}_{len(case.training)}_{case.cameras}_{strategy}"
            exam.save(measured.gaussians, folder / "renders" / name)
        yield _row(plan, case, strategy, placed, measured, (*placed.warnings, *warnings))


def _coverage(
    case: ImageCase, placed: PlacedCase, config: ReconConfig, cache: Path, progress: Progress
) -> tuple[Mapping[str, NDArray[np.bool_]], tuple[str, ...]]:
    """Covered pixels of the held-out views by name; none, and why, where the set's depth cannot be found."""
    try:
        reference = reference_depths(case.scene, config.working_side_px, cache, progress)
    except ReconError as error:
        return {}, (f"What is covered is not known: {error.message}",)
    training = [Path(path).name for path in case.training]
    covered = {view.name: covered_pixels(reference, view.name, training) for view in placed.heldout}
    if case.cameras == "estimated":
        truth = case.scene.truth
        covered = {view.name: as_seen_in(view, covered[view.name], truth[view.name]) for view in placed.heldout}
    return covered, ()


def _key(case: ImageCase, strategy: Strategy) -> RowKey:
    return case.scene.name, len(case.training), case.cameras, case.seed, strategy


def _row(
    plan: ImagePlan,
    case: ImageCase,
    strategy: Strategy,
    placed: PlacedCase,
    measured: Measured,
    warnings: tuple[str, ...],
) -> ImageRow:
    return ImageRow(
        *_key(case, strategy),
        settings=image_settings(plan, case, strategy),
        num_heldout=len(case.heldout),
        checkpoints=measured.checkpoints,
        matching_cpu_s=round(placed.matching_cpu_s, 2),
        pose_cpu_s=round(placed.pose_cpu_s, 2),
        dense_cpu_s=round(measured.dense_cpu_s, 2),
        warnings=warnings,
    )


def _failed(plan: ImagePlan, case: ImageCase, strategy: Strategy, error: ReconError) -> ImageRow:
    return ImageRow(
        *_key(case, strategy),
        settings=image_settings(plan, case, strategy),
        num_heldout=len(case.heldout),
        checkpoints=(),
        matching_cpu_s=0.0,
        pose_cpu_s=0.0,
        dense_cpu_s=0.0,
        failure=error.message,
    )
