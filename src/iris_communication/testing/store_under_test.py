"""What the contract suites of a store share: plausible items, and a store that is opened for each test."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from iris_communication.errors import OutboxStorageError
from iris_communication.item import Delivered, Due, Event, Fingerprint, Item, State, Take
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, End, Insert, Note, QueueKey, Store

SERVER = "iris@a.example:22"
OTHER_SERVER = "iris@b.example:22"
BOOT_ID = "first boot"
NOW_S = 9_000_777.75  # since boot
QUEUE = QueueKey(0, "")


def make_item(sequence: int, **facts: Any) -> Item:
    """A waiting item, made plausible from its sequence; `facts` replace its fields."""
    item = Item(
        id=f"item-{sequence:06}",
        sequence=sequence,
        server_key=SERVER,
        source_path=f"/records/{sequence}.csv",
        remote_path=f"/in/line-1/model/{sequence}.csv",
        folder_type="model",
        project_settings={"project": "line-1"},
        take=Take.COPY,
        fingerprint=Fingerprint(device=64, inode=sequence, size_bytes=10, mtime_ns=1_700_000_000_123, sha256="ab" * 32),
        accepted_s=1_700_000_000.5 + sequence,
    )
    return replace(item, **facts)


def due(seconds_from_now: float) -> Due:
    return Due(BOOT_ID, NOW_S + seconds_from_now)


class StoreUnderTest(ABC):
    @abstractmethod
    def open_store(self) -> Store:
        """An empty store, made for BOOT_ID if it depends on the boot."""

    @cached_property
    def store(self) -> Store:
        return self.open_store()

    def teardown_method(self) -> None:
        self.store.close()

    def hold(self, *items: Item) -> None:
        self.store.commit([Insert(item) for item in items])

    def deliver(self, item: Item) -> Deliver:
        delivered = Delivered(item.remote_path, 10, "ab" * 32, "SHA256:key", 1_700_000_500.0)
        return Deliver(
            replace(item, state=State.DELIVERED), ledger.line(self.store.ledger_head(), ledger.entry(item, delivered))
        )

    def end(self, item: Item, state: State) -> End:
        event = {State.DROPPED: Event.DROP, State.EXPIRED: Event.EXPIRE, State.CANCELLED: Event.CANCEL}[state]
        return End(replace(item, state=state), Note(1_700_000_600.0, event, item.attempts), "the reason")

    def fresh(self, limit: int = 10, server_key: str = SERVER, queue: QueueKey = QUEUE, after: int = 0) -> list[int]:
        return [item.sequence for item in self.store.fresh(server_key, queue, after, limit)]

    def due(self, limit: int = 10, server_key: str = SERVER, queue: QueueKey = QUEUE) -> list[int]:
        return [item.sequence for item in self.store.due(server_key, queue, NOW_S, limit)]


def raises_storage_error(commit: Callable[[], None]) -> bool:
    try:
        commit()
    except OutboxStorageError:
        return True
    return False
