"""Trouble that lasts is logged when it begins, when it changes, now and then with its count, and when it is over."""

import logging
import time
from collections.abc import Callable

from iris_communication.runtime.repeats import Repeats

LOGGED_EVERY_S = 600.0  # a disk may be full for days


class Trouble:
    """What is wrong at present, by its kind; logged to `log`. Belongs to one thread."""

    def __init__(self, log: logging.Logger, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._repeats = Repeats(log, monotonic_s, every_s=LOGGED_EVERY_S)
        self._text: dict[str, set[str]] = {}  # the lines of each kind since it began

    def begins(self, what: str, text: str, *, traceback: bool = False) -> None:
        """`what` is the kind, `text` the line of the log."""
        self._text.setdefault(what, set()).add(text)
        self._repeats.log((what, text), logging.ERROR, "%s", text, exc_info=traceback)

    def is_over(self, what: str, text: str = "") -> None:
        """`text`, if any, is logged when there was such trouble."""
        since = self._text.pop(what, set())
        if text:
            self._repeats.over([(what, each) for each in since], "%s", text)
