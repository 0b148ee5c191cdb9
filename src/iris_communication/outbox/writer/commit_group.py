"""One commit in the making, and what follows from it."""

from collections.abc import Callable
from typing import NamedTuple

from iris_communication.errors import IrisError
from iris_communication.item import Item
from iris_communication.outbox.store.contract import Change, Deliver, End, Insert, ItemChange, ServerState, SetServer
from iris_communication.outbox.writer.messages import Settle


class CommitGroup:
    """An item is changed once in a group at most: whoever prepares a change asks `touches` first."""

    def __init__(self) -> None:
        self.items: list[ItemChange] = []
        self.spooled: list[Item] = []  # accepted in this group, with their bytes in the spool
        self.ended: list[Item] = []  # dropped, expired or cancelled in this group
        self.head: str | None = None  # of the ledger after this group; None: it delivers nothing
        self.settles: list[Settle] = []
        self.servers: dict[str, ServerState] = {}  # what it says about them
        self.awaited = True  # False: its callers have been refused already
        self.done: list[Callable[[], None]] = []
        self.last: list[Callable[[], None]] = []  # to be called in any case, when nothing of it is left to do
        self._refused: list[Callable[[IrisError], None]] = []
        self._touched: set[str] = set()

    def add(self, change: ItemChange) -> None:
        self.items.append(change)
        self._touched.add(change.item.id)
        if isinstance(change, Insert) and change.item.fingerprint is not None:
            self.spooled.append(change.item)
        elif isinstance(change, Deliver):
            self.head = change.line.hash
        elif isinstance(change, End):
            self.ended.append(change.item)

    @property
    def changes(self) -> list[Change]:
        return [*self.items, *(SetServer(key, *state) for key, state in self.servers.items())]

    def touches(self, item_id: str) -> bool:
        return item_id in self._touched

    def then(self, done: Callable[[], None], refused: Callable[[IrisError], None]) -> None:
        """What to tell a caller: once it is committed, or if it cannot be."""
        self.done.append(done)
        self._refused.append(refused)

    def refuse(self, error: IrisError) -> None:
        """Tell every caller that it cannot be; they are told nothing else later."""
        refused, self._refused, self.done, self.awaited = self._refused, [], [], False
        for tell in refused:
            tell(error)
        self.end()

    def end(self) -> None:
        last, self.last = self.last, []
        for tell in last:
            tell()


class GroupOutcome(NamedTuple):
    """What became of a group: `error` is None where it is recorded, else why its callers are refused."""

    group: CommitGroup
    error: IrisError | None
