"""The contract of the durable state: what is owed, what is dead, what was delivered, what ended otherwise.

One thread, the writer's, calls a store. Only `commit` changes it: all or none, durable on return. One conformance suite
checks this contract on every implementation (`iris_communication.testing.store_contract`).

Waiting items lie in queues, one for each server, priority and batch. Reading the head of a queue costs the same however
many items wait, in it or in others; the caller decides which queue is next.
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
    """A new item, waiting or dead from the start. `content`: of an item that is `in_store`."""

    item: Item
    note: Note | None = None
    content: bytes | None = None


class Update(NamedTuple):
    """An item in another state, or with other facts about its attempts. Identity and path never change."""

    item: Item
    before: Item | None = None  # for the counters
    note: Note | None = None
    trace: str = ""  # protocol events to store with it; empty: none


class Deliver(NamedTuple):
    """The item's row becomes a line of the ledger. Where its source is to be deleted or moved then, that is noted."""

    item: Item
    line: Line
    before: Item | None = None


class End(NamedTuple):
    """The item's row moves to the items that were dropped, have expired or were cancelled."""

    item: Item
    note: Note
    reason: str
    before: Item | None = None


class SourceTreated(NamedTuple):
    """The source of a delivered item was deleted or moved, or stays for good."""

    item_id: str


class SetServer(NamedTuple):
    """Facts about a server that outlive a restart."""

    server_key: str
    paused: bool
    breaker: Mapping[str, Any] | None


ItemChange = Insert | Update | Deliver | End
Change = ItemChange | SetServer | SourceTreated


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
    """One queue of a server: its priority and batch."""

    priority: int
    batch: str  # empty: each of its items travels by itself


class ServerState(NamedTuple):
    paused: bool = False
    breaker: Mapping[str, Any] | None = None  # None: closed


class Store(Protocol):
    def commit(self, changes: Sequence[Change]) -> None:
        """All or none, durable on return. Raises OutboxStorageError; then nothing of it happened, or, where the disk
        failed at the very end, all of it did: `state` shows which."""

    def tidy(self, log_max_bytes: int, *, urgent: bool = False) -> None:
        """Work that commits put off, done between two groups. After so many bytes, or at once if it is urgent, it moves
        what was committed to where it stays, and gives some of the space back that nothing uses any more. Raises
        OutboxStorageError; nothing that was committed is lost then."""

    def queues_of(self, server_key: str) -> list[QueueKey]:
        """The server's queues that have waiting items, highest priority first."""

    def due(self, server_key: str, queue: QueueKey, boot_s: float, limit: int) -> list[Item]:
        """Waiting items of a queue whose retry is due; the one due longest comes first."""

    def fresh(self, server_key: str, queue: QueueKey, after: int, limit: int) -> list[Item]:
        """Waiting items of a queue that never failed, in order of acceptance, from the first sequence above `after`."""

    def members(self, batch_id: str) -> list[Item]:
        """The items of an archive whose outcome is not known, in order of acceptance."""

    def item(self, item_id: str) -> Item | None:
        """The item, while it is waiting, in flight or dead; else None."""

    def contents(self, items: Sequence[Item]) -> dict[str, bytes]:
        """By id, the content of those items that are `in_store`. One that is not there is left out."""

    def source_actions(self) -> list[str]:
        """The ids of delivered items whose source is yet to be deleted or moved."""

    def expired(self, boot_s: float, limit: int) -> list[Item]:
        """Waiting items whose time to live is over; the one over longest comes first."""

    def next_expiry_s(self) -> float | None:
        """When the first waiting item's time to live is over, since boot."""

    def oldest_waiting(self, priority_max: int, limit: int) -> list[Item]:
        """Waiting items up to `priority_max`, in order of acceptance."""

    def lowest_waiting(self, limit: int) -> list[Item]:
        """Waiting items, lowest priority first, within a priority the oldest."""

    def owed_bytes(self) -> int:
        """The bytes of everything waiting, in flight or dead, wherever they lie."""

    def backlogs(self) -> dict[str, Backlog]:
        """The backlog of each server with waiting items; counts every row, so only for the start."""

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
        """The ledger line of a delivered item; None where there is none."""

    def state(self, item_id: str) -> str | None:
        """The name of the state of an id, also of an item that has ended; None when it was never accepted."""

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
        """Raises OutboxStorageError, and stays open, where closing would lose what was committed."""
