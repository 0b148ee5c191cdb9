"""The keeper's running count of what is owed, brought along with each committed change instead of being asked anew:
counting a backlog of a hundred thousand at every commit would cost more than the commit."""

from iris_communication.errors import OutboxStorageError
from iris_communication.item import Failure, Item, State
from iris_communication.outbox.store import Change, Deliver, Insert, Lane, Store
from iris_communication.outbox.view import DEAD_SHOWN, DeadItem, Stats, View


class Picture:
    """Right from the start for a store that `recover` has gone over: nothing is in flight then."""

    def __init__(self, store: Store) -> None:
        tally = store.tally()
        self.store = store
        self.in_flight: dict[str, Item] = {}
        self.dead = tally.dead
        self._waiting = tally.waiting
        self._queued = tally.waiting + tally.dead  # what was found counts as queued
        self._uploaded = 0
        self._lanes = store.lanes()
        self._dead_items = [_shown(item) for item in store.dead(DEAD_SHOWN)]
        self._oldest_accepted_s: float | None = None
        self._oldest_left = True  # which one is the oldest has to be asked

    @property
    def queue_size(self) -> int:
        return self._waiting + len(self.in_flight)

    def count(self, change: Change) -> None:
        """One committed change. What the item was before follows from the transition table: in flight, if it is known
        here as that; else dead, if it waits now; else waiting."""
        item = change.item
        was_in_flight = self.in_flight.pop(item.id, None) is not None
        if item.state in (State.DELIVERED, State.DEAD) and item.accepted_s == self._oldest_accepted_s:
            self._oldest_left = True
        if isinstance(change, Insert):
            self._queued += 1
        elif isinstance(change, Deliver):
            self._uploaded += 1
        elif not was_in_flight and item.state is State.WAITING:
            self.dead -= 1
            self._oldest_left = True  # this one may be older
            self._dead_items = [dead for dead in self._dead_items if dead.id != item.id]
        elif not was_in_flight:
            self._shift(item, -1)
        if item.state is State.WAITING:
            self._shift(item, +1)
        elif item.state is State.IN_FLIGHT:
            self.in_flight[item.id] = item
        elif item.state is State.DEAD:
            self.dead += 1
            self._dead_items = [_shown(item), *self._dead_items][:DEAD_SHOWN]

    def view(self) -> View:
        """Numbers of one and the same moment. What has to be read from the store stays as it was when that fails:
        the next picture has it."""
        try:
            if self._oldest_left or self._oldest_accepted_s is None:
                self._oldest_accepted_s = self.store.oldest_accepted_s() if self.queue_size else None
                self._oldest_left = False
            if len(self._dead_items) < min(self.dead, DEAD_SHOWN):  # others move up when shown ones wait again
                self._dead_items = [_shown(item) for item in self.store.dead(DEAD_SHOWN)]
            for key, lane in self._lanes.items():
                next_due_s = self.store.next_due_s(key) if lane.retrying else None
                self._lanes[key] = lane._replace(next_due_s=next_due_s)
        except OutboxStorageError:
            pass
        return View(
            stats=Stats(self._queued, self._uploaded, self.dead, self.queue_size),
            lanes={key: lane for key, lane in self._lanes.items() if lane.fresh or lane.retrying},
            dead=tuple(self._dead_items),
            oldest_accepted_s=self._oldest_accepted_s,
        )

    def _shift(self, item: Item, by: int) -> None:
        self._waiting += by
        lane = self._lanes.get(item.server_key, Lane())
        if item.due is None:
            lane = lane._replace(fresh=lane.fresh + by)
        else:
            lane = lane._replace(retrying=lane.retrying + by)
        self._lanes[item.server_key] = lane


def _shown(item: Item) -> DeadItem:
    error = item.last_error or Failure("", "", "")
    return DeadItem(item.id, item.remote_path, error.message, error.hint)
