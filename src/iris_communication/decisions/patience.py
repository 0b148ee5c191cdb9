"""How long an answer is waited for, and what is made of one that did not come.

Idea. A deadline is there to notice what is gone. Where the transport keeps the link alive (both do), one that is gone
ends by itself; so a server whose link stands is slow, not dead: a virus scanner, a hook or a far disk holds it up. To
give it up means to send the whole file again, and to wait as long again.

Rules.
- Without keep-alive an answer is waited for as long as `progress_timeout_s` says.
- With it, for so many times as long, and for twice the longest wait that this server has ended with an answer.
- The step of a file that was given up is remembered: for the same one the next attempt waits twice as long, and from
  the third time on it is named, with the setting.
"""

from typing import NamedTuple

SLOW_TIMES = 10
DOUBLINGS_MAX = 5
NAMED_TIMES = 3


class Overdue(NamedTuple):
    """A request that was not answered in time: `step` is its kind, `times` how often in a row for this file."""

    step: str
    times: int


def deadline_s(progress_timeout_s: float, slowest_s: float, times: int, *, keeps_alive: bool) -> float:
    """`slowest_s`: the longest that this server was waited for and answered. `times`: of the file under way."""
    if not keeps_alive:
        return progress_timeout_s
    return max(SLOW_TIMES * progress_timeout_s, 2 * slowest_s) * 2.0 ** min(times, DOUBLINGS_MAX)


def after_timeout(before: Overdue | None, step: str) -> Overdue:
    return Overdue(step, before.times + 1 if before is not None and before.step == step else 1)


def hint(overdue: Overdue, progress_timeout_s: float) -> str | None:
    """None: that of the error itself will do."""
    if overdue.times < NAMED_TIMES:
        return None
    return (
        f"its {overdue.step} was not answered in time {overdue.times} times in a row: find out what holds the server "
        f"up, or raise progress_timeout_s (now {progress_timeout_s:g})"
    )
