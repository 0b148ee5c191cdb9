"""Whether a camera is online, as shown to people: a pure function of what happens to it, without a clock of its own.

A camera is online at once, and offline only when the loss lasts. A picture makes a camera online. A connection that
stays lost for `offline_after_s` is `offline`; a shorter loss is no event (it is counted elsewhere). A connection
without pictures is `stalled` after `stalled_after_s`. The end of a source, and closing it, take effect at once:
`disabled` when all is well, because no more pictures are expected.

All times are on one monotonic clock, in seconds.
"""

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["online", "stalled", "offline", "disabled"]


@dataclass(frozen=True, slots=True)
class CameraLimits:
    """`stalled_after_s` is None for a source from which no picture is due: a file, a folder."""

    offline_after_s: float
    stalled_after_s: float | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """The latest picture came at `at_s`; also used when a file or folder was opened."""

    at_s: float


@dataclass(frozen=True, slots=True)
class CameraLost:
    """The camera cannot be opened, or gives no more; it is tried again."""

    reason: str


THE_END = "it has come to its end"


@dataclass(frozen=True, slots=True)
class Ended:
    """A finite source came to its end; `trouble` is a sentence when it ended early or damaged."""

    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """Iris itself ended it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Only time has passed."""


Happening = Pictures | CameraLost | Ended | Closed | Looked


@dataclass(frozen=True, slots=True)
class CameraState:
    """`state`, `reason` and `since_s` are shown; `reported` is whether the state was an event yet, which the one before
    the first opening never is. `lost_since_s` is None while connected."""

    state: State
    reason: str | None
    since_s: float
    reported: bool
    lost_since_s: float | None
    lost_reason: str | None = None
    picture_s: float | None = None


def first_state(now_s: float) -> CameraState:
    """Of a camera that nobody has opened yet."""
    return CameraState("offline", "it is being opened", now_s, reported=False, lost_since_s=now_s)


def after(before: CameraState, happening: Happening, limits: CameraLimits, now_s: float) -> tuple[CameraState, bool]:
    """The state after something happened, and whether that is an event to report."""
    if before.state == "disabled":
        return before, False
    match happening:
        case Closed():
            return _changed(before, "disabled", None, now_s)
        case Ended(None):
            return _changed(before, "disabled", THE_END, now_s)
        case Ended(trouble):
            return _changed(replace(before, lost_since_s=now_s, lost_reason=trouble), "offline", trouble, now_s)
        case Pictures(at_s):
            before = replace(before, lost_since_s=None, lost_reason=None, picture_s=at_s)
        case CameraLost(reason):
            since_s = now_s if before.lost_since_s is None else before.lost_since_s
            before = replace(before, lost_since_s=since_s, lost_reason=reason)
        case Looked():
            pass
    return _by_time(before, limits, now_s)


def _by_time(now: CameraState, limits: CameraLimits, now_s: float) -> tuple[CameraState, bool]:
    if now.lost_since_s is not None:
        if now.lost_reason is not None and now_s - now.lost_since_s >= limits.offline_after_s:
            return _changed(now, "offline", now.lost_reason, now_s)
        return now, False
    age_s = 0.0 if now.picture_s is None else now_s - now.picture_s
    if limits.stalled_after_s is not None and age_s > limits.stalled_after_s:
        return _changed(now, "stalled", f"no picture for more than {limits.stalled_after_s:g} s", now_s)
    return _changed(now, "online", None, now_s)


def _changed(before: CameraState, state: State, reason: str | None, now_s: float) -> tuple[CameraState, bool]:
    """A new state is an event; a new reason for the same state is shown, and is no event."""
    if state == before.state and before.reported:
        return replace(before, reason=reason), False
    return replace(before, state=state, reason=reason, since_s=now_s, reported=True), True
