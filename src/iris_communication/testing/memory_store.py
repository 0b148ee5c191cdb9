"""The outbox's store in memory: keeps the contract `iris_communication.outbox.store.Store`, and nothing on disk.

For tests of whoever uses a store. It is simple rather than fast: its peek looks at every item.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from iris_communication.errors import OutboxStorageError
from iris_communication.item import Item, State
from iris_communication.outbox.ledger import GENESIS, Line
from iris_communication.outbox.store import Change, Deliver, Insert, Lane, Tally


class MemoryStore:
    """While `failing` is set, commits raise it and change nothing."""

    def __init__(self) -> None:
        self.failing: OutboxStorageError | None = None
        self._items: dict[int, Item] = {}  # by sequence
        self._lines: list[tuple[str, Line]] = []  # (item id, line)
        self._last_sequence = 0

    def commit(self, changes: Sequence[Change]) -> None:
        if self.failing is not None:
            raise self.failing
        before = dict(self._items), list(self._lines), self._last_sequence
        try:
            for change in changes:
                self._apply(change)
        except BaseException:
            self._items, self._lines, self._last_sequence = before
            raise

    def peek(self, server_key: str, boot_s: float, limit: int) -> list[Item]:
        mine = [item for item in self._waiting() if item.server_key == server_key]
        fresh = [item for item in mine if item.due is None][:limit]
        retries = [item for item in mine if item.due is not None and item.due.boot_s <= boot_s]
        retries.sort(key=lambda item: item.due.boot_s if item.due else 0.0)
        retries = retries[: max((limit + 1) // 2, limit - len(fresh))]
        return [*retries, *fresh[: limit - len(retries)]]

    def lanes(self) -> dict[str, Lane]:
        lanes: dict[str, Lane] = {}
        for item in self._waiting():
            lane = lanes.get(item.server_key, Lane())
            if item.due is None:
                lane = lane._replace(fresh=lane.fresh + 1)
            else:
                lane = lane._replace(retrying=lane.retrying + 1, next_due_s=self.next_due_s(item.server_key))
            lanes[item.server_key] = lane
        return lanes

    def next_due_s(self, server_key: str) -> float | None:
        return min(
            (item.due.boot_s for item in self._waiting() if item.due is not None and item.server_key == server_key),
            default=None,
        )

    def tally(self) -> Tally:
        count = dict.fromkeys(State, 0)
        for item in self._items.values():
            count[item.state] += 1
        return Tally(count[State.WAITING], count[State.IN_FLIGHT], count[State.DEAD], len(self._lines))

    def last_sequence(self) -> int:
        return self._last_sequence

    def ledger_head(self) -> str:
        return self._lines[-1][1].hash if self._lines else GENESIS

    def ledger(self) -> Iterator[Line]:
        return iter([line for _, line in self._lines])

    def state(self, item_id: str) -> str | None:
        for item in self._items.values():
            if item.id == item_id:
                return item.state.value
        return State.DELIVERED.value if item_id in {known for known, _ in self._lines} else None

    def unfinished(self) -> Iterator[Item]:
        return iter([item for item in self._in_order() if item.state in (State.WAITING, State.IN_FLIGHT)])

    def dead(self, limit: int) -> list[Item]:
        return [item for item in reversed(self._in_order()) if item.state is State.DEAD][:limit]

    def owed_names(self) -> Iterator[str]:
        return iter([os.path.basename(item.source_path) for item in self._items.values()])

    def oldest_accepted_s(self) -> float | None:
        return next((item.accepted_s for item in self.unfinished()), None)

    def close(self) -> None:
        pass

    def _in_order(self) -> list[Item]:
        return [self._items[sequence] for sequence in sorted(self._items)]

    def _waiting(self) -> list[Item]:
        return [item for item in self._in_order() if item.state is State.WAITING]

    def _apply(self, change: Change) -> None:
        item = change.item
        if isinstance(change, Insert):
            if item.sequence in self._items or self.state(item.id) is not None:
                raise OutboxStorageError(f"{item.id} is in the outbox already")
            self._items[item.sequence] = item
            self._last_sequence = max(self._last_sequence, item.sequence)
        elif isinstance(change, Deliver):
            if any(known == item.id for known, _ in self._lines):
                raise OutboxStorageError(f"{item.id} is delivered already")
            self._items.pop(item.sequence, None)
            self._lines.append((item.id, change.line))
        elif item.sequence in self._items:
            self._items[item.sequence] = replace(
                self._items[item.sequence],
                state=item.state,
                attempts=item.attempts,
                due=item.due,
                token=item.token,
                earlier_token=item.earlier_token,
                effect=item.effect,
                last_error=item.last_error,
            )
