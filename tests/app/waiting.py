"""Waiting in tests of the window, with Qt's events handled meanwhile. Needs PyQt6."""

from collections.abc import Callable

from PyQt6.QtCore import QEventLoop, QTimer


def wait_until(claim: Callable[[], bool], timeout_ms: int = 20_000) -> None:
    """Handle events until the claim holds; fails if it does not in time."""
    loop = QEventLoop()
    poll, limit = QTimer(), QTimer()
    poll.timeout.connect(lambda: loop.quit() if claim() else None)
    limit.setSingleShot(True)
    limit.timeout.connect(loop.quit)
    poll.start(5)
    limit.start(timeout_ms)
    loop.exec()
    assert claim()
