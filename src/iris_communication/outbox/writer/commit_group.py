"""The changes of one commit while they are collected, and what is done after it."""

from collections.abc import Callable
from typing import NamedTuple

from iris_communication.errors import IrisError
from iris_communication.item import Item
from iris_communication.outbox.store.contract import (
    Change,
    Deliver,
    End,
    Insert,
    ItemChange,
    ServerState,
    SetServer,
    SourceTreated,
)
from iris_communication.outbox.writer.messages import Settle


class CommitGroup:
    """A group changes each item at most once: a handler that prepares a change asks `touches` first."""

    def __init__(self) -> None:
        self.items: list[ItemChange] = []
        self.accepted: list[Item] = []  # in this group, with their bytes
        self.content_bytes = 0  # of those that the store keeps
        self.ended: list[Item] = []  # dropped, expired or cancelled in this group
        self.head: str | None = None  # hash of the last ledger line after this group; None: it delivers nothing
        self.settles: list[Settle] = []
        self.servers: dict[str, ServerState] = {}  # their new facts
        self.treated: list[str] = []  # delivered items whose source was treated
        self.awaited = True  # False: its callers have been refused already
        self.done: list[Callable[[], None]] = []
        self.last: list[Callable[[], None]] = []  # called in any case, when all else of the group is done
        self._refused: list[Callable[[IrisError], None]] = []
        self._touched: set[str] = set()

    def add(self, change: ItemChange) -> None:
        self.items.append(change)
        self._touched.add(change.item.id)
        if isinstance(change, Insert) and change.item.fingerprint is not None:
            self.accepted.append(change.item)
            self.content_bytes += len(change.content or b"")
        elif isinstance(change, Deliver):
            self.head = change.line.hash
        elif isinstance(change, End):
            self.ended.append(change.item)

    @property
    def changes(self) -> list[Change]:
        servers = (SetServer(key, *state) for key, state in self.servers.items())
        return [*self.items, *servers, *map(SourceTreated, self.treated)]

    @property
    def spooled(self) -> list[Item]:
        """The accepted items whose bytes are files in the spool."""
        return [item for item in self.accepted if not item.in_store]

    def touches(self, item_id: str) -> bool:
        return item_id in self._touched

    def then(self, done: Callable[[], None], refused: Callable[[IrisError], None]) -> None:
        """How a caller is answered: by `done` once the group is committed, by `refused` if it cannot be."""
        self.done.append(done)
        self._refused.append(refused)

    def refuse(self, error: IrisError) -> None:
        """Answer every caller with the error; they get no other answer later."""
        refused, self._refused, self.done, self.awaited = self._refused, [], [], False
        for answer in refused:
            answer(error)
        self.end()

    def end(self) -> None:
        last, self.last = self.last, []
        for call in last:
            call()


class GroupOutcome(NamedTuple):
    """The result of a commit: `error` is None where the group is recorded, else why its callers are refused."""

    group: CommitGroup
    error: IrisError | None
