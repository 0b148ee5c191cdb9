"""May one more file be accepted? Only the writer asks, so two callers cannot both take the last place.

Three limits: how many items wait or are in flight; how many bytes the spool holds, those of dead items included, which
lie on the same disk; and how much of the disk always stays free. A full outbox refuses the new file, and its caller is
answered at once, unless the operator chose that waiting items are dropped for it. Then:
- No item of a higher priority than the new file's is ever dropped for it.
- No item is dropped in vain: where dropping cannot make the room, or not enough may be dropped, the new file is refused
  and every waiting item stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from iris_communication.errors import OutboxFull
from iris_communication.item import Item, State
from iris_communication.runtime.amounts import files, size
from iris_communication.settings import Limits


@dataclass(frozen=True, slots=True)
class Usage:
    items: int  # waiting and in flight; the dead do not count
    size_bytes: int  # of everything in the spool, dead items too
    free_bytes: int | None  # on the outbox's disk, for this user; None: unknown, then the reserve is not checked


@dataclass(frozen=True, slots=True)
class Admit:
    """There is room."""


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """There is room once at least so many items and so many bytes have gone; `why` and `hint` are the refusal's texts
    for when they cannot go."""

    items: int
    size_bytes: int
    why: str
    hint: str


def admission(usage: Usage, size_bytes: int, items_max: int, limits: Limits) -> Admit | MakeRoom:
    """May a file of `size_bytes` come in? Raises OutboxFull, naming the limit, when it may not and nothing is to be
    dropped for it, or dropping cannot help."""
    items_over = max(0, usage.items + 1 - items_max)
    spool_over = 0 if limits.bytes_max is None else max(0, usage.size_bytes + size_bytes - limits.bytes_max)
    disk_over = 0
    if usage.free_bytes is not None and limits.disk_reserve_bytes > 0:
        disk_over = max(0, limits.disk_reserve_bytes + size_bytes - usage.free_bytes)
    if not (items_over or spool_over or disk_over):
        return Admit()
    why, hint = _refusal(usage, size_bytes, items_max, limits, disk_over, spool_over)
    over = max(spool_over, disk_over)
    if limits.when_full == "reject" or over > usage.size_bytes:
        raise OutboxFull(why, hint=hint)
    return MakeRoom(items_over, over, why, hint)


def _refusal(
    usage: Usage, size_bytes: int, items_max: int, limits: Limits, disk_over: int, spool_over: int
) -> tuple[str, str]:
    """What is full and what to do: of several limits the one that dropping and delivering help least."""
    if disk_over:
        reserve = f"{size(usage.free_bytes or 0)} free and a reserve of {size(limits.disk_reserve_bytes)}"
        hint = "free space on the outbox's disk or lower disk_reserve_bytes, then queue the file again"
        return f"the outbox's disk has {reserve}; the file has {size(size_bytes)}", hint
    if spool_over:
        held = f"{size(usage.size_bytes)} of at most {size(limits.bytes_max or 0)}"
        why = f"the outbox holds {held}; the file has {size(size_bytes)}"
        return why, "offer the file again when there is room, retry or drop dead files, or raise bytes_max"
    return f"the outbox holds {usage.items:,} of at most {files(items_max)}", OutboxFull.default_hint


def victims(candidates: Iterable[Item], room: MakeRoom, priority: int) -> list[Item]:
    """Which waiting items are dropped for a new file of `priority`; just as many as `room` needs.

    `candidates` come in the order of dropping: for drop_oldest by `sequence`, for drop_lowest by `priority`, then
    `sequence`; no more of them is read than needed. Raises OutboxFull when they do not suffice; then none is dropped.
    """
    items, size_bytes = room.items, room.size_bytes
    going: list[Item] = []
    for item in candidates:
        if items <= 0 and size_bytes <= 0:
            return going
        held = item.held_bytes
        if item.state is State.WAITING and item.priority <= priority and (items > 0 or held > 0):
            going.append(item)
            items, size_bytes = items - 1, size_bytes - held
    if items <= 0 and size_bytes <= 0:
        return going
    raise OutboxFull(f"{room.why}; dropping waiting files would not make enough room", hint=room.hint)
