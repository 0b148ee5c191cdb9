"""Handing out what goes next: each upload under a token of its own, stored before anything is sent.

With the first claim an item's row learns when it was durable: by then the commit that took it in has returned. Which
commit that was, its sequence tells, so nothing is kept for each item.
"""

from bisect import bisect_left
from dataclasses import replace

from iris_communication.clock import Clock
from iris_communication.decisions import attempt
from iris_communication.item import Item, Upload
from iris_communication.outbox.store.contract import Store, Update
from iris_communication.outbox.writer.batching import Members, archive_of, batch_id, unbatched
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.messages import Claim
from iris_communication.outbox.writer.next_up import NextUp
from iris_communication.outbox.writer.tokens import Tokens
from iris_communication.settings import DeliverySettings

CLAIM_MAX_ON_A_FULL_DISK = 8  # small commits then: each needs room before the deliveries it leads to make any
COMMITS_KEPT = 4096  # an item that waits for longer was durable at the latest when the oldest of these returned


class Claiming:
    def __init__(self, settings: DeliverySettings, tokens: Tokens, clock: Clock) -> None:
        self._next_up = NextUp(settings)
        self._tokens = tokens
        self._clock = clock
        self._committed: list[tuple[int, float]] = []  # (last sequence, wall time), both ascending

    def committed(self, last_sequence: int) -> None:
        """Everything up to there is durable now."""
        if not self._committed or self._committed[-1][0] < last_sequence:
            self._committed.append((last_sequence, self._clock.wall_s()))
            if len(self._committed) > 2 * COMMITS_KEPT:
                del self._committed[:COMMITS_KEPT]

    def prepare(self, store: Store, claim: Claim, group: CommitGroup, *, full: bool) -> list[Upload]:
        """What is handed out once the group is committed. Raises OutboxStorageError."""
        if full:  # there is no room for an archive either
            claim = replace(claim, limit=min(claim.limit, CLAIM_MAX_ON_A_FULL_DISK), archives=None)
        now = (self._clock.wall_s(), self._clock.boot_s())
        found = self._next_up.uploads(store, claim, claim.limit, now, group)
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
        """`item` is `before` as a member of its archive, or of none."""
        item = replace(attempt.claimed(item, token), durable_s=self._durable_s(item))
        group.add(Update(item, before))
        return item

    def _durable_s(self, item: Item) -> float | None:
        if item.durable_s is not None:
            return item.durable_s
        index = bisect_left(self._committed, (item.sequence, 0.0))
        return self._committed[index][1] if index < len(self._committed) else None
