"""The contract of the durable state: what is owed, what is dead, what was delivered, what ended otherwise.

One thread, the writer's, calls a store. `commit` is the only way in, all or none, durable on return. What it promises
is checked by one conformance suite that runs on every implementation (`iris_communication.testing.store_contract`).

What waits lies in queues, one for each server, priority and batch. Looking at the head of one costs the same however
much waits, in it or in others; which queue's turn it is, others decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from iris_communication.item import Event, Failure, Item
from iris_communication.outbox.store.ledger import Line


class Note(NamedTuple):
    """A line of an item's history."""

    at_s: float  # wall time
    event: Event
    attempt: int  # failed by its own fault so far
    error: Failure | None = None


class Insert(NamedTuple):
    """A new item, waiting or dead from the start."""

    item: Item
    note: Note | None = None


class Update(NamedTuple):
    """An item in another state, or with other facts about its attempts. Identity and path never change."""

    item: Item
    before: Item | None = None  # for whoever counts along
    note: Note | None = None
    trace: str = ""  # protocol events to be kept with it; empty: none


class Deliver(NamedTuple):
    """The item's row becomes a line of the ledger."""

    item: Item
    line: Line
    before: Item | None = None


class End(NamedTuple):
    """The item's row becomes one of what was dropped, has expired or was cancelled."""

    item: Item
    note: Note
    reason: str
    before: Item | None = None


class SetServer(NamedTuple):
    """Facts about a server that outlive a restart."""

    server_key: str
    paused: bool
    breaker: Mapping[str, Any] | None


ItemChange = Insert | Update | Deliver | End
Change = ItemChange | SetServer


class Tally(NamedTuple):
    """How many items are in each state; together every item ever accepted."""

    waiting: int = 0
    in_flight: int = 0
    dead: int = 0
    delivered: int = 0
    dropped: int = 0
    expired: int = 0
    cancelled: int = 0


class Backlog(NamedTuple):
    """The waiting items of one server: never failed, failed and due later, and when the first of those is due."""

    fresh: int = 0
    retrying: int = 0
    next_due_s: float | None = None  # since boot
    batched: int = 0  # of the fresh ones, those that may travel together


class QueueKey(NamedTuple):
    """Within one server."""

    priority: int
    batch: str  # empty: each of its items goes by itself


class ServerState(NamedTuple):
    paused: bool = False
    breaker: Mapping[str, Any] | None = None  # None: closed


class Store(Protocol):
    def commit(self, changes: Sequence[Change]) -> None:
        """All or none, durable on return. Raises OutboxStorageError; then nothing of it happened, or, where the disk
        failed at the very end, all of it did: `state` tells."""

    def queues_of(self, server_key: str) -> list[QueueKey]:
        """Those that have waiting items, highest priority first."""

    def due(self, server_key: str, queue: QueueKey, boot_s: float, limit: int) -> list[Item]:
        """Waiting items of a queue whose retry is due, longest due first."""

    def fresh(self, server_key: str, queue: QueueKey, after: int, limit: int) -> list[Item]:
        """Waiting items of a queue that never failed, in order of acceptance, from the first sequence above `after`."""

    def members(self, batch_id: str) -> list[Item]:
        """Of an archive whose fate is not known, in order of acceptance."""

    def item(self, item_id: str) -> Item | None:
        """While it is waiting, in flight or dead."""

    def expired(self, boot_s: float, limit: int) -> list[Item]:
        """Waiting items whose time is over, longest over first."""

    def next_expiry_s(self) -> float | None:
        """When the first waiting item's time is over, since boot."""

    def oldest_waiting(self, priority_max: int, limit: int) -> list[Item]:
        """In order of acceptance, without those of a higher priority."""

    def lowest_waiting(self, limit: int) -> list[Item]:
        """Lowest priority first, of one priority the oldest."""

    def owed_bytes(self) -> int:
        """Of everything waiting, in flight or dead."""

    def backlogs(self) -> dict[str, Backlog]:
        """Of each server with waiting items; counted anew, so for the start only."""

    def next_due_s(self, server_key: str) -> float | None:
        """When the first retry of this server is due, since boot."""

    def tally(self) -> Tally: ...

    def last_sequence(self) -> int:
        """The highest sequence ever given, delivered items included."""

    def ledger_head(self) -> str:
        """The hash of the last line, or GENESIS."""

    def ledger(self) -> Iterator[Line]:
        """All lines, oldest first."""

    def line_of(self, item_id: str) -> Line | None:
        """Of a delivered item."""

    def state(self, item_id: str) -> str | None:
        """The state of an id in words, of whatever ended too; None when it was never accepted."""

    def unfinished(self) -> Iterator[Item]:
        """Every item that is waiting or in flight, in order of acceptance."""

    def dead(self, limit: int) -> list[Item]:
        """The latest dead items, newest first."""

    def owed_names(self) -> Iterator[str]:
        """The file name of the source of every item that is waiting, in flight or dead."""

    def oldest_accepted_s(self) -> float | None:
        """When the first unfinished item was accepted (wall time)."""

    def server_states(self) -> dict[str, ServerState]: ...

    def close(self) -> None:
        """Raises OutboxStorageError where what was committed would be gone with it; then it is still open."""
