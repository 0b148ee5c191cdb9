"""A file under which the link breaks again and again, while others arrive.

Idea. What the link or the server does costs no file an attempt, and what failed goes first again. So a file that ends
every connection (its name crashes the server), or has no room on a disk where others have, would be the probe for
ever, and whatever waits behind it would wait for ever, too.

Rules.
- A file is suspected when the link broke, or the server's disk was full, while it alone was under way.
- Others go before a suspected file, and none goes together with it.
- Suspected once more, although others arrived in between, it is to blame for the link: that is an attempt of its own.
  A full disk never is: room may be made.
- A link that carries nothing blames nobody. Nor does one that had taken a good part of a large file: that goes on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from iris_communication.errors import Effect, IrisError, LinkError, RemoteDiskFull, RemoteFailure

PROGRESS_BYTES = 1024 * 1024  # acknowledged: so much is not sent again
SUSPECTS_MAX = 100  # the latest


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Of one server's files."""

    arrived: int = 0  # files so far
    suspects: Mapping[str, int] = field(default_factory=dict)  # item id -> how many had arrived by then; latest last


def after_arrival(suspicion: Suspicion, item_id: str) -> Suspicion:
    suspects = suspicion.suspects
    if item_id in suspects:
        suspects = {suspect: arrived for suspect, arrived in suspects.items() if suspect != item_id}
    return Suspicion(suspicion.arrived + 1, suspects)


def after_trouble(
    suspicion: Suspicion, item_id: str, error: IrisError, *, alone: bool
) -> tuple[Suspicion, RemoteFailure | None]:
    """`alone`: nothing else was under way from its beginning on. Besides: the error that is its own fault, or None."""
    if not alone or not _is_suspicious(error):
        return suspicion, None
    before = suspicion.suspects.get(item_id)
    others = {suspect: arrived for suspect, arrived in suspicion.suspects.items() if suspect != item_id}
    for oldest in list(others)[: max(0, len(others) + 1 - SUSPECTS_MAX)]:
        del others[oldest]
    suspicion = replace(suspicion, suspects={**others, item_id: suspicion.arrived})
    if before is None or before == suspicion.arrived or isinstance(error, RemoteDiskFull):
        return suspicion, None
    return suspicion, RemoteFailure(
        f"the link breaks whenever this file is sent, while others arrive: {error}",
        effect=error.effect,
        hint="look what the server says of its name or content; then send it under another name, or drop it",
    )


def _is_suspicious(error: IrisError) -> bool:
    if isinstance(error, LinkError):  # of one that could not be made, nothing was sent
        return error.effect is not Effect.NONE and error.acknowledged_bytes < PROGRESS_BYTES
    return isinstance(error, RemoteDiskFull)


def next_up(suspicion: Suspicion, waiting: Sequence[str], under_way: Collection[str]) -> int | None:
    """Which of `waiting` (item ids, in order) may begin beside those under way; None: none for now."""
    suspects = suspicion.suspects
    if any(item_id in suspects for item_id in under_way):
        return None
    free = next((place for place, item_id in enumerate(waiting) if item_id not in suspects), None)
    if free is not None or under_way or not waiting:
        return free
    longest_ago = next(suspect for suspect in suspects if suspect in waiting)
    return waiting.index(longest_ago)
