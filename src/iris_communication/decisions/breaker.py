"""One breaker for each server: closed while it answers, open while it does not, half open for the probe that finds out.

The rules:
- Any number of items that fail at the same time count as one failure: only a closed or half-open breaker can fail.
- Open, it lets nothing through until `until_s`; each failed probe doubles the wait up to the cap, with full jitter
  over the upper half, so that the clients of a whole plant do not reconnect at the same time, and a wait is never
  nearly zero.
- HELD is open without an end: the worker never retries an error that only a person can mend (a wrong password, a
  changed host key), because retrying gets an address banned. New facts about the server release the breaker.
- A health check passes the breaker like an item: `allowance` says whether it may, `on_start` records that it does; its
  answer closes the breaker, its failure opens it.

The breaker outlives the process, because a process that crashes and restarts every half second would otherwise connect
as often. So the result of `kept` is stored whenever the breaker changes, also before a connection is made. A connection
whose outcome was never stored counts as failed, and the wait then begins at that connection and not at the start, so
that frequent starts neither hasten nor delay the next one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

from iris_communication.decisions.attempt import failure
from iris_communication.decisions.retry import back_off_s
from iris_communication.errors import IrisError, LinkLost, Retry
from iris_communication.item import Failure
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
    until_s: float = 0.0  # monotonic; OPEN: the earliest probe; while it connects: since when
    failure: Failure | None = None  # what opened it
    connecting: bool = False  # while CLOSED: a connection is being made, without an answer so far


class Restored(NamedTuple):
    breaker: Breaker
    warning: str = ""  # why the facts could not be used


def allowance(breaker: Breaker, slots: int, now_s: float) -> int:
    """How many uploads may be under way at once: all slots, one probe, or none."""
    if breaker.state is BreakerState.CLOSED:
        return slots
    if breaker.state is BreakerState.HALF_OPEN or (breaker.state is BreakerState.OPEN and now_s >= breaker.until_s):
        return 1
    return 0


def on_start(breaker: Breaker, now_s: float, *, connects: bool = False) -> Breaker:
    """An item is sent: as the probe, where the breaker is open and its wait is over. `connects`: it has to make the
    connection first, which is recorded even for a server that has never failed."""
    if breaker.state is BreakerState.OPEN and now_s >= breaker.until_s:
        return replace(breaker, state=BreakerState.HALF_OPEN, until_s=now_s)
    if breaker.state is BreakerState.CLOSED and connects and not breaker.connecting:
        return replace(breaker, connecting=True, until_s=now_s)
    return breaker


def on_answer(breaker: Breaker) -> Breaker:
    """The server answered, whether or not the item arrived."""
    return breaker if breaker == Breaker() else Breaker()


def on_failure(breaker: Breaker, error: IrisError, settings: DeliverySettings, jitter: float, now_s: float) -> Breaker:
    """The server or the link failed."""
    if breaker.state in (BreakerState.OPEN, BreakerState.HELD):
        return breaker
    failures, failed = breaker.failures + 1, failure(error)
    if error.retry is Retry.AFTER_OPERATOR:
        return Breaker(BreakerState.HELD, failures, failure=failed)
    return Breaker(BreakerState.OPEN, failures, now_s + _wait_s(failures, settings, jitter), failed)


def on_release(breaker: Breaker) -> Breaker:
    """Connecting ended without an answer for our own reason (stop): the next attempt may begin at once."""
    if breaker.state is BreakerState.HALF_OPEN:
        return replace(breaker, state=BreakerState.OPEN)
    return Breaker() if breaker.connecting else breaker


def kept(breaker: Breaker, now_s: float, boot: tuple[str, float]) -> dict[str, Any]:
    """The breaker for the disk, as JSON values; empty when there is nothing to store. `boot` is the boot's id and the
    seconds since it."""
    if breaker == Breaker():
        return {}
    boot_id, boot_s = boot
    return {
        "state": (BreakerState.HALF_OPEN if breaker.connecting else breaker.state).value,
        "failures": breaker.failures,
        "boot_id": boot_id,
        "until_boot_s": boot_s + (breaker.until_s - now_s),
        "failure": breaker.failure and [breaker.failure.error, breaker.failure.message, breaker.failure.hint],
    }


def restored(
    facts: Mapping[str, Any] | None, now_s: float, boot: tuple[str, float], settings: DeliverySettings, jitter: float
) -> Restored:
    """The breaker after a restart, from what `kept` returned. OPEN waits for the rest of its time; after a reboot,
    which ends the clock of the stored time, for a whole wait. An unanswered connection counts as a failure."""
    if not facts:
        return Restored(Breaker())
    try:
        state, failures, until_boot_s, failure = _read(facts)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Restored(
            Breaker(), f"the stored state of its breaker is unreadable ({error!r}), so the breaker starts closed"
        )
    if state is BreakerState.HELD:
        return Restored(Breaker(state, failures, failure=failure))
    boot_id, boot_s = boot
    left_s = until_boot_s - boot_s
    if state is BreakerState.HALF_OPEN:
        failures += 1
        left_s += _wait_s(failures, settings, jitter)
    if facts.get("boot_id") != boot_id:
        left_s = _wait_s(failures, settings, jitter)
    left_s = min(max(0.0, left_s), settings.breaker_cap_s)
    return Restored(Breaker(BreakerState.OPEN, failures, now_s + left_s, failure))


def _read(facts: Mapping[str, Any]) -> tuple[BreakerState, int, float, Failure]:
    """Raises KeyError, TypeError, ValueError, OverflowError for facts that are not a breaker's."""
    state, failures, until_boot_s = BreakerState(facts["state"]), facts["failures"], float(facts["until_boot_s"])
    if not (isinstance(failures, int) and failures >= 0 and math.isfinite(until_boot_s)):
        raise ValueError(f"{failures!r} failures until {until_boot_s} s")
    if state is BreakerState.CLOSED or (facts["failure"] is None and state is not BreakerState.HALF_OPEN):
        raise ValueError(f"{state.value} without a reason")
    if facts["failure"] is None:
        return state, failures, until_boot_s, failure(LinkLost("the program ended before the server had answered"))
    error, message, hint = facts["failure"]
    return state, failures, until_boot_s, Failure(str(error), str(message), str(hint))


def _wait_s(failures: int, settings: DeliverySettings, jitter: float) -> float:
    return back_off_s(failures, settings.breaker_base_s, settings.breaker_cap_s, 0.5 + jitter / 2)
