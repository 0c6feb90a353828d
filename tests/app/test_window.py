"""The window: photos in, a child process at work, its events shown."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

try:
    from PyQt6.QtCore import QEventLoop, QTimer
    from PyQt6.QtWidgets import QApplication

    from app.window import MainWindow
    from app.window_run import ReconstructionRun
except ImportError as missing:  # PyQt6 or one of the system libraries that it needs
    pytest.skip(f"no window on this machine: {missing}", allow_module_level=True)

# A stand-in for the command line: prints events and ends as the test wants.
CHILD = """import json, sys, time
for event in EVENTS: print(json.dumps(event), flush=True)
print("a library says hello", flush=True)
ENDING
"""


@pytest.fixture(scope="module")
def application() -> QApplication:
    return QApplication.instance() or QApplication(["tests"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "mug"
    folder.mkdir()
    for name in ("a.jpg", "b.PNG"):
        Image.fromarray(np.full((30, 40, 3), 200, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def _wait_until(claim: Callable[[], bool], timeout_ms: int = 30_000) -> None:
    loop = QEventLoop()
    poll, limit = QTimer(), QTimer()
    poll.timeout.connect(lambda: loop.quit() if claim() else None)
    limit.setSingleShot(True)
    limit.timeout.connect(loop.quit)
    poll.start(10)
    limit.start(timeout_ms)
    loop.exec()
    assert claim()


def _replace_child(run: ReconstructionRun, monkeypatch: pytest.MonkeyPatch, events: list[dict], ending: str) -> None:
    """Let the run start a stand-in instead of the command line."""
    code = CHILD.replace("EVENTS", repr(events)).replace("ENDING", ending)
    start = run._process.start
    monkeypatch.setattr(run._process, "start", lambda program, arguments: start(sys.executable, ["-c", code]))


def test_photos_are_listed_once_with_thumbnails_and_propose_a_folder(application: QApplication, photos: Path) -> None:
    window = MainWindow()
    assert not window.build_button.isEnabled()
    window.photo_list.add([photos, photos / "a.jpg"])
    assert [path.name for path in window.photo_list.photos()] == ["a.jpg", "b.PNG"]
    assert window.output.text() == str(photos.with_name("mug-handful"))
    assert window.build_button.isEnabled()
    _wait_until(lambda: not window.photo_list._without_thumbnail)
    assert not window.photo_list.item(0).icon().isNull()


def test_events_of_the_child_are_shown(
    application: QApplication, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("<p>report")
    window = MainWindow(out)
    window.photo_list.add([photos])
    progress = {"event": "progress", "stage": "matches", "overall": 0.25, "eta_s": 61.0, "message": "pair 2"}
    events = [progress, {"event": "warning", "message": "b.PNG is blurred."}, {"event": "done", "outputs": {}}]
    _replace_child(window.run, monkeypatch, events, "sys.exit(3)")
    seen: list[str] = []
    window.run.progressed.connect(lambda event: seen.append(window.status.text()))
    window.build()
    assert not window.build_button.isEnabled()
    assert window.cancel_button.isEnabled()
    _wait_until(lambda: window.status.text().startswith("Done"))
    assert seen == ["matches: pair 2 · 1 min 1 s left"]
    assert window.bar.value() == 250
    assert "b.PNG is blurred." in window.messages.toPlainText()
    assert window.report_button.isEnabled()
    assert window.build_button.isEnabled()


@pytest.mark.parametrize("handler", ["lambda *_: sys.exit(130)", "signal.SIG_DFL"], ids=["politely", "while it loads"])
def test_cancel_ends_the_child(
    handler: str, application: QApplication, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = MainWindow()
    window.photo_list.add([photos])
    ready = '{"event": "warning", "message": "ready"}'
    ending = f"import signal; signal.signal(signal.SIGTERM, {handler})\nprint('{ready}', flush=True); time.sleep(60)"
    _replace_child(window.run, monkeypatch, [], ending)
    window.build()
    _wait_until(lambda: "ready" in window.messages.toPlainText())
    window.run.cancel()
    _wait_until(lambda: window.build_button.isEnabled())
    assert window.status.text() == "Cancelled; Build resumes."
    assert window.messages.toPlainText() == "ready"


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("import os; os.abort()", "ended by the system"),
        ("raise RuntimeError('broken kernel')", "broken kernel"),
    ],
)
def test_a_child_that_dies_leaves_the_window_standing(
    ending: str, expected: str, application: QApplication, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = MainWindow()
    window.photo_list.add([photos])
    _replace_child(window.run, monkeypatch, [], ending)
    window.build()
    _wait_until(lambda: window.status.text() == "There is no result.")
    assert expected in window.messages.toPlainText()


def test_the_window_speaks_with_the_real_command_line(application: QApplication, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "letter.jpg").write_text("Dear photo, ...")
    window = MainWindow(tmp_path / "out")
    window.photo_list.add([photos])
    window.build()
    _wait_until(lambda: window.status.text() == "There is no result.")
    assert "letter.jpg" in window.messages.toPlainText()
