"""When a server's next health check is due: a separate schedule for each, so that checks are spread over time.

Rules.
- Uploads are the best check: while the server answers them, a health check that would only repeat that is put off.
  Uploads report neither free space nor the other facts of a health check, so it is put off a few times, not for ever.
- An open breaker says when the server may be asked again; a health check is never earlier than that.
- A held breaker gets no health check: connecting with a refused password gets an address banned.
- Each wait is longer or shorter by jitter of up to a tenth: checks that began together drift apart, within one process
  and among all the plants that were switched on in the same minute.
"""

from dataclasses import dataclass

from iris_communication.decisions.breaker import Breaker, BreakerState

FIRST_WITHIN_S = 10.0  # the first health check of a server, or sooner where its interval is shorter
JITTER = 0.1  # of the interval, each way
PUT_OFF_MAX = 5  # intervals since the last health check, however often uploads were answered


@dataclass(frozen=True, slots=True)
class HealthSchedule:
    """What the schedule of one server depends on; all times monotonic."""

    known_s: float  # since when the server is known
    jitter: float  # in [0, 1), drawn anew for each health check, so that the time of the next one does not move
    checked_s: float | None = None  # when the last health check ended
    answered_s: float | None = None  # when the server last answered an upload


def next_check_s(schedule: HealthSchedule, interval_s: float, breaker: Breaker) -> float | None:
    """When the next health check is due, monotonic and maybe past; None: not before something changes. `interval_s` 0:
    none is wanted."""
    if interval_s <= 0 or breaker.state in (BreakerState.HELD, BreakerState.HALF_OPEN):
        return None
    if schedule.checked_s is None:
        due_s = schedule.known_s + schedule.jitter * min(FIRST_WITHIN_S, interval_s)
    else:
        wait_s = interval_s * (1 - JITTER + 2 * JITTER * schedule.jitter)
        fresh_s = schedule.checked_s
        if schedule.answered_s is not None:
            latest_s = fresh_s + (PUT_OFF_MAX - 1) * interval_s
            fresh_s = max(fresh_s, min(schedule.answered_s, latest_s))
        due_s = fresh_s + wait_s
    return max(due_s, breaker.until_s) if breaker.state is BreakerState.OPEN else due_s
