"""One breaker a server: closed while it answers, open while it does not, half open for the one probe that finds out.

The rules:
- Any number of items that fail in one collapse count as one failure: only a closed or half-open breaker can fail.
- Open, it lets nothing through until `until_s`; each failed probe doubles the wait up to the cap, with full jitter
  over the upper half so that a whole plant coming back does not knock at once, and a wait is never nearly nothing.
- HELD is open without an end: an error that only a person can mend (a wrong password, a changed host key) is never
  tried again by itself, because trying is what gets an address banned. New facts about the server release it.
"""

from dataclasses import dataclass, replace
from enum import Enum

from iris_communication.decisions.retry import back_off_s
from iris_communication.errors import IrisError, Retry
from iris_communication.settings import DeliverySettings


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Breaker:
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0  # in a row
    until_s: float = 0.0  # monotonic; of OPEN
    error: IrisError | None = None  # what opened it


def allowance(breaker: Breaker, slots: int, now_s: float) -> int:
    """How many items may be under way at once: all slots, one probe, or none."""
    if breaker.state is BreakerState.CLOSED:
        return slots
    if breaker.state is BreakerState.HALF_OPEN or (breaker.state is BreakerState.OPEN and now_s >= breaker.until_s):
        return 1
    return 0


def on_start(breaker: Breaker, now_s: float) -> Breaker:
    """An item goes out: through an open breaker whose time has come it goes as the probe."""
    if breaker.state is BreakerState.OPEN and now_s >= breaker.until_s:
        return replace(breaker, state=BreakerState.HALF_OPEN)
    return breaker


def on_answer(breaker: Breaker) -> Breaker:
    """The server did its part, whether or not the item had luck."""
    return breaker if breaker == Breaker() else Breaker()


def on_failure(breaker: Breaker, error: IrisError, settings: DeliverySettings, luck: float, now_s: float) -> Breaker:
    """The server or the link failed."""
    if breaker.state in (BreakerState.OPEN, BreakerState.HELD):
        return breaker
    failures = breaker.failures + 1
    if error.retry is Retry.AFTER_OPERATOR:
        return Breaker(BreakerState.HELD, failures, error=error)
    wait_s = back_off_s(failures, settings.breaker_base_s, settings.breaker_cap_s, 0.5 + luck / 2)
    return Breaker(BreakerState.OPEN, failures, now_s + wait_s, error)


def on_release(breaker: Breaker) -> Breaker:
    """A probe ended without an answer for a reason of ours (stop): the next one may go at once."""
    return replace(breaker, state=BreakerState.OPEN) if breaker.state is BreakerState.HALF_OPEN else breaker
