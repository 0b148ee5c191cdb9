"""Which waiting items of a server go next: the candidates of its queues, read as far as they are needed, and the pure
decision over them. What it has to remember from claim to claim are the turns of its shares.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from iris_communication.decisions.fair_share import FairShare, PriorityBacklog, pick
from iris_communication.item import Item
from iris_communication.outbox.store.contract import QueueKey, Store
from iris_communication.outbox.writer.batching import Batching, Parcel, single
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.messages import Claim
from iris_communication.settings import DeliverySettings


class NextUp:
    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._lower_share = settings.lower_share
        self._new_share = settings.new_share
        self._turns: dict[str, FairShare] = {}  # by server

    def parcels(
        self, store: Store, claim: Claim, limit: int, now: tuple[float, float], group: CommitGroup
    ) -> list[Parcel]:
        """Up to `limit` uploads of items that the group does not touch, in the order they go; `now` is wall time and
        time since boot. Raises OutboxStorageError."""
        key = claim.server_key
        wall_s, boot_s = now
        looking = _Looking(store, claim, limit, boot_s, group, Batching(store, claim, group, self._settings, wall_s))
        queues = [
            looking.candidates(priority, list(queues))
            for priority, queues in groupby(store.queues_of(key), lambda queue: queue.priority)
        ]
        picked, self._turns[key] = pick(
            self._turns.get(key, FairShare()), queues, limit, self._lower_share, self._new_share
        )
        return list(_with_archives([looking.parcel_of[item.id] for item in picked], claim.archives or 0))


def _with_archives(parcels: Iterable[Parcel], archives: int) -> Iterator[Parcel]:
    """So many archives at most; the others are found again by the next claim."""
    for parcel in parcels:
        archives -= len(parcel.items) > 1
        if archives >= 0 or len(parcel.items) == 1:
            yield parcel


class _Looking:
    """The candidates of one claim. An archive stands in the list with its first member."""

    def __init__(
        self, store: Store, claim: Claim, limit: int, boot_s: float, group: CommitGroup, batching: Batching
    ) -> None:
        self.parcel_of: dict[str, Parcel] = {}  # by its first item's id
        self._store = store
        self._claim = claim
        self._limit = limit
        self._boot_s = boot_s
        self._group = group
        self._batching = batching

    def candidates(self, priority: int, queues: Sequence[QueueKey]) -> PriorityBacklog:
        due: list[Item] = []
        old: list[Item] = []
        new: list[Item] = []
        for queue in queues:
            due += self._firsts(map(single, self._store.due(self._claim.server_key, queue, self._boot_s, self._limit)))
            backlog, others = self._fresh(queue)
            old += self._firsts(backlog)
            new += self._firsts(others)
        due.sort(key=lambda item: item.due.boot_s if item.due else 0.0)
        old.sort(key=lambda item: item.sequence)
        new.sort(key=lambda item: item.sequence)
        return PriorityBacklog(priority, due, old, new)

    def _firsts(self, parcels: Iterable[Parcel]) -> Iterator[Item]:
        for parcel in parcels:
            first = parcel.items[0]
            known = first.id in self.parcel_of  # an archive whose members have different priorities
            if not known and not self._group.touches(first.id):
                self.parcel_of[first.id] = parcel
                yield first

    def _fresh(self, queue: QueueKey) -> tuple[list[Parcel], list[Parcel]]:
        """The backlog of an outage and what came after it; all of it in the first where there is no such backlog. An
        archive belongs to where its first file does."""
        until, found = self._claim.backlog_until, self._parcels(queue)
        if not until or not found or found[0].items[0].sequence > until:
            return found, []
        backlog = [parcel for parcel in found if parcel.items[0].sequence <= until]
        after = max(until, *(parcel.items[-1].sequence for parcel in backlog))
        return backlog, self._parcels(queue, after)

    def _parcels(self, queue: QueueKey, after: int = 0) -> list[Parcel]:
        if queue.batch and self._claim.archives is not None:
            return self._batching.parcels(queue, after)
        fresh = self._store.fresh(self._claim.server_key, queue, after, self._limit)
        return [single(item) for item in fresh]
