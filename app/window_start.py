"""Opening the window: first it is painted, then torch is loaded beside it."""

import sys
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QSurfaceFormat
from PyQt6.QtWidgets import QApplication

from app.torch_loading import load_torch
from app.viewport_context import core_profile
from app.window import MainWindow
from app.window_tasks import Tasks


def open_window(out: Path | None = None) -> int:
    """Show the window until it is closed; returns the exit code."""
    QSurfaceFormat.setDefaultFormat(core_profile())
    application = QApplication(sys.argv[:1])
    application.setApplicationName("Handful")
    application.setStyle("Fusion")
    window = MainWindow(out)
    window.show()
    warming = warm_up(window)
    exit_code = application.exec()
    warming.stop()
    return exit_code


def warm_up(window: MainWindow) -> Tasks:
    """Load what a shown window will need beside it; keep and stop what is returned."""
    QTimer.singleShot(0, window.load_samples)
    warming = Tasks()  # in a thread of its own: thumbnails come first
    QTimer.singleShot(0, lambda: warming.start(load_torch, lambda _: None))
    return warming
