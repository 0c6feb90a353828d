"""Photos to cameras on sets with known cameras, ours and plain COLMAP's in one run."""

import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from recon.artefacts import ArtefactError, load_artefact, save_artefact, to_json
from recon.benchmark_scenes import BenchScene, Spacing, choose_photos
from recon.config import ReconConfig
from recon.errors import ReconError
from recon.match_graph import MatchGraph, PairMatches
from recon.match_photos import match_photos
from recon.photo import Photo
from recon.photo_loading import load_photos
from recon.plain_colmap import PlainOutcome, PlainTask, run_plain_colmap
from recon.pose_metrics import focal_error, pair_errors, score_poses
from recon.pose_rows import Intrinsics, Method, PairFinding, PoseRow
from recon.poses import estimate_poses
from recon.progress import Progress
from recon.project import fingerprint, identities
from recon.scene import Reconstruction
from recon.stages import VERSIONS
from recon.version import program_version
from splatting.camera import Camera

# Usual CPU seconds of a photo and of a pair of photos: features and matching, then one mapping.
_COST = {"handful": ((0.5, 0.7), (0.7, 0.1)), "pycolmap": ((2.0, 1.5), (0.7, 0.1))}


@dataclass(frozen=True)
class BenchPlan:
    """What to run.

    Attributes:
        scenes: photo sets.
        views: numbers of photos.
        spacing: which photos; see `choose_photos`.
        intrinsics: what is told of the lenses: nothing beyond what the files say themselves, or all.
        seeds: of the pose step; the matches are shared.
        methods: ours, plain COLMAP, or both.
        config: matcher and settings of our poses.
    """

    scenes: tuple[BenchScene, ...]
    views: tuple[int, ...]
    spacing: Spacing
    intrinsics: tuple[Intrinsics, ...]
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    config: ReconConfig


@dataclass(frozen=True)
class StoredMatches:
    """Matches of a set and the CPU seconds that they took."""

    graph: MatchGraph
    cpu_s: float


@dataclass(frozen=True)
class _Set:
    """Photos of a scene, and the runs on them that are still to do."""

    scene: BenchScene
    paths: tuple[str, ...]
    method: Method
    runs: tuple[tuple[Intrinsics, int], ...]

    @property
    def cost(self) -> float:
        photos, pairs = len(self.paths), len(self.paths) * (len(self.paths) - 1) / 2
        matching, mapping = ((a * photos + b * pairs) for a, b in _COST[self.method])
        return matching + mapping * len(self.runs)


def measure_poses(
    plan: BenchPlan, done: Sequence[PoseRow], folder: Path, keep: Callable[[PoseRow], None], progress: Progress
) -> None:
    """Run all that is not done yet; scenes one after the other, small sets first.

    Args:
        plan: what to run.
        done: rows of an earlier run; those with the settings of the plan are not run again.
        folder: where the matches of each set are kept and found again.
        keep: called with each row as it comes.
        progress: told how much is done in thousandths; what it raises ends the run, rows handed over stay.

    Raises:
        ReconError: a scene has no set of one of the sizes, or its photos cannot be read.
    """
    sets = [part for part in _sets(plan, done) if part.runs]
    total, finished = sum(part.cost for part in sets), 0.0
    for part in sets:

        def step(done: int, steps: int, message: str, part: _Set = part, start: float = finished) -> None:
            share = min(1.0, done / steps) if steps else 0.0
            progress(int(1000 * (start + share * part.cost) / total), 1000, _title(part) + message)

        for row in _measure(plan, part, folder, step):
            keep(row)
        finished += part.cost
    progress(1000, 1000, "done")


def _sets(plan: BenchPlan, done: Sequence[PoseRow]) -> Iterator[_Set]:
    settled = {(row.key, row.settings) for row in done}
    for scene in plan.scenes:
        for num_views in plan.views:
            paths = choose_photos(scene, num_views, plan.spacing)
            settings = settings_digest(plan.config, paths)
            for method in plan.methods:
                runs = tuple(
                    (intrinsics, seed)
                    for intrinsics in plan.intrinsics
                    for seed in plan.seeds
                    if ((scene.name, num_views, intrinsics, seed, method), settings[method]) not in settled
                )
                yield _Set(scene, paths, method, runs)


def settings_digest(config: ReconConfig, paths: Sequence[str]) -> dict[Method, str]:
    """For each method a digest of all settings that its rows depend on."""
    versions = [program_version(), VERSIONS["matches"], VERSIONS["cameras"]]
    ours = [versions, to_json(config.matching), to_json(config.poses), config.working_side_px]
    return {"handful": fingerprint(list(paths), ours), "pycolmap": fingerprint(list(paths))}


def rows_of_plan(plan: BenchPlan, rows: Iterable[PoseRow]) -> list[PoseRow]:
    """The rows that the plan asks for, made with its settings, in its order."""
    found = {(row.key, row.settings): row for row in rows}
    wanted = [
        ((scene.name, num_views, intrinsics, seed, method), settings_digest(plan.config, paths)[method])
        for scene in plan.scenes
        for num_views in plan.views
        for paths in [choose_photos(scene, num_views, plan.spacing)]
        for intrinsics in plan.intrinsics
        for method in plan.methods
        for seed in plan.seeds
    ]
    return [found[key] for key in wanted if key in found]


def _measure(plan: BenchPlan, part: _Set, folder: Path, progress: Progress) -> Iterator[PoseRow]:
    settings = settings_digest(plan.config, part.paths)[part.method]
    if part.method == "pycolmap":
        yield from _measure_plain(part, settings, progress)
    else:
        yield from _measure_ours(plan, part, settings, folder, progress)


