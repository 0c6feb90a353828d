"""A display of our own for the tests of the window: OpenGL needs one, and nobody wants windows popping up."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest


def _start_display() -> tuple[subprocess.Popen[bytes], str]:
    """Xvfb, which ends with its last client, and the name of its display; empty if it did not start."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-terminate"]
    process = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    return process, f":{number}" if number else ""


@pytest.fixture(scope="session", autouse=True)
def application() -> Iterator[object]:
    """The one QApplication: on Xvfb where there is one, else on Qt's offscreen platform, which knows no OpenGL."""
    try:
        from PyQt6.QtWidgets import QApplication
    except ImportError:
        yield None
        return
    is_ours = sys.platform.startswith("linux") and shutil.which("Xvfb") is not None
    if not is_ours or os.environ.get("QT_QPA_PLATFORM") != "offscreen":
        yield QApplication.instance() or QApplication(["tests"])
        return
    _, display = _start_display()
    with pytest.MonkeyPatch.context() as patch:  # children of the tests must not find the display
        if display:
            patch.setenv("DISPLAY", display)
            patch.setenv("QT_QPA_PLATFORM", "xcb")
        running = QApplication.instance() or QApplication(["tests"])
    yield running
