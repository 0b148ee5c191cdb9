"""What every store has to keep: a suite for any implementation of `iris_communication.outbox.store.contract.Store`.

    class TestMyStore(StoreContract):
        def open_store(self):
            return MyStore(...)

pytest finds the methods by their names; each test gets a new instance and an empty store, closed afterwards. Only
plain asserts are used, so any runner that makes an instance per test, calls a `test_` method and then
`teardown_method` will do.
"""

from dataclasses import replace

from iris_communication.errors import Effect
from iris_communication.item import After, Failure, Fingerprint, State, Take
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import (
    Backlog,
    Change,
    Insert,
    QueueKey,
    ServerState,
    SetServer,
    Tally,
    Update,
)
from iris_communication.outbox.store.ledger import GENESIS
from iris_communication.testing.content_contract import ContentContract
from iris_communication.testing.store_under_test import (
    BOOT_ID,
    NOW_S,
    OTHER_SERVER,
    QUEUE,
    SERVER,
    due,
    make_item,
    raises_storage_error,
)
from iris_communication.testing.waiting_contract import WaitingContract

__all__ = ["BOOT_ID", "NOW_S", "OTHER_SERVER", "QUEUE", "SERVER", "StoreContract", "due", "make_item"]


class StoreContract(ContentContract, WaitingContract):
    # -- nothing yet

    def test_an_empty_store_owes_nothing(self) -> None:
        assert self.store.tally() == Tally()
        assert self.store.backlogs() == {}
        assert self.store.queues_of(SERVER) == []
        assert self.fresh() == self.due() == []
        assert self.store.oldest_waiting(9, 10) == self.store.lowest_waiting(10) == self.store.expired(NOW_S, 10) == []
        assert self.store.next_expiry_s() is None
        assert self.store.owed_bytes() == 0
        assert self.store.server_states() == {}
        assert self.store.members("batch") == []
        assert self.store.item("item-000001") is None
        assert self.store.line_of("item-000001") is None
        assert self.store.next_due_s(SERVER) is None
        assert self.store.last_sequence() == 0
        assert self.store.ledger_head() == GENESIS
        assert list(self.store.ledger()) == []
        assert list(self.store.unfinished()) == []
        assert self.store.dead(10) == []
        assert list(self.store.owed_names()) == []
        assert self.store.oldest_accepted_s() is None
        assert self.store.state("item-000001") is None

    # -- what goes in comes out

    def test_every_field_of_an_item_comes_back_as_it_was(self) -> None:
        item = make_item(
            7,
            source_path="/records/a\nb '\"\udcff\udc80.csv",
            remote_path="/in/" + "\u00fc" * 127 + "x",  # a name of 255 bytes
            folder_type="classifier",
            project_settings={"project": "Linie \u00e4", "shift": 3, "nested": {"list": [1, 2.5, None, True]}},
            take=Take.MOVE,
            fingerprint=Fingerprint(2**64 - 1, 2**63 + 5, 2**40, -1, "cd" * 32),
            state=State.WAITING,
            attempts=3,
            due=due(-1),
            token="0011223344556677",  # noqa: S106 - the name of a temporary file
            earlier_tokens=("8899aabbccddeeff", "ffeeddccbbaa9988"),
            effect=Effect.UNSEEN,
            last_error=Failure("RemoteRefused", "no \udcff right", "ask the owner"),
            priority=-9,
            batch="zip:/in/\u00fc",
            batch_id="batch-1",
            ttl_s=0.25,
            expires=due(+0.5),
            after=After.MOVE,
            move_to="/sent/\udcff",
            durable_s=1_700_000_000.75,
            in_store=True,
        )
        self.hold(item)
        assert self.store.due(SERVER, QueueKey(-9, item.batch), NOW_S, 1) == [item]
        assert self.store.item(item.id) == item
        assert list(self.store.unfinished()) == [item]

    def test_every_effect_comes_back(self) -> None:
        items = [make_item(number, effect=effect) for number, effect in enumerate(Effect, 1)]
        self.hold(*items)
        assert list(self.store.unfinished()) == items

    def test_an_item_without_bytes_is_kept_as_dead(self) -> None:
        item = make_item(1, fingerprint=None, state=State.DEAD, last_error=Failure("SourceMissing", "gone", ""))
        self.hold(item)
        assert self.store.dead(1) == [item]

    def test_an_update_changes_what_may_change(self) -> None:
        item = make_item(1)
        self.hold(item)
        changed = replace(
            item,
            attempts=2,
            due=due(-5),
            token="ff",  # noqa: S106 - the name of a temporary file
            earlier_tokens=("ee",),
            effect=Effect.UNKNOWN,
            last_error=Failure("LinkLost", "cut", "wait"),
            priority=9,
            batch="tar.gz:/in",
            batch_id="batch-1",
            ttl_s=7.0,
            expires=due(+5),
            durable_s=1_700_000_001.0,
        )
        self.store.commit([Update(changed)])
        assert self.store.due(SERVER, QueueKey(9, "tar.gz:/in"), NOW_S, 1) == [changed]

    def test_what_a_failed_attempt_left_can_be_taken_back(self) -> None:
        item = make_item(1, attempts=8, due=due(-5), last_error=Failure("LinkLost", "cut", "wait"))
        self.hold(item)
        fresh = replace(item, attempts=0, due=None, last_error=None)
        self.store.commit([Update(fresh)])
        assert self.store.fresh(SERVER, QUEUE, 0, 1) == [fresh]

    # -- all or none

    def test_a_commit_with_one_impossible_change_changes_nothing(self) -> None:
        first = make_item(1)
        self.hold(first)
        changes: list[Change] = [
            Insert(make_item(2)),
            Update(replace(first, state=State.IN_FLIGHT)),
            self.deliver(first),
            Insert(make_item(3, id=make_item(2).id)),  # that id is taken
        ]
        assert raises_storage_error(lambda: self.store.commit(changes))
        assert self.store.tally() == Tally(waiting=1)
        assert list(self.store.unfinished()) == [first]
        assert self.store.last_sequence() == 1
        assert self.store.ledger_head() == GENESIS

    def test_a_store_goes_on_after_a_refused_commit(self) -> None:
        self.hold(make_item(1))
        assert raises_storage_error(lambda: self.hold(make_item(2, id=make_item(1).id)))
        self.hold(make_item(2))
        assert self.store.tally() == Tally(waiting=2)

    def test_nothing_is_delivered_twice(self) -> None:
        item = make_item(1)
        self.hold(item)
        delivery = self.deliver(item)
        self.store.commit([delivery])
        assert raises_storage_error(lambda: self.store.commit([delivery]))
        assert self.store.tally() == Tally(delivered=1)

    def test_many_changes_travel_in_one_commit(self) -> None:
        first, second, third = (make_item(number) for number in (1, 2, 3))
        self.hold(first, second)
        self.store.commit(
            [
                Update(replace(first, state=State.IN_FLIGHT)),
                Insert(third),
                self.deliver(second),
                Update(replace(first, state=State.DEAD)),
            ]
        )
        assert self.store.tally() == Tally(waiting=1, dead=1, delivered=1)

    # -- facts of servers

    def test_what_is_known_of_a_server_comes_back_as_it_was_last_said(self) -> None:
        breaker = {"state": "open", "failures": 3, "words": "no \u00e4nswer"}
        self.store.commit(
            [SetServer(SERVER, paused=True, breaker=breaker), SetServer(OTHER_SERVER, paused=False, breaker=None)]
        )
        assert self.store.server_states() == {
            SERVER: ServerState(paused=True, breaker=breaker),
            OTHER_SERVER: ServerState(),
        }
        self.store.commit([SetServer(SERVER, paused=False, breaker=None)])
        assert self.store.server_states() == {SERVER: ServerState(), OTHER_SERVER: ServerState()}

    def test_each_server_has_its_backlog(self) -> None:
        self.hold(
            make_item(1),
            make_item(2),
            make_item(3, due=due(7)),
            make_item(4, due=due(5)),
            make_item(5, server_key=OTHER_SERVER, state=State.IN_FLIGHT),
            make_item(6, server_key=OTHER_SERVER),
        )
        assert self.store.backlogs() == {
            SERVER: Backlog(fresh=2, retrying=2, next_due_s=NOW_S + 5),
            OTHER_SERVER: Backlog(fresh=1, retrying=0, next_due_s=None),
        }

    def test_what_may_travel_together_is_counted_while_it_is_fresh(self) -> None:
        self.hold(
            make_item(1),
            make_item(2, batch="zip:/in"),
            make_item(3, batch="tar.gz:/in"),
            make_item(4, batch="zip:/in", due=due(5)),
            make_item(5, batch="zip:/in", state=State.DEAD),
        )
        assert self.store.backlogs() == {SERVER: Backlog(fresh=3, retrying=1, next_due_s=NOW_S + 5, batched=2)}

    def test_the_next_retry_is_known_by_server(self) -> None:
        self.hold(
            make_item(1, due=due(7)),
            make_item(2, due=due(5)),
            make_item(3, due=due(1), state=State.DEAD),
            make_item(4, due=due(2), server_key=OTHER_SERVER),
        )
        assert self.store.next_due_s(SERVER) == NOW_S + 5

    # -- tally, ledger, states

    def test_the_tally_follows_every_change_in_the_same_commit(self) -> None:
        item = make_item(1)
        steps: list[tuple[list[Change], Tally]] = [
            ([Insert(item)], Tally(waiting=1)),
            ([Update(replace(item, state=State.IN_FLIGHT))], Tally(in_flight=1)),
            ([Update(replace(item, state=State.WAITING))], Tally(waiting=1)),
            ([Update(replace(item, state=State.DEAD))], Tally(dead=1)),
            ([Update(replace(item, state=State.WAITING))], Tally(waiting=1)),
            ([Update(replace(item, state=State.WAITING, attempts=1))], Tally(waiting=1)),
            ([self.deliver(item)], Tally(delivered=1)),
        ]
        for changes, expected in steps:
            self.store.commit(changes)
            assert self.store.tally() == expected

    def test_a_sequence_is_never_given_again_after_its_item_is_delivered(self) -> None:
        first, second = make_item(1), make_item(2)
        self.hold(first, second)
        self.store.commit([self.deliver(second)])
        assert self.store.last_sequence() == 2
        self.store.commit([self.deliver(first)])
        assert self.store.last_sequence() == 2

    def test_the_ledger_is_a_chain_in_order_of_delivery(self) -> None:
        items = [make_item(number) for number in (1, 2, 3)]
        self.hold(*items)
        for item in reversed(items):
            self.store.commit([self.deliver(item)])
        lines = list(self.store.ledger())
        assert [f'"id":"{item.id}"' in line.text for item, line in zip(reversed(items), lines, strict=True)] == [
            True
        ] * 3
        assert ledger.first_broken(lines) is None
        assert self.store.ledger_head() == lines[-1].hash
        assert [self.store.line_of(item.id) for item in reversed(items)] == lines

    def test_every_id_is_in_exactly_one_state(self) -> None:
        waiting, flying, dead, delivered = (make_item(number) for number in (1, 2, 3, 4))
        self.hold(waiting, replace(flying, state=State.IN_FLIGHT), replace(dead, state=State.DEAD), delivered)
        self.store.commit([self.deliver(delivered)])
        found = [self.store.state(item.id) for item in (waiting, flying, dead, delivered)]
        assert found == ["waiting", "in_flight", "dead", "delivered"]
        assert self.store.state("item-000005") is None

    def test_unfinished_is_what_waits_or_flies_in_order_of_acceptance(self) -> None:
        self.hold(
            make_item(4, state=State.IN_FLIGHT),
            make_item(2, due=due(50)),
            make_item(3, state=State.DEAD),
            make_item(1, server_key=OTHER_SERVER),
        )
        assert [item.sequence for item in self.store.unfinished()] == [1, 2, 4]

    def test_the_dead_come_newest_first_up_to_the_limit(self) -> None:
        self.hold(make_item(1), *(make_item(number, state=State.DEAD) for number in (2, 3, 4)))
        assert [item.sequence for item in self.store.dead(2)] == [4, 3]

    def test_owed_are_the_file_names_of_all_that_is_not_delivered(self) -> None:
        delivered = make_item(4)
        self.hold(
            make_item(1, source_path="/records/line-1/ready/\udcff a.csv"),
            make_item(2, source_path="/records/b.csv", state=State.IN_FLIGHT),
            make_item(3, source_path="/records/c.csv", state=State.DEAD),
            delivered,
        )
        self.store.commit([self.deliver(delivered)])
        assert sorted(self.store.owed_names()) == ["b.csv", "c.csv", "\udcff a.csv"]

    def test_the_oldest_is_the_first_that_is_still_owed(self) -> None:
        self.hold(make_item(1, state=State.DEAD), make_item(2, state=State.IN_FLIGHT), make_item(3))
        assert self.store.oldest_accepted_s() == make_item(2).accepted_s