def _measure_ours(plan: BenchPlan, part: _Set, settings: str, folder: Path, progress: Progress) -> Iterator[PoseRow]:
    photos = _photos(part)
    steps = len(part.runs) + 1

    def step(number: int) -> Progress:
        return lambda done, total, message: progress(
            1000 * number + (1000 * done // total if total else 0), 1000 * steps, message
        )

    try:
        matches = _matches(photos, plan.config, folder, step(0))
    except ReconError as error:
        for intrinsics, seed in part.runs:
            yield _row(part, intrinsics, seed, settings, {}, failure=error.message)
        return
    for number, (intrinsics, seed) in enumerate(part.runs, start=1):
        started, scene, failure = _cpu_seconds(), None, None
        try:
            scene = estimate_poses(
                photos,
                matches.graph,
                plan.config.poses,
                working_side_px=plan.config.working_side_px,
                heldout=frozenset(),
                seed=seed,
                calibrated=part.scene.truth if intrinsics == "known" else None,
                progress=step(number),
            )
        except ReconError as error:
            failure = error.message
        spent = _cpu_seconds() - started
        cameras = {} if scene is None else {view.name: view.camera for view in scene.views}
        row = _row(part, intrinsics, seed, settings, cameras, failure=failure, graph=matches.graph)
        row = replace(row, matching_cpu_s=matches.cpu_s, pose_cpu_s=spent)
        yield row if scene is None else _with_what_was_said(row, scene)


def _photos(part: _Set) -> tuple[Photo, ...]:
    found = load_photos([part.scene.folder / path for path in part.paths])
    if found.rejected:
        raise ReconError(f"{part.scene.name}: {found.rejected[0].reason}", "Mend the photo set.")
    return found.photos


def _with_what_was_said(row: PoseRow, scene: Reconstruction) -> PoseRow:
    unplaced = tuple((photo.name, photo.reason) for photo in scene.unplaced)
    return replace(row, warnings=scene.warnings, unplaced=unplaced)


def _matches(photos: Sequence[Photo], config: ReconConfig, folder: Path, progress: Progress) -> StoredMatches:
    """The matches of a set, those of an earlier run where photos and settings are the same."""
    key = fingerprint(identities(photos), to_json(config.matching), program_version(), VERSIONS["matches"])
    path = folder / f"matches_{key[:16]}.npz"
    if path.exists():
        try:
            return load_artefact(path, (StoredMatches, MatchGraph, PairMatches))
        except ArtefactError:
            path.unlink()
    started = _cpu_seconds()
    graph = match_photos(photos, config.matching, progress)
    found = StoredMatches(graph, _cpu_seconds() - started)
    folder.mkdir(parents=True, exist_ok=True)
    save_artefact(found, path)
    return found


def _measure_plain(part: _Set, settings: str, progress: Progress) -> Iterator[PoseRow]:
    names = tuple(Path(path).name for path in part.paths)
    folder = part.scene.folder / Path(part.paths[0]).parent
    truth = {name: part.scene.truth[name] for name in names}
    variants = tuple((seed, truth if intrinsics == "known" else None) for intrinsics, seed in part.runs)
    outcomes = run_plain_colmap(PlainTask(folder, names, variants), progress)
    for (intrinsics, seed), outcome in zip(part.runs, outcomes, strict=True):
        row = _row(part, intrinsics, seed, settings, outcome.cameras, failure=_why(outcome))
        yield replace(row, matching_cpu_s=outcome.matching_cpu_s, pose_cpu_s=outcome.pose_cpu_s)


def _why(outcome: PlainOutcome) -> str | None:
    return outcome.failure or (None if outcome.cameras else "COLMAP found no two photos to start from.")


def _row(
    part: _Set,
    intrinsics: Intrinsics,
    seed: int,
    settings: str,
    cameras: Mapping[str, Camera],
    *,
    failure: str | None,
    graph: MatchGraph | None = None,
) -> PoseRow:
    """The row of a run, its times and warnings still to fill in."""
    names = [Path(path).name for path in part.paths]
    truth = {name: part.scene.truth[name].camera for name in names}
    placed = [name for name in names if name in cameras]
    ratios = [1 + focal_error(cameras[name], truth[name]) for name in placed]
    return PoseRow(
        scene=part.scene.name,
        num_views=len(names),
        intrinsics=intrinsics,
        seed=seed,
        method=part.method,
        settings=settings,
        scores=score_poses(cameras, truth, names),
        placed_auc_30=score_poses(cameras, truth, placed).auc_30 if len(placed) >= 2 else None,
        focal_ratio=statistics.median(ratios) if ratios else None,
        matching_cpu_s=0.0,
        pose_cpu_s=0.0,
        failure=failure,
        pairs=_pair_findings(names, cameras, truth, graph),
    )


def _pair_findings(
    names: Sequence[str], cameras: Mapping[str, Camera], truth: Mapping[str, Camera], graph: MatchGraph | None
) -> tuple[PairFinding, ...]:
    errors = pair_errors(cameras, truth, names)
    matched = {} if graph is None else {(pair.a, pair.b): pair for pair in graph.pairs}
    findings = []
    for row, (a, b) in enumerate(combinations(range(len(names)), 2)):
        pair = matched.get((a, b))
        counts = (None, None) if pair is None else (pair.num_matches, len(pair.indices))
        found = [float(e[row]) if np.isfinite(e[row]) else None for e in (errors.rotation_deg, errors.direction_deg)]
        findings.append(PairFinding(names[a], names[b], *counts, *found))
    return tuple(findings)


def _title(part: _Set) -> str:
    return f"{part.scene.name}, {len(part.paths)} photos: "


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
