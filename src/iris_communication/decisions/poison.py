"""Finds a poison file: the link breaks each time it is sent, while others arrive.

Idea. A fault of the link or the server costs a file no attempt, and the failed file is sent first again. So a file that
ends every connection (its name crashes the server), or that does not fit on a disk where others fit, would be the probe
for ever, and every file after it would wait for ever, too.

Rules.
- A file is suspected when the link broke, or the server's disk was full, while only this file was under way.
- Others are sent before a suspected file, and none is under way beside it.
- A file suspected more than TIMES_MAX times, with arrivals of others each time in between, is to blame for the link:
  from then on each time costs it an attempt. Not sooner, because an unreliable link breaks most under large files. A
  full disk never costs an attempt: room may be made.
- A link that could not be made puts no file under suspicion. Nor does one that broke after a good part of a large file:
  the next attempt continues that file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from iris_communication.errors import Effect, IrisError, LinkError, RemoteDiskFull, RemoteFailure

PROGRESS_BYTES = 1024 * 1024  # acknowledged: from here on the next attempt continues instead of starting again
TIMES_MAX = 8  # a file was suspected, before it is to blame
SUSPECTS_MAX = 100  # only the latest are kept


class Suspect(NamedTuple):
    times: int  # suspected, with arrivals of others in between
    arrived: int  # files that had arrived when it was suspected last


@dataclass(frozen=True, slots=True)
class PoisonWatch:
    """The suspected files of one server."""

    arrived: int = 0  # files that arrived so far
    suspects: Mapping[str, Suspect] = field(default_factory=dict)  # by item id, the latest last


def after_arrival(poison_watch: PoisonWatch, item_id: str) -> PoisonWatch:
    suspects = poison_watch.suspects
    if item_id in suspects:
        suspects = {suspect_id: suspect for suspect_id, suspect in suspects.items() if suspect_id != item_id}
    return PoisonWatch(poison_watch.arrived + 1, suspects)


def after_trouble(
    poison_watch: PoisonWatch, item_id: str, error: IrisError, *, alone: bool
) -> tuple[PoisonWatch, RemoteFailure | None]:
    """`alone`: nothing else was under way since it began. Also returned: the error when it is the file's own fault."""
    if not alone or not _is_suspicious(error):
        return poison_watch, None
    suspects = dict(poison_watch.suspects)
    before = suspects.pop(item_id, Suspect(0, -1))
    has_news = poison_watch.arrived > before.arrived
    suspects[item_id] = Suspect(before.times + has_news, poison_watch.arrived)
    if len(suspects) > SUSPECTS_MAX:
        del suspects[next(iter(suspects))]
    poison_watch = replace(poison_watch, suspects=suspects)
    if not has_news or before.times < TIMES_MAX or isinstance(error, RemoteDiskFull):
        return poison_watch, None
    return poison_watch, RemoteFailure(
        f"the link breaks whenever this file is sent, while others arrive: {error}",
        effect=error.effect,
        hint="check why the server rejects its name or content; then send it under another name, or drop it",
    )


def _is_suspicious(error: IrisError) -> bool:
    if isinstance(error, LinkError):  # over a link that could not be made nothing was sent
        return error.effect is not Effect.NONE and error.acknowledged_bytes < PROGRESS_BYTES
    return isinstance(error, RemoteDiskFull)


def next_up(poison_watch: PoisonWatch, waiting: Sequence[str], under_way: Collection[str]) -> int | None:
    """The index in `waiting` (item ids, in order) of the one that may begin beside those under way; None: none now."""
    suspects = poison_watch.suspects
    if any(item_id in suspects for item_id in under_way):
        return None
    free = next((place for place, item_id in enumerate(waiting) if item_id not in suspects), None)
    if free is not None or under_way or not waiting:
        return free
    longest_ago = next(suspect for suspect in suspects if suspect in waiting)
    return waiting.index(longest_ago)
