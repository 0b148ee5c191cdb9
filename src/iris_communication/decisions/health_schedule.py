"""When a server is looked at next: each on a schedule of its own, so that nobody is knocked at by all at once.

Rules.
- Work is the best check: while its answers come, a look that would only repeat them is put off. Work tells neither free
  space nor the other things a look tells, so it is put off a few times, not for ever.
- An open breaker says when the server may be asked again; a look is one way of asking, never an earlier one.
- HELD is not looked at: to knock with a refused password is what gets an address banned.
- Each wait is stretched or shortened by chance, by up to a tenth: what began together drifts apart, within one process
  and among all the plants that were switched on in the same minute.
"""

from dataclasses import dataclass

from iris_communication.decisions.breaker import Breaker, BreakerState

FIRST_WITHIN_S = 10.0  # a server is looked at for the first time, or sooner where its interval is shorter
JITTER = 0.1  # of the interval, each way
PUT_OFF_MAX = 5  # intervals since the last look, whatever work says


@dataclass(frozen=True, slots=True)
class HealthSchedule:
    """What the schedule of one server hangs on; all times monotonic."""

    known_s: float  # since when
    jitter: float  # in [0, 1), drawn anew for each look, so that the time of the next one stands still
    checked_s: float | None = None  # the last look ended
    answered_s: float | None = None  # work last had an answer


def next_check_s(checkup: HealthSchedule, interval_s: float, breaker: Breaker) -> float | None:
    """When the next look is due, monotonic and maybe past; None: not before something changes. `interval_s` 0: none is
    wanted."""
    if interval_s <= 0 or breaker.state in (BreakerState.HELD, BreakerState.HALF_OPEN):
        return None
    if checkup.checked_s is None:
        due_s = checkup.known_s + checkup.jitter * min(FIRST_WITHIN_S, interval_s)
    else:
        wait_s = interval_s * (1 - JITTER + 2 * JITTER * checkup.jitter)
        fresh_s = checkup.checked_s
        if checkup.answered_s is not None:
            latest_s = fresh_s + (PUT_OFF_MAX - 1) * interval_s
            fresh_s = max(fresh_s, min(checkup.answered_s, latest_s))
        due_s = fresh_s + wait_s
    return max(due_s, breaker.until_s) if breaker.state is BreakerState.OPEN else due_s
