"""Chooses the waiting items of a server that are sent next: reads the candidates of its queues, as far as needed, and
applies the pure decision (`decisions.fair_share`). From claim to claim it remembers only the turns of the shares.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from iris_communication.decisions.fair_share import FairShare, PriorityBacklog, pick
from iris_communication.outbox.store.contract import QueueKey, Store
from iris_communication.outbox.writer.batching import Batching, Members
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.messages import Claim
from iris_communication.settings import DeliverySettings


class NextUp:
    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._lower_share = settings.lower_share
        self._new_share = settings.new_share
        self._turns: dict[str, FairShare] = {}  # by server

    def uploads(
        self, store: Store, claim: Claim, limit: int, now: tuple[float, float], group: CommitGroup
    ) -> list[Members]:
        """Up to `limit` uploads of items that the group does not touch, in order; `now` is wall time and time since
        boot. Raises OutboxStorageError."""
        key = claim.server_key
        wall_s, boot_s = now
        reading = _Candidates(store, claim, limit, boot_s, group, Batching(store, claim, group, self._settings, wall_s))
        queues = [
            reading.of(priority, list(queues))
            for priority, queues in groupby(store.queues_of(key), lambda queue: queue.priority)
        ]
        picked, self._turns[key] = pick(
            self._turns.get(key, FairShare()), queues, limit, self._lower_share, self._new_share
        )
        return list(_with_archives(picked, claim.archives or 0))


def _with_archives(uploads: Iterable[Members], archives: int) -> Iterator[Members]:
    """At most so many archives; the next claim finds the others again."""
    for members in uploads:
        archives -= len(members) > 1
        if archives >= 0 or len(members) == 1:
            yield members


class _Candidates:
    """The candidates of one claim. An archive has the place of its first member in a list."""

    def __init__(
        self, store: Store, claim: Claim, limit: int, boot_s: float, group: CommitGroup, batching: Batching
    ) -> None:
        self._seen: set[str] = set()  # first members
        self._store = store
        self._claim = claim
        self._limit = limit
        self._boot_s = boot_s
        self._group = group
        self._batching = batching

    def of(self, priority: int, queues: Sequence[QueueKey]) -> PriorityBacklog[Members]:
        due: list[Members] = []
        old: list[Members] = []
        new: list[Members] = []
        for queue in queues:
            retries = self._store.due(self._claim.server_key, queue, self._boot_s, self._limit)
            due += self._unseen((item,) for item in retries)
            backlog, others = self._fresh(queue)
            old += self._unseen(backlog)
            new += self._unseen(others)
        due.sort(key=lambda members: members[0].due.boot_s if members[0].due else 0.0)
        old.sort(key=lambda members: members[0].sequence)
        new.sort(key=lambda members: members[0].sequence)
        return PriorityBacklog(priority, due, old, new)

    def _unseen(self, uploads: Iterable[Members]) -> Iterator[Members]:
        """Uploads not found before: an archive whose members have different priorities is in several queues."""
        for members in uploads:
            first = members[0].id
            if first not in self._seen and not self._group.touches(first):
                self._seen.add(first)
                yield members

    def _fresh(self, queue: QueueKey) -> tuple[list[Members], list[Members]]:
        """The backlog of an outage, and the uploads after it; without such a backlog all are in the first list. An
        archive belongs to the list of its first file."""
        until, found = self._claim.backlog_until, self._uploads(queue)
        if not until or not found or found[0][0].sequence > until:
            return found, []
        backlog = [members for members in found if members[0].sequence <= until]
        after = max(until, *(members[-1].sequence for members in backlog))
        return backlog, self._uploads(queue, after)

    def _uploads(self, queue: QueueKey, after: int = 0) -> list[Members]:
        if queue.batch and self._claim.archives is not None:
            return self._batching.uploads(queue, after)
        return [(item,) for item in self._store.fresh(self._claim.server_key, queue, after, self._limit)]
