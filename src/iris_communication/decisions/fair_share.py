"""Which waiting items of one server are sent next.

The highest priority is sent first, but no item waits for ever. The rules, each a share of the picks:
- While the highest waiting priority has items, all lower ones together get `lower_share`, by turns, so that each lower
  priority gets one in as many of those picks as there are lower priorities.
- Within a priority, retries that are due get at most every second pick while fresh items wait: a folder full of bad
  files never blocks the good ones after them.
- Of the fresh ones, files accepted after an outage get `new_share` while the backlog is sent: today's results need not
  wait for yesterday's.
- Within each of the lists the order is kept.

A share of a tenth cannot be given in a call for one item. So the remainder of each share is carried to the next call
in `FairShare`: ten calls for one item and one call for ten pick the same.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")  # what is picked: a file, or several that travel as one

ROUNDING = 1e-9  # ten tenths are one pick, although as floats they do not quite add up to one


@dataclass(frozen=True, slots=True)
class PriorityBacklog(Generic[T]):
    """The uploads of one priority that may be sent now, in three lists, each in order. No list needs more than the
    limit of the pick."""

    priority: int
    due: Sequence[T] = ()  # failed before, their wait is over
    old: Sequence[T] = ()  # fresh
    new: Sequence[T] = ()  # fresh, accepted after the end of the outage whose backlog `old` is


@dataclass(frozen=True, slots=True)
class PriorityTurn:
    """State of one priority: whether its latest pick was a retry, and the share that `new` has saved up, in picks."""

    retried: bool = False
    new: float = 0.0


@dataclass(frozen=True, slots=True)
class FairShare:
    """What the next pick needs to know of the earlier ones; the default is right after a restart."""

    lower: float = 0.0  # the share that the lower priorities have saved up, in picks
    last_lower: int | None = None  # the lower priority that was picked last
    backlogs: Mapping[int, PriorityTurn] = field(default_factory=dict)  # by priority, of those with waiting items


def pick(
    turns: FairShare, backlogs: Sequence[PriorityBacklog[T]], limit: int, lower_share: float, new_share: float
) -> tuple[list[T], FairShare]:
    """The next `limit` uploads (fewer only if fewer wait), in order, and the `turns` for the next call.

    `backlogs` has one entry for each priority, the highest first. Shares are from 0 (strictly the higher priority,
    strictly the backlog first) to 0.5.
    """
    assert all(higher.priority > lower.priority for higher, lower in pairwise(backlogs))
    waiting = [_Waiting(backlog, turns.backlogs.get(backlog.priority, PriorityTurn())) for backlog in backlogs]
    waiting = [backlog for backlog in waiting if backlog]
    kept = {backlog.priority: backlog for backlog in waiting}
    lower, last_lower = turns.lower, turns.last_lower
    picked: list[T] = []
    while waiting and len(picked) < limit:
        backlog = waiting[0]
        if len(waiting) > 1:
            lower, is_lower = _share(lower, lower_share)
            if is_lower:
                backlog = _next_lower(waiting[1:], last_lower)
                last_lower = backlog.priority
        picked.append(backlog.take(new_share))
        if not backlog:
            waiting.remove(backlog)
    return picked, FairShare(lower, last_lower, {priority: backlog.turn for priority, backlog in kept.items()})


def _share(saved: float, share: float) -> tuple[float, bool]:
    """Of one pick: the saved share after it, and whether the pick is taken from that share."""
    saved += share
    return (max(0.0, saved - 1.0), True) if saved >= 1.0 - ROUNDING else (saved, False)


def _next_lower(lower: "Sequence[_Waiting[T]]", last: int | None) -> "_Waiting[T]":
    """The next lower priority after `last`; after the lowest the highest of them again."""
    return next((backlog for backlog in lower if last is not None and backlog.priority < last), lower[0])


class _Waiting(Generic[T]):
    """One priority's lists while a pick is made."""

    def __init__(self, backlog: PriorityBacklog[T], turn: PriorityTurn) -> None:
        self.priority = backlog.priority
        self.turn = turn
        self._due, self._old, self._new = deque(backlog.due), deque(backlog.old), deque(backlog.new)

    def __bool__(self) -> bool:
        return bool(self._due or self._old or self._new)

    def take(self, new_share: float) -> T:
        fresh = bool(self._old or self._new)
        if self._due and not (fresh and self.turn.retried):
            self.turn = replace(self.turn, retried=True)
            return self._due.popleft()
        saved, is_new = self.turn.new, not self._old
        if self._old and self._new:
            saved, is_new = _share(saved, new_share)
        self.turn = PriorityTurn(retried=False, new=saved)
        return (self._new if is_new else self._old).popleft()
