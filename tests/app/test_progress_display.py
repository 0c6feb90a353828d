"""Progress: JSON lines are JSON, the time to go is honest, plain lines are few."""

import io
import json

import pytest

from app.progress_display import (
    JSONL_EVERY_S,
    LINE_EVERY_S,
    Bar,
    Clock,
    JsonLines,
    PlainLines,
    create_display,
    duration,
)
from recon.progress import PipelineEvent, StageName


class FakeTime:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _event(overall: float, stage: StageName = "matches", fraction: float = 0.5) -> PipelineEvent:
    return PipelineEvent(stage, fraction, overall, 'pair "a" – b')


def test_time_to_go_follows_the_pace_of_this_run() -> None:
    time = FakeTime()
    clock = Clock(time)
    assert clock.eta_s(0.5) is None  # the first half was done by an earlier run
    time.now += 10
    assert clock.eta_s(0.75) == pytest.approx(10)


def test_stages_taken_over_from_an_earlier_run_are_no_pace() -> None:
    time = FakeTime()
    clock = Clock(time)
    clock.eta_s(0.0)
    time.now += 0.2
    assert clock.eta_s(0.4, "unchanged") is None
    time.now += 1
    assert clock.eta_s(0.5) is None  # a second is no evidence either
    time.now += 5
    assert clock.eta_s(0.7) == pytest.approx(6)


def test_no_time_to_go_before_there_is_evidence() -> None:
    time = FakeTime()
    clock = Clock(time)
    clock.eta_s(0.0)
    time.now += 5
    assert clock.eta_s(0.001) is None


def test_json_lines_are_one_object_a_line() -> None:
    stream = io.StringIO()
    display = JsonLines(stream)
    display.progress(_event(0.25))
    display.warning("two\nlines")
    display.done(3, {"mesh": "mesh.glb"})
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["progress", "warning", "done"]
    assert events[0]["stage"] == "matches"
    assert events[0]["overall"] == 0.25
    assert events[0]["eta_s"] is None
    assert events[2] == {"event": "done", "exit_code": 3, "outputs": {"mesh": "mesh.glb"}}


def test_errors_go_to_programs_and_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    JsonLines(stream).error("Bad.", "Mend it.")
    assert json.loads(stream.getvalue()) == {"event": "error", "message": "Bad.", "hint": "Mend it."}
    assert capsys.readouterr().err == "Error: Bad.\nHint: Mend it.\n"


@pytest.mark.parametrize(("display", "interval"), [(PlainLines, LINE_EVERY_S), (JsonLines, JSONL_EVERY_S)])
def test_lines_come_at_intervals_and_at_new_stages(display: type, interval: float) -> None:
    time, stream = FakeTime(), io.StringIO()
    shown = display(stream, Clock(time))
    for step in range(10):
        shown.progress(_event(step / 100))
        time.now += interval / 100
    assert len(stream.getvalue().splitlines()) == 1
    shown.progress(_event(0.2, "cameras"))
    assert len(stream.getvalue().splitlines()) == 2
    time.now += interval
    shown.progress(_event(0.3, "cameras"))
    assert len(stream.getvalue().splitlines()) == 3


def test_the_bar_shows_messages_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.progress(PipelineEvent("matches", 0.5, 0.25, "[bold]a.jpg[/red]"))
        bar.warning("[red]odd[/blue]")
    assert "[red]odd[/blue]" in capsys.readouterr().err


def test_auto_is_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(create_display("auto"), PlainLines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
