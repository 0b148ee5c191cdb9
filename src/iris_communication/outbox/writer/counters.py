"""The writer's running count of what is owed, updated with each committed change instead of queried: counting a backlog
of a hundred thousand items at every commit would cost more than the commit."""

from iris_communication.errors import OutboxStorageError
from iris_communication.item import ENDED, Failure, Item, State
from iris_communication.outbox.store.contract import (
    Backlog,
    Change,
    Insert,
    ServerState,
    SetServer,
    SourceTreated,
    Store,
)
from iris_communication.outbox.writer.snapshot import DEAD_SHOWN, DeadItem, Snapshot, Stats


class Counters:
    """To be made after `recover`: then nothing is in flight."""

    def __init__(self, store: Store) -> None:
        tally = store.tally()
        self.store = store
        self.in_flight: dict[str, Item] = {}
        self.dead = tally.dead
        self._waiting = tally.waiting
        self._queued = tally.waiting + tally.dead  # items found at the start count as queued
        self._uploaded = 0
        self._ended = 0  # since the start, undelivered
        self.spooled_bytes = store.owed_bytes()
        self._servers = store.server_states()
        self._last_sequence = store.last_sequence()
        self._next_expiry_s: float | None = None
        self._expiry_unknown = True  # the store has to be asked when the next item expires
        self._backlogs = store.backlogs()
        self._dead_items = [_shown(item) for item in store.dead(DEAD_SHOWN)]
        self._oldest_accepted_s: float | None = None
        self._oldest_unknown = True  # the store has to be asked for the oldest item

    def go_on_counting(self, before: Snapshot) -> None:
        """Items that were queued in `before` and are gone now have ended, even if their end was never counted."""
        self._ended = before.stats.total_failed - before.dead_files
        gone = before.stats.total_queued - self._waiting - self.dead - self._ended
        self._uploaded = max(before.stats.total_uploaded, gone)
        self._queued = self._waiting + self.dead + self._ended + self._uploaded

    @property
    def queue_size(self) -> int:
        return self._waiting + len(self.in_flight)

    def count(self, change: Change) -> None:
        """Count one committed change."""
        if isinstance(change, SetServer):
            self._servers = {**self._servers, change.server_key: ServerState(change.paused, change.breaker)}
            return
        if isinstance(change, SourceTreated):
            return
        item = change.item
        if isinstance(change, Insert):
            self._queued += 1
            self.spooled_bytes += item.held_bytes
            self._last_sequence = max(self._last_sequence, item.sequence)
        else:
            assert change.before is not None, "who changes an item here says what it was"
            self._leave(change.before)
        self._enter(item)
        if item.expires is not None:
            self._expiry_unknown = True

    def _leave(self, before: Item) -> None:
        if before.state is State.WAITING:
            self._shift(before, -1)
        elif before.state is State.IN_FLIGHT:
            del self.in_flight[before.id]
        else:
            self.dead -= 1
            self._oldest_unknown = True  # this one may be older
            self._dead_items = [dead for dead in self._dead_items if dead.id != before.id]

    def _enter(self, item: Item) -> None:
        if item.state is State.WAITING:
            self._shift(item, +1)
            return
        if item.state is State.IN_FLIGHT:
            self.in_flight[item.id] = item
            return
        if item.accepted_s == self._oldest_accepted_s:
            self._oldest_unknown = True
        if item.state is State.DEAD:
            self.dead += 1
            self._dead_items = [_shown(item), *self._dead_items][:DEAD_SHOWN]
            return
        self.spooled_bytes -= item.held_bytes
        if item.state in ENDED:
            self._ended += 1
        else:
            self._uploaded += 1

    @property
    def next_expiry_s(self) -> float | None:
        """When the first waiting item's time to live is over, since boot. Raises OutboxStorageError."""
        if self._expiry_unknown:
            self._next_expiry_s = self.store.next_expiry_s()
            self._expiry_unknown = False
        return self._next_expiry_s

    def snapshot(self) -> Snapshot:
        """All numbers are of the same moment. If reading from the store fails, the values from there stay as they were
        until the next snapshot."""
        try:
            if self._oldest_unknown or self._oldest_accepted_s is None:
                self._oldest_accepted_s = self.store.oldest_accepted_s() if self.queue_size else None
                self._oldest_unknown = False
            if len(self._dead_items) < min(self.dead, DEAD_SHOWN):  # others are shown when shown ones wait again
                self._dead_items = [_shown(item) for item in self.store.dead(DEAD_SHOWN)]
            for key, backlog in self._backlogs.items():
                next_due_s = self.store.next_due_s(key) if backlog.retrying else None
                self._backlogs[key] = backlog._replace(next_due_s=next_due_s)
        except OutboxStorageError:
            pass
        return Snapshot(
            stats=Stats(self._queued, self._uploaded, self.dead + self._ended, self.queue_size),
            backlogs={key: backlog for key, backlog in self._backlogs.items() if backlog.fresh or backlog.retrying},
            dead=tuple(self._dead_items),
            oldest_accepted_s=self._oldest_accepted_s,
            servers=self._servers,
            dead_files=self.dead,
            spooled_bytes=self.spooled_bytes,
            last_sequence=self._last_sequence,
        )

    def _shift(self, item: Item, by: int) -> None:
        self._waiting += by
        backlog = self._backlogs.get(item.server_key, Backlog())
        if item.due is None:
            backlog = backlog._replace(fresh=backlog.fresh + by, batched=backlog.batched + (by if item.batch else 0))
        else:
            backlog = backlog._replace(retrying=backlog.retrying + by)
        self._backlogs[item.server_key] = backlog


def _shown(item: Item) -> DeadItem:
    error = item.last_error or Failure("", "", "")
    return DeadItem(item.id, item.remote_path, error.message, error.hint)
