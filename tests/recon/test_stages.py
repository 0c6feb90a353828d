"""Stages run when something they depend on changed, and only then."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from recon.errors import ReconError
from recon.progress import Cancelled, PipelineEvent, Progress
from recon.project import Project, open_project
from recon.stages import StageRunner


@dataclass(frozen=True)
class Made:
    value: int


class _Pipeline:
    """Two stages that count how often they really run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.events: list[PipelineEvent] = []

    def run(self, first: int, second: int) -> int:
        stages = StageRunner(open_project(self.folder), "matches", self.events.append)

        def make(stage: str, value: int, progress: Progress) -> Made:
            progress(1, 2, "half")
            self.ran.append(stage)
            return Made(value)

        a = stages.run("photos", first, lambda progress: make("photos", first, progress), (Made,))
        b = stages.run("matches", second, lambda progress: make("matches", a.value + second, progress), (Made,))
        assert stages.is_over
        self.resumed = [report.resumed for report in stages.reports]
        return b.value


def test_an_unchanged_run_makes_nothing_anew_and_gives_the_same(tmp_path: Path) -> None:
    pipeline = _Pipeline(tmp_path)
    assert pipeline.run(1, 2) == 3
    assert pipeline.run(1, 2) == 3
    assert pipeline.ran == ["photos", "matches"]
    assert pipeline.resumed == [True, True]


def test_a_changed_late_setting_keeps_the_earlier_stage(tmp_path: Path) -> None:
    pipeline = _Pipeline(tmp_path)
    pipeline.run(1, 2)
    assert pipeline.run(1, 5) == 6
    assert pipeline.ran == ["photos", "matches", "matches"]


def test_a_changed_early_setting_makes_everything_after_it_anew(tmp_path: Path) -> None:
    pipeline = _Pipeline(tmp_path)
    pipeline.run(1, 2)
    assert pipeline.run(4, 2) == 6
    assert pipeline.ran == ["photos", "matches", "photos", "matches"]


def test_a_damaged_artefact_is_made_anew(tmp_path: Path) -> None:
    pipeline = _Pipeline(tmp_path)
    pipeline.run(1, 2)
    (tmp_path / "work" / "photos.npz").write_bytes(b"broken")
    assert pipeline.run(1, 2) == 3
    assert pipeline.ran == ["photos", "matches", "photos"]


def test_a_run_killed_while_storing_does_not_pass_its_result_for_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = _Pipeline(tmp_path)
    pipeline.run(1, 2)
    real = Project.set_record

    def killed(project: Project, stage: str, record: dict[str, object]) -> None:
        if record:
            raise KeyboardInterrupt
        real(project, stage, record)

    with monkeypatch.context() as patch:
        patch.setattr(Project, "set_record", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(1, 5)
    assert pipeline.run(1, 2) == 3


def test_overall_progress_rises_to_one(tmp_path: Path) -> None:
    pipeline = _Pipeline(tmp_path)
    pipeline.run(1, 2)
    overall = [event.overall_fraction for event in pipeline.events]
    assert overall == sorted(overall)
    assert overall[-1] == pytest.approx(1)


def test_cancelling_keeps_finished_stages_and_stores_nothing_of_the_cancelled_one(tmp_path: Path) -> None:
    def cancel_in_matches(event: PipelineEvent) -> None:
        if event.stage == "matches":
            raise Cancelled

    pipeline = _Pipeline(tmp_path)
    stages = StageRunner(open_project(tmp_path), "matches", cancel_in_matches)
    stages.run("photos", 1, lambda progress: Made(1), (Made,))
    with pytest.raises(Cancelled):
        stages.run("matches", 2, lambda progress: progress(0, 1, "") or Made(2), (Made,))
    assert not (tmp_path / "work" / "matches.npz").exists()
    pipeline.run(1, 2)
    assert pipeline.ran == ["matches"]


def test_a_folder_with_something_else_in_it_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ReconError, match="something else"):
        open_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_as_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReconError, match="not a folder"):
        open_project(tmp_path / "file")
