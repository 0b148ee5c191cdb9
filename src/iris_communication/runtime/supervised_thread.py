"""A thread that runs until it is stopped, whatever its target raises.

A thread that ends by an exception nobody foresaw leaves a program that looks alive and does nothing. So no exception
ends such a thread: it is logged with its traceback, `running` turns false with the reason beside it, `on_failure`
clears up and answers whoever waits, and the target is called again after a pause that grows with each failure in a row.
Only a target that returns has ended.

What goes wrong: a lasting cause fails each attempt. Its traceback is logged once; after that, failures are counted.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from iris_communication.plain_text import text_of

log = logging.getLogger(__name__)

PAUSE_BASE_S = 1.0  # the longest pause after a first failure; doubles with each that follows
PAUSE_CAP_S = 60.0


def pause_after(failures: int) -> float:
    """Between half and all of the longest, so that several that failed together do not begin together."""
    longest_s = min(PAUSE_CAP_S, PAUSE_BASE_S * 2.0 ** min(failures - 1, 32))
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret


class SupervisedThread(threading.Thread):
    """A daemon. Its owner makes `target` return, and also calls `let_end`, so that a failure is not followed by another
    call. `on_failure` is called on this thread after each failure, `on_end` at the very end. `pause_s` gets the number
    of failures in a row; a failure after `well_after_s` starts a new row."""

    def __init__(
        self,
        target: Callable[[], None],
        name: str,
        *,
        on_failure: Callable[[BaseException], None] = lambda error: None,
        on_end: Callable[[], None] = lambda: None,
        pause_s: Callable[[int], float] = pause_after,
        well_after_s: float = PAUSE_CAP_S,
    ) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._work = target
        self._on_failure, self._on_end = on_failure, on_end
        self._pause_s, self._well_after_s = pause_s, well_after_s
        self._ending = threading.Event()
        self._is_down = self._is_over = False
        self._logged = ""
        self.failures = 0  # since the start
        self.reason: str | None = None  # why it failed last

    @property
    def running(self) -> bool:
        """Whether its work is being done: it began, has not ended, and is not waiting to begin again."""
        return self.is_alive() and not self._is_down

    @property
    def is_restarting(self) -> bool:
        return self.is_alive() and self._is_down

    def let_end(self) -> None:
        """From any thread: a failure from now on is the end, and a pause after one is over."""
        self._ending.set()

    def has_ended(self, within_s: float) -> bool:
        """Wait for its end, at most so long; True for one that never began."""
        if self.ident is not None:
            self.join(within_s)
        return not self.is_alive()

    def state(self) -> dict[str, Any]:
        """`{"name", "running", "reason", "restarts"}`. `running` is also true before the
        start, and after the target has returned."""
        is_missed = self._is_down or (self.ident is not None and not self.is_alive() and not self._is_over)
        return {"name": self.name, "running": not is_missed, "reason": self.reason, "restarts": self.failures}

    def run(self) -> None:
        in_a_row = 0
        try:
            while True:
                began_s = time.monotonic()
                try:
                    self._work()
                except BaseException as error:  # noqa: BLE001 - whatever it is, a thread may not end unseen
                    in_a_row = 1 if time.monotonic() - began_s > self._well_after_s else in_a_row + 1
                    pause_s = self._pause_s(in_a_row)
                    self._failed(error, pause_s)
                else:
                    self._is_over = True
                    return
                if self._ending.wait(pause_s):
                    return
                self._is_down = False
        finally:
            self._on_end()

    def _failed(self, error: BaseException, pause_s: float) -> None:
        self._is_down = True
        self.failures += 1
        self.reason = f"{type(error).__name__}: {text_of(error)}"
        is_new = self.reason != self._logged
        self._logged = self.reason
        log.error(
            "the thread %s failed (%s), %d since the start; it is started again in %.1f s",
            self.name,
            self.reason,
            self.failures,
            pause_s,
            exc_info=error if is_new else None,
        )
        with contextlib.suppress(BaseException):  # clearing up may fail for the same reason
            self._on_failure(error)
