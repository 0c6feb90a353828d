"""Windows for tests, photos to drop into them, and a child that does as it is told. Needs PyQt6."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.project_model import ProjectModel
from app.window import MainWindow
from app.window_run import ReconstructionRun
from app.window_settings import WindowSettings
from app.window_tasks import Tasks

# A stand-in for the command line: prints events and ends as the test wants.
CHILD = """import json, sys, time
for event in EVENTS: print(json.dumps(event), flush=True)
print("a library says hello", flush=True)
ENDING
"""


def make_photos(folder: Path) -> Path:
    """Three photos of noise and a text."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.jpg", "b.PNG", "c.jpg"):
        Image.fromarray(random.integers(0, 255, (600, 800, 3), np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def make_window(tmp_path: Path, out: Path | None = None) -> MainWindow:
    """A window that remembers nothing and looks at photos at once."""
    model = ProjectModel(tasks=Tasks(is_inline=True), home=tmp_path / "home")
    return MainWindow(out, settings=WindowSettings(tmp_path / "settings.ini"), model=model)


def replace_child(run: ReconstructionRun, monkeypatch: pytest.MonkeyPatch, events: list[dict], ending: str) -> list:
    """Let the run start a stand-in instead of the command line; returns a list that gets its arguments."""
    code = CHILD.replace("EVENTS", repr(events)).replace("ENDING", ending)
    start, asked = run._process.start, []

    def start_stand_in(program: str, arguments: list[str]) -> None:
        asked.append(arguments)
        start(sys.executable, ["-c", code])

    monkeypatch.setattr(run._process, "start", start_stand_in)
    return asked
