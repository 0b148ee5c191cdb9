"""The outbox's store in memory: keeps the contract `iris_communication.outbox.store.contract.Store`, nothing on disk.

For tests of code that uses a store. It is simple rather than fast: each query reads every item. It keeps no history:
no query depends on that.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from iris_communication.errors import OutboxStorageError
from iris_communication.item import OWED, After, Item, State
from iris_communication.outbox.store.contract import (
    Backlog,
    Change,
    Deliver,
    End,
    Insert,
    QueueKey,
    ServerState,
    SetServer,
    SourceTreated,
    Tally,
)
from iris_communication.outbox.store.ledger import GENESIS, Line


class MemoryStore:
    """While `failing` is set, commits raise it and change nothing."""

    def __init__(self) -> None:
        self.failing: OutboxStorageError | None = None
        self._items: dict[int, Item] = {}  # by sequence
        self._lines: list[tuple[str, Line]] = []  # (item id, line)
        self._ended: dict[str, State] = {}  # by item id
        self._servers: dict[str, ServerState] = {}
        self._last_sequence = 0
        self._contents: dict[str, bytes] = {}  # by item id
        self._source_actions: set[str] = set()  # item ids

    def commit(self, changes: Sequence[Change]) -> None:
        if self.failing is not None:
            raise self.failing
        before = dict(self._items), list(self._lines), dict(self._ended), dict(self._servers), self._last_sequence
        held = dict(self._contents), set(self._source_actions)
        try:
            for change in changes:
                self._apply(change)
        except BaseException:
            self._items, self._lines, self._ended, self._servers, self._last_sequence = before
            self._contents, self._source_actions = held
            raise

    def tidy(self, log_max_bytes: int, *, urgent: bool = False) -> None:
        """There is nothing to do."""

    def queues_of(self, server_key: str) -> list[QueueKey]:
        found = {QueueKey(item.priority, item.batch) for item in self._waiting() if item.server_key == server_key}
        return sorted(found, key=lambda queue: (-queue.priority, queue.batch))

    def due(self, server_key: str, queue: QueueKey, boot_s: float, limit: int) -> list[Item]:
        found = [item for item in self._queue(server_key, queue) if item.due is not None and item.due.boot_s <= boot_s]
        return sorted(found, key=_due_s)[:limit]

    def fresh(self, server_key: str, queue: QueueKey, after: int, limit: int) -> list[Item]:
        found = [item for item in self._queue(server_key, queue) if item.due is None and item.sequence > after]
        return found[:limit]

    def members(self, batch_id: str) -> list[Item]:
        return [item for item in self._in_order() if item.batch_id == batch_id]

    def item(self, item_id: str) -> Item | None:
        return next((item for item in self._items.values() if item.id == item_id), None)

    def contents(self, items: Sequence[Item]) -> dict[str, bytes]:
        return {item.id: self._contents[item.id] for item in items if item.id in self._contents}

    def source_actions(self) -> list[str]:
        return sorted(self._source_actions)

    def expired(self, boot_s: float, limit: int) -> list[Item]:
        found = [item for item in self._waiting() if item.expires is not None and item.expires.boot_s <= boot_s]
        return sorted(found, key=_expires_s)[:limit]

    def next_expiry_s(self) -> float | None:
        return min((_expires_s(item) for item in self._waiting() if item.expires is not None), default=None)

    def oldest_waiting(self, priority_max: int, limit: int) -> list[Item]:
        return [item for item in self._waiting() if item.priority <= priority_max][:limit]

    def lowest_waiting(self, limit: int) -> list[Item]:
        return sorted(self._waiting(), key=lambda item: (item.priority, item.sequence))[:limit]

    def owed_bytes(self) -> int:
        return sum(item.held_bytes for item in self._items.values())

    def backlogs(self) -> dict[str, Backlog]:
        backlogs: dict[str, Backlog] = {}
        for item in self._waiting():
            backlog = backlogs.get(item.server_key, Backlog())
            if item.due is None:
                backlog = backlog._replace(fresh=backlog.fresh + 1, batched=backlog.batched + bool(item.batch))
            else:
                backlog = backlog._replace(retrying=backlog.retrying + 1, next_due_s=self.next_due_s(item.server_key))
            backlogs[item.server_key] = backlog
        return backlogs

    def next_due_s(self, server_key: str) -> float | None:
        return min(
            (item.due.boot_s for item in self._waiting() if item.due is not None and item.server_key == server_key),
            default=None,
        )

    def tally(self) -> Tally:
        count = dict.fromkeys(State, 0)
        for state in (*(item.state for item in self._items.values()), *self._ended.values()):
            count[state] += 1
        count[State.DELIVERED] = len(self._lines)
        return Tally(**{state.value: number for state, number in count.items()})

    def last_sequence(self) -> int:
        return self._last_sequence

    def ledger_head(self) -> str:
        return self._lines[-1][1].hash if self._lines else GENESIS

    def ledger(self) -> Iterator[Line]:
        return iter([line for _, line in self._lines])

    def line_of(self, item_id: str) -> Line | None:
        return next((line for known, line in self._lines if known == item_id), None)

    def state(self, item_id: str) -> str | None:
        if (item := self.item(item_id)) is not None:
            return item.state.value
        if item_id in self._ended:
            return self._ended[item_id].value
        return State.DELIVERED.value if self.line_of(item_id) is not None else None

    def unfinished(self) -> Iterator[Item]:
        return iter([item for item in self._in_order() if item.state in OWED])

    def dead(self, limit: int) -> list[Item]:
        return [item for item in reversed(self._in_order()) if item.state is State.DEAD][:limit]

    def owed_names(self) -> Iterator[str]:
        return iter([os.path.basename(item.source_path) for item in self._items.values()])

    def oldest_accepted_s(self) -> float | None:
        return next((item.accepted_s for item in self.unfinished()), None)

    def server_states(self) -> dict[str, ServerState]:
        return dict(self._servers)

    def close(self) -> None:
        pass

    def _queue(self, server_key: str, queue: QueueKey) -> list[Item]:
        return [
            item for item in self._waiting() if item.server_key == server_key and (item.priority, item.batch) == queue
        ]

    def _in_order(self) -> list[Item]:
        return [self._items[sequence] for sequence in sorted(self._items)]

    def _waiting(self) -> list[Item]:
        return [item for item in self._in_order() if item.state is State.WAITING]

    def _apply(self, change: Change) -> None:
        if isinstance(change, SetServer):
            self._servers[change.server_key] = ServerState(change.paused, change.breaker)
            return
        if isinstance(change, SourceTreated):
            self._source_actions.discard(change.item_id)
            return
        item = change.item
        if isinstance(change, Insert):
            if item.sequence in self._items or self.state(item.id) is not None:
                raise OutboxStorageError(f"{item.id} is in the outbox already")
            self._items[item.sequence] = item
            if change.content is not None:
                self._contents[item.id] = change.content
            self._last_sequence = max(self._last_sequence, item.sequence)
        elif isinstance(change, (Deliver, End)):
            self._items.pop(item.sequence, None)
            self._contents.pop(item.id, None)
            if self.state(item.id) is not None:
                raise OutboxStorageError(f"{item.id} has ended already")
            if isinstance(change, Deliver):
                self._lines.append((item.id, change.line))
                if item.after is not After.KEEP:
                    self._source_actions.add(item.id)
            else:
                self._ended[item.id] = item.state
        elif item.sequence in self._items:
            self._items[item.sequence] = replace(
                self._items[item.sequence],
                state=item.state,
                attempts=item.attempts,
                due=item.due,
                token=item.token,
                earlier_tokens=item.earlier_tokens,
                effect=item.effect,
                last_error=item.last_error,
                priority=item.priority,
                batch=item.batch,
                batch_id=item.batch_id,
                ttl_s=item.ttl_s,
                expires=item.expires,
                durable_s=item.durable_s,
            )


def _due_s(item: Item) -> float:
    return item.due.boot_s if item.due is not None else 0.0


def _expires_s(item: Item) -> float:
    return item.expires.boot_s if item.expires is not None else 0.0
