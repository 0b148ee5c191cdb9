from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import OutboxStorageError
from iris_communication.item import ENDED, Delivered, Due, Event, Failure, State, next_state
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, End, Insert, Note, ServerState, SetServer, Update
from iris_communication.outbox.writer.counters import Counters
from iris_communication.outbox.writer.snapshot import DEAD_SHOWN
from iris_communication.testing.memory_store import MemoryStore
from tests.unit.iris_communication.outbox.fake_parts import an_item

PROOF = Delivered("/in/1.csv", 4, "ab" * 32, None, 1.0)

# What may happen next: an event for one of the items there are (chosen by number), or a new item of a server.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.sampled_from(["iris@one:22", "iris@two:22"]), st.booleans()),
        st.tuples(st.sampled_from(list(Event)), st.integers(0, 30), st.floats(0, 1000)),
    ),
    max_size=30,
)


class World:
    """A store, the running picture of it, and all items ever."""

    def __init__(self):
        self.store = MemoryStore()
        self.counters = Counters(self.store)
        self.items = {}

    def do(self, change):
        self.store.commit([change])
        self.counters.count(change)
        self.items[change.item.id] = change.item

    def accept(self, server_key="iris@one:22", dead=False):
        number = len(self.items) + 1
        state = State.DEAD if dead else State.WAITING
        self.do(Insert(an_item(number, state, server_key=server_key, **({"fingerprint": None} if dead else {}))))
        return self.items[f"item-{number}"]

    def happen(self, event, item, due_s=0.0):
        """Whether the item's state knows the event."""
        try:
            state = next_state(item.state, event)
        except ValueError:
            return False
        if event is Event.RETRY and item.fingerprint is None:
            return False
        after = replace(item, state=state)
        if event is Event.DELIVER:
            self.do(Deliver(after, ledger.line(item.id, ledger.entry(item, PROOF)), item))
            return True
        if state in ENDED:
            self.do(End(after, Note(1.0, event, item.attempts), "no longer wanted", item))
            return True
        due = {Event.FAIL: Due("boot-1", due_s), Event.RETRY: None}.get(event, item.due)
        error = Failure("RemoteRefused", f"number {item.sequence}", "hint")
        self.do(Update(replace(after, due=due, last_error=error), item))
        return True


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_running_count_is_always_what_a_fresh_count_says(steps):
    world = World()
    for what, which, detail in steps:
        if what == "accept":
            world.accept(which, detail)
        elif world.items:
            world.happen(what, list(world.items.values())[which % len(world.items)], detail)
        view, fresh = world.counters.snapshot(), Counters(world.store).snapshot()
        tally = world.store.tally()
        stats = view.stats
        assert stats.total_queued == stats.total_uploaded + stats.total_failed + stats.queue_size == len(world.items)
        assert stats.total_uploaded == tally.delivered
        assert stats.total_failed == tally.dead + tally.dropped + tally.expired + tally.cancelled
        assert stats.queue_size == tally.waiting + tally.in_flight
        assert view.backlogs == fresh.backlogs
        assert view.spooled_bytes == fresh.spooled_bytes
        assert view.last_sequence == len(world.items)
        assert world.counters.next_expiry_s == world.store.next_expiry_s()
        assert view.oldest_accepted_s == (world.store.oldest_accepted_s() if stats.queue_size else None)
        assert {dead.id for dead in view.dead} == {dead.id for dead in fresh.dead}
    world.store.close()


@pytest.fixture
def world():
    world = World()
    yield world
    world.store.close()


def test_items_found_at_the_start_count_as_queued_and_items_delivered_before_do_not(world):
    waiting, delivered = world.accept(), world.accept()
    world.accept(dead=True)
    world.happen(Event.CLAIM, delivered)
    world.happen(Event.DELIVER, world.items[delivered.id])
    assert Counters(world.store).snapshot().stats == (2, 0, 1, 1)
    assert waiting.state is State.WAITING


def test_an_item_that_ended_undelivered_has_failed_and_holds_no_bytes_any_more(world):
    for event in (Event.DROP, Event.EXPIRE, Event.CANCEL):
        world.happen(event, world.accept())
    view = world.counters.snapshot()
    assert (view.stats, view.spooled_bytes, view.backlogs) == ((3, 0, 3, 0), 0, {})
    assert Counters(world.store).snapshot().stats == (0, 0, 0, 0)


def test_the_next_expiry_is_asked_for_again_once_the_first_has_expired(world):
    for number, boot_s in ((1, 50.0), (2, 20.0)):
        world.do(Insert(an_item(number, expires=Due("boot-1", boot_s))))
    assert world.counters.next_expiry_s == 20.0
    world.happen(Event.EXPIRE, world.items["item-2"])
    assert world.counters.next_expiry_s == 50.0


def test_a_servers_pause_and_breaker_are_in_the_next_picture(world):
    change = SetServer("iris@one:22", True, {"state": "open"})
    world.store.commit([change])
    world.counters.count(change)
    assert world.counters.snapshot().servers == {"iris@one:22": ServerState(True, {"state": "open"})}


def test_the_latest_dead_are_shown_and_no_more_than_people_read(world):
    items = [world.accept(dead=True) for _ in range(DEAD_SHOWN + 5)]
    shown = [dead.id for dead in world.counters.snapshot().dead]
    assert shown == [item.id for item in reversed(items)][:DEAD_SHOWN]


def test_dead_items_that_were_not_shown_move_up_when_others_wait_again(world):
    items = [world.accept() for _ in range(DEAD_SHOWN + 5)]
    for item in items:
        world.happen(Event.GIVE_UP, item)
    for item in items[5:]:
        world.happen(Event.RETRY, world.items[item.id])
    assert [dead.id for dead in world.counters.snapshot().dead] == [item.id for item in reversed(items[:5])]


def test_a_dead_item_says_what_it_died_of(world):
    world.happen(Event.GIVE_UP, world.accept())
    (dead,) = world.counters.snapshot().dead
    assert (dead.id, dead.error, dead.hint) == ("item-1", "number 1", "hint")


class Unreadable:
    """A disk that refuses to read."""

    def __getattr__(self, name):
        def refuse(*_):
            raise OutboxStorageError("cannot read")

        return refuse


def test_a_store_that_cannot_be_read_leaves_what_was_known(world):
    world.accept()
    before = world.counters.snapshot()
    world.counters.store = Unreadable()
    assert world.counters.snapshot() == before


def test_a_server_without_waiting_items_has_no_backlog(world):
    item = world.accept()
    world.happen(Event.CLAIM, item)
    assert world.counters.snapshot().backlogs == {}
