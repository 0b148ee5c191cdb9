"""Part of StoreContract: which waiting items are sent next, and which expire or give way."""

from dataclasses import replace

from iris_communication.item import State
from iris_communication.outbox.store.contract import QueueKey, Tally, Update
from iris_communication.testing.store_under_test import (
    NOW_S,
    OTHER_SERVER,
    SERVER,
    StoreUnderTest,
    due,
    make_item,
    raises_storage_error,
)


class WaitingContract(StoreUnderTest):
    # -- what is sent next

    def test_fresh_items_come_in_order_of_acceptance(self) -> None:
        self.hold(make_item(3), make_item(1), make_item(2))
        assert self.fresh() == [1, 2, 3]

    def test_no_more_than_the_limit_comes(self) -> None:
        self.hold(*(make_item(number) for number in range(1, 6)))
        self.hold(*(make_item(number, due=due(-number)) for number in range(6, 11)))
        assert self.fresh(2) == [1, 2]
        assert self.due(2) == [10, 9]

    def test_looking_takes_nothing_away(self) -> None:
        self.hold(make_item(1))
        assert self.fresh(1) == self.fresh(1) == [1]

    def test_fresh_items_are_found_from_any_sequence_on(self) -> None:
        self.hold(*(make_item(number) for number in range(1, 6)))
        assert self.fresh(2, after=3) == [4, 5]
        assert self.fresh(after=5) == []

    def test_a_queue_key_shows_no_item_of_another_server_priority_or_batch(self) -> None:
        self.hold(
            make_item(1, server_key=OTHER_SERVER),
            make_item(2),
            make_item(3, server_key=OTHER_SERVER, due=due(0)),
            make_item(4, priority=1),
            make_item(5, batch="zip:/in"),
            make_item(6, priority=1, due=due(-1)),
            make_item(7, batch="zip:/in", due=due(-1)),
        )
        assert (self.fresh(), self.due()) == ([2], [])
        assert (self.fresh(10, OTHER_SERVER), self.due(10, OTHER_SERVER)) == ([1], [3])
        assert (self.fresh(queue=QueueKey(1, "")), self.due(queue=QueueKey(1, ""))) == ([4], [6])
        assert (self.fresh(queue=QueueKey(0, "zip:/in")), self.due(queue=QueueKey(0, "zip:/in"))) == ([5], [7])

    def test_the_queue_keys_of_a_server_are_those_that_have_waiting_items_highest_first(self) -> None:
        self.hold(
            make_item(1, priority=-1),
            make_item(2, priority=-1),
            make_item(3, priority=5, due=due(+100)),
            make_item(4, batch="zip:/in"),
            make_item(5),
            make_item(6, priority=9, state=State.IN_FLIGHT),
            make_item(7, priority=8, state=State.DEAD),
            make_item(8, priority=7, server_key=OTHER_SERVER),
            make_item(9, batch="tar.gz:/in", due=due(-1)),
            make_item(10, batch="zip:/in"),
        )
        expected = [(5, ""), (0, ""), (0, "tar.gz:/in"), (0, "zip:/in"), (-1, "")]
        assert self.store.queues_of(SERVER) == [QueueKey(*queue) for queue in expected]
        assert self.store.queues_of(OTHER_SERVER) == [QueueKey(7, "")]

    def test_an_item_of_another_priority_has_another_queue_key(self) -> None:
        item = make_item(1)
        self.hold(item)
        self.store.commit([Update(replace(item, priority=4))])
        assert self.store.queues_of(SERVER) == [QueueKey(4, "")]
        assert self.fresh(queue=QueueKey(4, "")) == [1]

    def test_a_queue_key_shows_only_what_waits(self) -> None:
        self.hold(make_item(1, state=State.IN_FLIGHT), make_item(2, state=State.DEAD), make_item(3))
        assert self.fresh() == [3]

    def test_a_retry_comes_when_it_is_due_and_not_before(self) -> None:
        self.hold(make_item(1, due=due(+0.001)), make_item(2, due=due(0)))
        assert self.due() == [2]

    def test_retries_come_longest_due_first(self) -> None:
        self.hold(make_item(1, due=due(-1)), make_item(2, due=due(-3)), make_item(3, due=due(-2)))
        assert self.due() == [2, 3, 1]

    def test_the_members_of_an_archive_come_together_whatever_their_state(self) -> None:
        self.hold(
            make_item(3, batch_id="batch-1", state=State.IN_FLIGHT),
            make_item(1, batch_id="batch-1"),
            make_item(2, batch_id="batch-2"),
            make_item(4),
        )
        assert [item.sequence for item in self.store.members("batch-1")] == [1, 3]

    # -- what expires, gives way or ends

    def test_what_expires_is_what_waits_and_whose_time_is_over(self) -> None:
        self.hold(
            make_item(1, expires=due(-1)),
            make_item(2, expires=due(-2)),
            make_item(3, expires=due(+0.001)),
            make_item(4, expires=due(-9), state=State.IN_FLIGHT),
            make_item(5, expires=due(-9), state=State.DEAD),
            make_item(6),
        )
        assert [item.sequence for item in self.store.expired(NOW_S, 10)] == [2, 1]
        assert [item.sequence for item in self.store.expired(NOW_S, 1)] == [2]
        assert self.store.next_expiry_s() == NOW_S - 2

    def test_what_would_give_way_is_what_waits_oldest_or_lowest_first(self) -> None:
        self.hold(
            make_item(1, priority=3, server_key=OTHER_SERVER),
            make_item(2, priority=-2),
            make_item(3, priority=-5, state=State.IN_FLIGHT),
            make_item(4, priority=-5, state=State.DEAD),
            make_item(5, priority=-2, due=due(+50)),
            make_item(6),
        )
        assert [item.sequence for item in self.store.oldest_waiting(9, 3)] == [1, 2, 5]
        assert [item.sequence for item in self.store.oldest_waiting(0, 3)] == [2, 5, 6]
        assert [item.sequence for item in self.store.lowest_waiting(3)] == [2, 5, 6]

    def test_owed_bytes_are_those_of_everything_that_is_not_over(self) -> None:
        delivered, dropped = make_item(4), make_item(5)
        self.hold(
            make_item(1),
            make_item(2, state=State.IN_FLIGHT),
            make_item(3, state=State.DEAD),
            delivered,
            dropped,
            make_item(6, state=State.DEAD, fingerprint=None),
        )
        self.store.commit([self.deliver(delivered), self.end(dropped, State.DROPPED)])
        assert self.store.owed_bytes() == 30

    def test_what_ended_is_owed_no_more_and_counted_by_its_state(self) -> None:
        items = [make_item(number) for number in (1, 2, 3, 4)]
        self.hold(*items)
        states = (State.DROPPED, State.EXPIRED, State.CANCELLED)
        self.store.commit([self.end(item, state) for item, state in zip(items, states, strict=False)])
        assert self.store.tally() == Tally(waiting=1, dropped=1, expired=1, cancelled=1)
        assert [self.store.state(item.id) for item in items] == ["dropped", "expired", "cancelled", "waiting"]
        assert [item.sequence for item in self.store.unfinished()] == [4]
        assert list(self.store.owed_names()) == ["4.csv"]
        assert self.store.last_sequence() == 4

    def test_nothing_ends_twice(self) -> None:
        item = make_item(1)
        self.hold(item)
        self.store.commit([self.end(item, State.DROPPED)])
        assert raises_storage_error(lambda: self.store.commit([self.end(item, State.EXPIRED)]))
        assert self.store.tally() == Tally(dropped=1)
