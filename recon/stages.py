"""Run the stages: skip what is up to date, time what is not, report how far it is."""

import dataclasses
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from recon.artefacts import ArtefactError, load_artefact, save_artefact, to_json
from recon.progress import STAGES, PipelineEvent, PipelineProgress, Progress, StageName
from recon.project import Project, fingerprint
from recon.report import StageReport

log = logging.getLogger(__name__)

Output = TypeVar("Output")

# Bump a stage's version when its code makes something else of the same input.
VERSIONS: dict[StageName, int] = {"photos": 1, "matches": 3, "cameras": 3, "points": 6, "splats": 4, "mesh": 4}

# Usual share of each stage in a run of six photos with the standard preset, for the overall progress.
SHARES: dict[StageName, float] = {
    "photos": 0.02,
    "matches": 0.10,
    "cameras": 0.08,
    "points": 0.15,
    "splats": 0.57,
    "mesh": 0.08,
}


class StageRunner:
    """Runs one stage after the other, each on what the ones before it made.

    An artefact is used again when the fingerprint of everything that it depends on, through all earlier stages, is the
    same. A stage that is run anew takes the files of the later ones out of the project.
    """

    def __init__(
        self, project: Project, until: StageName, progress: PipelineProgress | None, *, after: str = ""
    ) -> None:
        """Start before the first stage.

        Args:
            project: where artefacts are kept.
            until: the last stage that will run.
            progress: told how far everything is.
            after: fingerprint of what all of the stages depend on besides their settings.
        """
        self.reports: list[StageReport] = []
        self._project = project
        self._wanted = STAGES[: STAGES.index(until) + 1]
        self._progress = progress
        self._chain = after
        self._done = 0.0

    @property
    def is_over(self) -> bool:
        """The last wanted stage has run."""
        return len(self.reports) == len(self._wanted)

    @property
    def fingerprint(self) -> str:
        """Of all that the last stage's result was made from."""
        return self._chain

    def run(
        self,
        stage: StageName,
        settings: Any,
        compute: Callable[[Progress], Output],
        types: Sequence[type] = (),
        describe: Callable[[Output], dict[str, Any]] = lambda output: {},
    ) -> Output:
        """Run a stage or take its artefact.

        Args:
            stage: which.
            settings: all that its result depends on beyond the earlier stages' results.
            compute: makes the result.
            types: the dataclasses in the result, for storing it; none means that it is not stored.
            describe: numbers about the result for the report.
        """
        started, cpu_started = time.perf_counter(), _cpu_seconds()
        before, self._chain = self._chain, next_fingerprint(self._chain, stage, settings)
        output = self._stored(stage, tuple(types)) if types else None
        if output is not None:
            report = dataclasses.replace(StageReport(**self._project.record(stage)["report"]), resumed=True)
        else:
            output = compute(self._stage_progress(stage))
            report = StageReport(
                name=stage,
                seconds=round(time.perf_counter() - started, 3),
                cpu_seconds=round(_cpu_seconds() - cpu_started, 3),
                peak_rss_mb=round(_peak_rss_mb(), 1),
                details=describe(output),
            )
            if types:
                # First forget what the old artefact was made from: killed in between, the new one must not pass for it.
                self._project.set_record(stage, {})
                save_artefact(output, self._project.artefact(stage))
                record = {"fingerprint": self._chain, "after": before, "report": dataclasses.asdict(report)}
                self._project.set_record(stage, record)
                # Later results belong to what was here before; this run may end before it makes new ones.
                self._project.drop_results(STAGES[STAGES.index(stage) + 1 :])
        self._done += SHARES[stage]
        self._tell(stage, 1.0, "unchanged" if report.resumed else "done", self._done)
        self.reports.append(report)
        return output

    def _stored(self, stage: StageName, types: tuple[type, ...]) -> Any:
        if self._project.record(stage).get("fingerprint") != self._chain:
            return None
        try:
            return load_artefact(self._project.artefact(stage), types)
        except ArtefactError as error:
            log.warning("the stored result of stage %s is damaged and made anew: %s", stage, error)
            return None

    def _stage_progress(self, stage: StageName) -> Progress:
        reached = 0.0

        def progress(done: int, total: int, message: str) -> None:
            nonlocal reached  # a step that learns of more work must not let the bar run backwards
            fraction = reached = max(reached, min(1.0, done / total) if total > 0 else 0.0)
            self._tell(stage, fraction, message, self._done + fraction * SHARES[stage])

        return progress

    def _tell(self, stage: StageName, fraction: float, message: str, done: float) -> None:
        if self._progress is not None:
            total = sum(SHARES[wanted] for wanted in self._wanted)
            self._progress(PipelineEvent(stage, fraction, min(1.0, done / total), message))


def next_fingerprint(before: str, stage: StageName, settings: Any) -> str:
    """Of all that a stage's result is made from: what the stage before it made, and its own settings."""
    return fingerprint(before, stage, VERSIONS[stage], to_json(settings))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_rss_mb() -> float:
    """Highest resident memory of the process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
