"""Shutdown in order, in bounded time, each step logged.

A supervisor kills a process that does not stop in time (container runtimes wait ten seconds, systemd ninety), so the
shutdown has one budget as a whole, and what cannot be done within it is left for the next start. The rules:
- The steps run one after another in a fixed order; one that fails does not stop the others.
- A step has its own limit, and never more than what is left of the whole. It runs in a thread of its own: a call that
  hangs in the operating system (an fsync on a dead disk) is abandoned, the next step begins, and the process ends.
- A step that keeps to its limit may return just as it runs out, so it gets a moment more before it is abandoned.
- The log says what a step still waits for, and for how long at most.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

log = logging.getLogger(__name__)

LAST_MOMENT_S = 0.25
TOTAL_S = 25.0
TELL_EVERY_S = 2.0


class Step(NamedTuple):
    """One thing to end. `action` is given the seconds it may take; `progress` says what it still waits for."""

    text: str
    limit_s: float
    action: Callable[[float], object]
    progress: Callable[[], str] | None = None


class Taken(NamedTuple):
    """How a step went: `ended` is false when it was abandoned or failed."""

    text: str
    seconds: float
    ended: bool


def carry_out(
    steps: Sequence[Step], *, total_s: float = TOTAL_S, monotonic: Callable[[], float] = time.monotonic
) -> list[Taken]:
    """Run the steps in order; returns after `total_s` at the latest, however they behave."""
    deadline_s = monotonic() + total_s
    taken = []
    for number, step in enumerate(steps, 1):
        began_s = monotonic()
        limit_s = max(0.0, min(step.limit_s, deadline_s - began_s - LAST_MOMENT_S))
        log.info("stopping, %d of %d: %s (%.1f s at most)", number, len(steps), step.text, limit_s)
        ended = _within(step, limit_s, monotonic)
        taken.append(Taken(step.text, monotonic() - began_s, ended))
    return taken


def _within(step: Step, limit_s: float, monotonic: Callable[[], float]) -> bool:
    failed = threading.Event()

    def act() -> None:
        try:
            step.action(limit_s)
        except Exception:
            failed.set()
            log.exception("stopping: %s failed; the other steps go on", step.text)

    thread = threading.Thread(target=act, name="iris-stopping", daemon=True)
    began_s = monotonic()
    thread.start()
    while thread.is_alive() and (left_s := began_s + limit_s - monotonic()) > 0:
        thread.join(min(left_s, TELL_EVERY_S))
        if thread.is_alive() and step.progress is not None and monotonic() - began_s < limit_s:
            log.info("stopping: %s; %s", step.text, step.progress())
    thread.join(LAST_MOMENT_S if limit_s else 0.0)
    if thread.is_alive():
        log.warning("stopping: not finished within %.1f s, and abandoned: %s", limit_s, step.text)
        return False
    return not failed.is_set()
