"""Hands out the next uploads: each under a new token, stored before anything is sent.

The first claim also writes into an item's row when the item was durable: by then the commit of its acceptance has
returned. The item's sequence shows which commit that was, so nothing has to be kept for each item.
"""

from bisect import bisect_left
from dataclasses import replace

from iris_communication.clock import Clock
from iris_communication.decisions import attempt
from iris_communication.item import Item, Upload
from iris_communication.outbox.store.contract import Store, Update
from iris_communication.outbox.writer.batching import Members, archive_of, batch_id, unbatched
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.held_bytes import CLAIM_BYTES_MAX, HeldBytes
from iris_communication.outbox.writer.messages import Claim
from iris_communication.outbox.writer.next_up import NextUp
from iris_communication.outbox.writer.tokens import Tokens
from iris_communication.settings import DeliverySettings

CLAIM_MAX_ON_A_FULL_DISK = 8  # small commits then: each needs room before its deliveries free any
COMMITS_KEPT = 4096  # an item from before the oldest of these was durable when that one returned, at the latest


def _bounded(uploads: list[Members]) -> list[Members]:
    """The first of them whose contents are read with the claim within its bound; an archive's are read later."""
    size_bytes = 0
    for count, members in enumerate(uploads):
        size_bytes += members[0].held_bytes if len(members) == 1 and members[0].in_store else 0
        if count and size_bytes > CLAIM_BYTES_MAX:
            return uploads[:count]
    return uploads


class Claiming:
    def __init__(self, settings: DeliverySettings, tokens: Tokens, clock: Clock, held: HeldBytes) -> None:
        self.held = held
        self._next_up = NextUp(settings)
        self._tokens = tokens
        self._clock = clock
        self._committed: list[tuple[int, float]] = []  # (last sequence, wall time), both ascending

    def committed(self, last_sequence: int) -> None:
        """Record that everything up to `last_sequence` is durable now."""
        if not self._committed or self._committed[-1][0] < last_sequence:
            self._committed.append((last_sequence, self._clock.wall_s()))
            if len(self._committed) > 2 * COMMITS_KEPT:
                del self._committed[:COMMITS_KEPT]

    def prepare(self, store: Store, claim: Claim, group: CommitGroup, *, full: bool) -> list[Upload]:
        """The uploads to hand out once the group is committed. Raises OutboxStorageError."""
        if full:  # there is no room for an archive either
            claim = replace(claim, limit=min(claim.limit, CLAIM_MAX_ON_A_FULL_DISK), archives=None)
        now = (self._clock.wall_s(), self._clock.boot_s())
        found = _bounded(self._next_up.uploads(store, claim, claim.limit, now, group))
        return [self._claimed(members, group) for members in found]

    def _claimed(self, members: Members, group: CommitGroup) -> Upload:
        token, first = self._tokens(), members[0]
        if len(members) == 1:
            return self._claimed_item(first, unbatched(first) if first.batch_id else first, token, group)
        name = first.batch_id or batch_id(self._clock.wall_s(), token, len(members))
        return archive_of(
            tuple(self._claimed_item(item, replace(item, batch_id=name), token, group) for item in members)
        )

    def _claimed_item(self, before: Item, item: Item, token: str, group: CommitGroup) -> Item:
        """`before` is the item as stored, `item` the same as a member of its archive, or of none."""
        item = replace(attempt.claimed(item, token), durable_s=self._durable_s(item))
        group.add(Update(item, before))
        return item

    def _durable_s(self, item: Item) -> float | None:
        if item.durable_s is not None:
            return item.durable_s
        index = bisect_left(self._committed, (item.sequence, 0.0))
        return self._committed[index][1] if index < len(self._committed) else None
