"""Whether somebody asked the command to stop: for signal handlers, which may not take a lock."""

import contextlib
import queue


class Stopping:
    def __init__(self) -> None:
        self._asked = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(self) -> None:
        self._asked = True
        self._bell.put(None)

    def is_set(self) -> bool:
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Whether it was asked, at most so many seconds from now."""
        if not self._asked and timeout_s > 0:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=timeout_s)
        return self._asked
