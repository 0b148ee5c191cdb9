"""What happens to an item after a failed attempt: a value, computed from the error, the attempts and jitter.

The error's scope decides. A fault of the server or the link costs the item nothing: it is released, and the breaker
does the waiting. The item's own fault spends an attempt; when none is left, or none would help, it is dead.
"""

from dataclasses import dataclass

from iris_communication.errors import IrisError, RemoteNameKept, Retry, Scope
from iris_communication.item import Event


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often an item is tried, and how long it waits in between: `min(cap, base * 2**n)` with full jitter."""

    attempts_max: int
    base_s: float
    cap_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    event: Event  # RELEASE, FAIL, GIVE_UP or DROP
    delay_s: float = 0.0  # of FAIL: how long the item waits before its next attempt


def back_off_s(failures: int, base_s: float, cap_s: float, jitter: float) -> float:
    """Full jitter over a capped exponential (`failures` from 1, `jitter` in [0, 1)), so that what failed together does
    not come back together. Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015."""
    return jitter * min(cap_s, base_s * 2.0 ** min(failures - 1, 32))


def after_failure(error: IrisError, attempts: int, retrying: Retrying, jitter: float) -> Decision:
    """`attempts` counts the failures before this one."""
    if isinstance(error, RemoteNameKept):
        return Decision(Event.DROP)
    if error.scope in (Scope.LINK, Scope.SERVER):
        return Decision(Event.RELEASE)
    if error.retry is not Retry.LATER or attempts + 1 >= retrying.attempts_max:
        return Decision(Event.GIVE_UP)
    return Decision(Event.FAIL, back_off_s(attempts + 1, retrying.base_s, retrying.cap_s, jitter))
