"""Work off the window's thread: plain data in and out."""

import threading
from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal


class _Mailbox(QObject):
    delivered = pyqtSignal(object)


class Tasks:
    """Runs functions one after the other in a thread; what they give arrives in the thread that made this.

    `is_inline` runs them at once instead, for tests.
    """

    def __init__(self, *, is_inline: bool = False) -> None:
        self._is_inline = is_inline
        self._mailbox = _Mailbox()
        self._mailbox.delivered.connect(lambda deliver: deliver())
        self._waiting: list[Callable[[], None]] = []
        self._condition = threading.Condition()
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def start(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None] | None = None
    ) -> None:
        """Run `work()`, then `done(result)`; an exception goes to `failed`, or is raised where it arrives."""

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001  # whoever asked decides what it means
                self._deliver(lambda failure=error: (failed or _raise)(failure))  # type: ignore[misc]
            else:
                self._deliver(lambda: done(result))

        if self._is_inline:
            run()
            return
        with self._condition:
            self._waiting.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="window tasks", daemon=True)
                self._thread.start()
            self._condition.notify()

    def drop_waiting(self) -> None:
        """Forget what has not begun."""
        with self._condition:
            self._waiting.clear()

    def stop(self) -> None:
        """Begin nothing more and deliver nothing more."""
        with self._condition:
            self._is_stopped = True
            self._waiting.clear()
            self._condition.notify()

    def _deliver(self, deliver: Callable[[], None]) -> None:
        if self._is_inline:
            deliver()
        elif not self._is_stopped:
            self._mailbox.delivered.emit(deliver)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_stopped or self._waiting)
                if self._is_stopped:
                    return
                run = self._waiting.pop(0)
            run()


def _raise(error: Exception) -> None:
    raise error
