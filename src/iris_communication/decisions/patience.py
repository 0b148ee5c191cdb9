"""How long the uploader waits for an answer, and what follows when none came in time.

Idea. A deadline is there to notice a dead link. Where the transport keeps the link alive (both do), keep-alive ends a
dead link; so a server whose link stands is slow, not dead: a virus scanner, a hook or a remote disk delays it. To give
up means to send the whole file again, and to wait as long again.

Rules.
- Without keep-alive the deadline is `progress_timeout_s`.
- With it the deadline is SLOW_TIMES as long, and at least twice the longest wait that this server ended with an answer.
- The step of a file that timed out is remembered: for the same step the next attempt waits twice as long, and from the
  third time on the error's hint names the step and the setting.
"""

from typing import NamedTuple

SLOW_TIMES = 10
DOUBLINGS_MAX = 5
NAMED_TIMES = 3


class Overdue(NamedTuple):
    """A request that was not answered in time: `step` is its kind, `times` how often in a row, for this file."""

    step: str
    times: int


def deadline_s(progress_timeout_s: float, slowest_s: float, times: int, *, keeps_alive: bool) -> float:
    """`slowest_s`: the longest wait that this server ended with an answer. `times`: see `Overdue`, of this file."""
    if not keeps_alive:
        return progress_timeout_s
    return max(SLOW_TIMES * progress_timeout_s, 2 * slowest_s) * 2.0 ** min(times, DOUBLINGS_MAX)


def after_timeout(before: Overdue | None, step: str) -> Overdue:
    return Overdue(step, before.times + 1 if before is not None and before.step == step else 1)


def hint(overdue: Overdue, progress_timeout_s: float) -> str | None:
    """The hint for the error; None: its own hint stays."""
    if overdue.times < NAMED_TIMES:
        return None
    return (
        f"its {overdue.step} was not answered in time {overdue.times} times in a row: find out what holds the server "
        f"up, or raise progress_timeout_s (now {progress_timeout_s:g})"
    )
