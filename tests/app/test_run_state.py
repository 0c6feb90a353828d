"""How far a run is, by what the command line tells."""

from typing import Any

from app.run_state import RunState


def _event(stage: str, fraction: float, message: str) -> dict[str, Any]:
    return {
        "stage": stage,
        "stage_fraction": fraction,
        "message": message,
        "overall": 0.1,
        "elapsed_s": 1.0,
        "eta_s": None,
    }


def test_between_two_stages_the_earlier_one_is_the_latest() -> None:
    state = RunState()
    assert (state.running, state.latest) == (None, None)
    state = state.after(_event("photos", 1.0, "done"))
    assert (state.running, state.latest) == (None, "photos")
    state = state.after(_event("matches", 0.5, "pair 1 of 2"))
    assert (state.running, state.latest) == ("matches", "matches")
