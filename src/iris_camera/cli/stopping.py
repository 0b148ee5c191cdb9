"""Whether the command was asked to stop; set by signal handlers, which may not take a lock."""

import contextlib
import queue


class Stopping:
    def __init__(self) -> None:
        self._asked = False
        self._wake_up: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(self) -> None:
        self._asked = True
        self._wake_up.put(None)

    def is_set(self) -> bool:
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Wait at most so many seconds for the request to stop; whether it came."""
        if not self._asked and timeout_s > 0:
            with contextlib.suppress(queue.Empty):
                self._wake_up.get(timeout=timeout_s)
        return self._asked
