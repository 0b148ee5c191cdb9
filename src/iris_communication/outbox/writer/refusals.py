"""Logs the files that the outbox refuses: each reason once, then its count, then that it is over."""

import logging
from collections.abc import Callable, Iterable

from iris_communication.errors import IrisError, OutboxFull
from iris_communication.plain_text import ERROR_TEXT_MAX, clean
from iris_communication.runtime.repeats import Repeats

LOGGED_EVERY_S = 10.0


class QueueRefusals:
    """For any thread; logs to its owner's logger."""

    def __init__(self, log: logging.Logger, monotonic_s: Callable[[], float]) -> None:
        self._repeats = Repeats(log, monotonic_s, every_s=LOGGED_EVERY_S, per_file=True)

    def record(self, paths: Iterable[object], outcomes: Iterable[object]) -> None:
        """`paths` as the caller gave them, and the outcome of each."""
        for path, outcome in zip(paths, outcomes, strict=True):
            if not isinstance(outcome, IrisError):
                self._repeats.over([OutboxFull], "the upload queue has room again")
                continue
            name = clean(str(path), ERROR_TEXT_MAX)
            if isinstance(outcome, OutboxFull):
                text = "Upload queue is full, dropping request: %s stays where it is; %s"
                self._repeats.log(OutboxFull, logging.WARNING, text, name, outcome)
            else:
                text = "%s is not accepted: %s. %s"
                self._repeats.log(outcome.cause, logging.ERROR, text, name, outcome, outcome.hint)
