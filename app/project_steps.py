"""The five steps of the window and what to say about each of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.progress_display import duration

if TYPE_CHECKING:
    from app.project_model import ProjectModel

Step = Literal["photos", "cameras", "build", "clean", "save"]
STEPS: tuple[Step, ...] = ("photos", "cameras", "build", "clean", "save")
TITLES: dict[Step, str] = {
    "photos": "Photos",
    "cameras": "Cameras",
    "build": "Build",
    "clean": "Clean",
    "save": "Save",
}
StepState = Literal["todo", "ready", "busy", "problem", "done"]


@dataclass(frozen=True)
class StepView:
    """How a step stands and a few words about it."""

    state: StepState
    subtitle: str


_AGAIN = StepView("ready", "find them again")


def describe_steps(model: "ProjectModel") -> dict[Step, StepView]:
    """How each of the steps stands."""
    return {
        "photos": _photos(model),
        "cameras": _cameras(model),
        "build": _build(model),
        "clean": _clean(model),
        "save": _save(model),
    }


def _photos(model: "ProjectModel") -> StepView:
    used, odd = len(model.used_photos), sum(any(b.is_problem for b in p.badges) for p in model.used_photos)
    if not model.photos:
        return StepView("ready", "drop them here")
    if used < 2:
        return StepView("problem", "two are the least")
    told = f"{used} photos" + (f", {odd} odd" if odd else "")
    return StepView("problem" if odd else "done", told)


def _cameras(model: "ProjectModel") -> StepView:
    is_run = model.phase != "idle" and model.work.job in ("cameras", "build")
    if is_run and model.state.latest in (None, "photos", "matches", "cameras"):
        return StepView("busy", "looking for them")
    if model.report is None or not any(photo.placed is not None for photo in model.report.photos):
        return StepView("ready" if model.can_run else "todo", "not found yet")
    known = [photo for photo in model.report.photos if photo.placed is not None]
    placed = sum(photo.placed is True for photo in known)
    told = f"{placed} of {len(known)} placed"
    if model.has_other_photos:
        return StepView("done", f"{len(model.used_photos)} placed") if model.has_fewer_photos else _AGAIN
    return StepView("done" if placed == len(known) else "problem", told)


def _build(model: "ProjectModel") -> StepView:
    if model.phase != "idle" and model.work.job in ("build", "mesh"):
        return StepView(
            "busy", {"paused": "paused", "stopping": "stopping"}.get(model.phase, f"{model.state.overall:.0%}")
        )
    if model.has_scene:
        return StepView("ready", "built, before changes") if model.is_stale else StepView("done", "built")
    return StepView("ready" if model.can_run else "todo", "not built yet")


def _clean(model: "ProjectModel") -> StepView:
    if not model.has_scene or model.phase != "idle":
        return StepView("todo", "after building")
    return StepView("ready", "if you like")


def _save(model: "ProjectModel") -> StepView:
    if not model.has_scene:
        return StepView("todo", "after building")
    return StepView("ready", "choose what for")


def describe_run(model: "ProjectModel") -> tuple[str, str]:
    """A word for how the run stands, and a sentence on it."""
    if model.phase == "idle":
        return ("Ready", "") if model.report is None else (_outcome(model), "")
    running = model.state.running
    latest = model.state.latest
    what = "Making the film" if model.work.job == "film" else "Starting" if latest is None else STAGE_TITLES[latest]
    message = "" if running is None else for_people(model.state.stages[running].message)
    left = f"{duration(model.state.eta_s)} left" if model.state.eta_s is not None else ""
    word = {"running": what, "paused": "Paused", "stopping": "Stopping"}[model.phase]
    return word, " · ".join(part for part in (message, left) if part)


def for_people(message: str) -> str:
    """What a stage says of its work, without the numbers that only developers of fits read."""
    parts = [part for part in message.split(", ") if not part.startswith("loss ")]
    return ", ".join(parts).replace("Gaussians", "splats")


def _outcome(model: "ProjectModel") -> str:
    assert model.report is not None
    if model.report.status in ("complete", "partial") and model.report.stages[-1:] and not model.has_scene:
        return "Cameras found"
    return {
        "complete": "Done",
        "partial": "Done; some photos were left out",
        "failed": "No result",
        "cancelled": "Stopped; Build goes on where it was",
    }[model.report.status]


STAGE_TITLES = {
    "photos": "Reading photos",
    "matches": "Comparing photos",
    "cameras": "Finding cameras",
    "points": "Measuring depth",
    "splats": "Fitting splats",
    "mesh": "Making the mesh",
}
