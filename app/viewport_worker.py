"""A thread that runs the newest job of each name: what has been replaced before it began is dropped, never queued."""

import threading
from collections.abc import Callable
from typing import Any


class LatestWorker:
    """Runs jobs one after the other; `deliver(name, result)` is called in the thread, an exception being a result."""

    def __init__(self, deliver: Callable[[str, Any], None], thread_name: str) -> None:
        self._deliver = deliver
        self._condition = threading.Condition()
        self._jobs: dict[str, Callable[[], Any]] = {}
        self._is_busy = False
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, name=thread_name, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Nothing is waiting or at work."""
        with self._condition:
            return not self._jobs and not self._is_busy

    def request(self, name: str, job: Callable[[], Any]) -> None:
        """Run a job as soon as possible; replaces one of the same name that has not begun."""
        with self._condition:
            self._jobs[name] = job
            self._condition.notify()

    def stop(self) -> None:
        """End the thread after the job at work, whose result is not delivered; does not wait for that."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify()

    def _work(self) -> None:
        while True:
            with self._condition:
                self._is_busy = False
                self._condition.wait_for(lambda: self._is_stopped or self._jobs)
                if self._is_stopped:
                    return
                name = next(iter(self._jobs))
                job = self._jobs.pop(name)
                self._is_busy = True
            try:
                result: Any = job()
            except Exception as error:  # noqa: BLE001  # whoever asked decides what it means
                result = error
            if not self._is_stopped:
                self._deliver(name, result)
            del job, result  # while it waits for the next one nothing of this one is kept in memory
