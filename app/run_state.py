"""How far a run is: pure data, made anew from every event of the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from recon.progress import STAGES, StageName

StageStatus = Literal["waiting", "running", "done", "unchanged"]


@dataclass(frozen=True)
class Stage:
    """How far a stage is, in [0, 1], and what it is doing."""

    status: StageStatus = "waiting"
    fraction: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        stages: how far each of them is.
        overall: share of the whole that is done, in [0, 1].
        elapsed_s, eta_s: time spent, and to go if it is known.
    """

    stages: Mapping[StageName, Stage] = field(default_factory=lambda: {stage: Stage() for stage in STAGES})
    overall: float = 0.0
    elapsed_s: float = 0.0
    eta_s: float | None = None

    @property
    def running(self) -> StageName | None:
        """The stage at work."""
        return next((name for name, stage in self.stages.items() if stage.status == "running"), None)

    @property
    def latest(self) -> StageName | None:
        """The stage at work, or the last one that was, between two; None before the first."""
        return next((name for name in reversed(STAGES) if self.stages[name].status != "waiting"), None)

    def after(self, event: Mapping[str, Any]) -> "RunState":
        """What a `progress` event makes of it; stages before the event's are done."""
        name: StageName = event["stage"]
        stages = dict(self.stages)
        for earlier in STAGES[: STAGES.index(name)]:
            if stages[earlier].status in ("waiting", "running"):
                stages[earlier] = replace(stages[earlier], status="done", fraction=1.0)
        is_over = event["stage_fraction"] >= 1 and event["message"] in ("done", "unchanged")
        status: StageStatus = "running" if not is_over else "unchanged" if event["message"] == "unchanged" else "done"
        stages[name] = Stage(status, event["stage_fraction"], event["message"])
        return RunState(stages, event["overall"], event["elapsed_s"], event["eta_s"])

    def with_overall(self, event: Mapping[str, Any]) -> "RunState":
        """What a `progress` event makes of it where no stage of the project is being made."""
        return replace(self, overall=event["overall"], elapsed_s=event["elapsed_s"], eta_s=event["eta_s"])

    def begun_by(self, event: Mapping[str, Any]) -> bool:
        """The event is the first one of its stage."""
        return self.stages[event["stage"]].status == "waiting"
