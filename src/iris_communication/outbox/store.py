"""The contract of the durable state: what is owed, what is dead, what was delivered.

One thread, the keeper's, calls a store. `commit` is the only way in, all or none, durable on return. What it promises
is checked by one conformance suite that runs on every implementation (`iris_communication.testing.store_contract`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from iris_communication.item import Item
from iris_communication.outbox.ledger import Line


class Insert(NamedTuple):
    """A new item, waiting or dead from the start."""

    item: Item


class Update(NamedTuple):
    """An item in another state, or with other facts about its attempts. Identity and path never change."""

    item: Item


class Deliver(NamedTuple):
    """The item's row becomes a line of the ledger."""

    item: Item
    line: Line


Change = Insert | Update | Deliver


class Tally(NamedTuple):
    """How many items are in each state; together every item ever accepted."""

    waiting: int = 0
    in_flight: int = 0
    dead: int = 0
    delivered: int = 0


class Lane(NamedTuple):
    """The waiting items of one server: never failed, failed and due later, and when the first of those is due."""

    fresh: int = 0
    retrying: int = 0
    next_due_s: float | None = None  # since boot


class Store(Protocol):
    def commit(self, changes: Sequence[Change]) -> None:
        """All or none, durable on return. Raises OutboxStorageError; then nothing of it happened, or, where the disk
        failed at the very end, all of it did: `state` tells."""

    def peek(self, server_key: str, boot_s: float, limit: int) -> list[Item]:
        """Waiting items that may be sent now: those due for a retry (at most half the limit, rounded up, while there
        are fresh ones), then the fresh ones in order of acceptance. Its cost does not grow with the backlog."""

    def lanes(self) -> dict[str, Lane]:
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

    def state(self, item_id: str) -> str | None:
        """The state of an id in words, "delivered" included; None when it was never accepted."""

    def unfinished(self) -> Iterator[Item]:
        """Every item that is waiting or in flight, in order of acceptance."""

    def dead(self, limit: int) -> list[Item]:
        """The latest dead items, newest first."""

    def owed_names(self) -> Iterator[str]:
        """The file name of the source of every item that is not delivered, dead ones included."""

    def oldest_accepted_s(self) -> float | None:
        """When the first unfinished item was accepted (wall time)."""

    def close(self) -> None: ...
