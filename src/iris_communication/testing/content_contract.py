"""What every store has to keep of contents and of sources that are to be treated; part of `StoreContract`."""

from dataclasses import replace

from iris_communication.item import After, State
from iris_communication.outbox.store.contract import Insert, SourceTreated, Update
from iris_communication.testing.store_under_test import StoreUnderTest, make_item, raises_storage_error


class ContentContract(StoreUnderTest):
    def hold_content(self, number: int, content: bytes) -> None:
        self.store.commit([Insert(make_item(number, in_store=True), content=content)])

    def test_a_content_comes_back_by_the_id_of_its_item(self) -> None:
        self.hold_content(1, b"one")
        self.hold_content(2, b"")
        self.hold(make_item(3))
        items = list(self.store.unfinished())
        assert [item.in_store for item in items] == [True, True, False]
        assert self.store.contents(items) == {items[0].id: b"one", items[1].id: b""}
        assert self.store.contents([]) == {}

    def test_many_contents_come_back_at_once(self) -> None:
        items = [make_item(number, in_store=True) for number in range(1, 601)]
        self.store.commit([Insert(item, content=b"%d" % item.sequence) for item in items])
        assert self.store.contents(items) == {item.id: b"%d" % item.sequence for item in items}

    def test_a_content_stays_while_its_item_waits_is_sent_or_is_dead(self) -> None:
        self.hold_content(1, b"one")
        item = make_item(1, in_store=True)
        for state in (State.IN_FLIGHT, State.WAITING, State.IN_FLIGHT, State.DEAD):
            self.store.commit([Update(replace(item, state=state))])
            assert self.store.contents([item]) == {item.id: b"one"}

    def test_a_content_goes_with_its_item(self) -> None:
        for number, content in ((1, b"one"), (2, b"two")):
            self.hold_content(number, content)
        delivered, dropped = make_item(1, in_store=True), make_item(2, in_store=True)
        self.store.commit([self.deliver(delivered), self.end(dropped, State.DROPPED)])
        assert self.store.contents([delivered, dropped]) == {}

    def test_a_commit_that_fails_leaves_no_content(self) -> None:
        self.hold_content(1, b"one")
        new = Insert(make_item(2, in_store=True), content=b"two")
        assert raises_storage_error(lambda: self.store.commit([new, Insert(make_item(1))]))
        assert self.store.contents([make_item(2, in_store=True)]) == {}

    def test_a_source_that_is_to_go_is_noted_with_the_delivery_until_it_was_treated(self) -> None:
        kept, moved = make_item(1), make_item(2, after=After.MOVE, move_to="/sent")
        self.hold(kept, moved)
        assert self.store.source_actions() == []
        self.store.commit([self.deliver(kept)])
        self.store.commit([self.deliver(moved)])
        assert self.store.source_actions() == [moved.id]
        self.store.commit([SourceTreated(moved.id)])
        self.store.commit([SourceTreated(moved.id)])  # again: harmless
        assert self.store.source_actions() == []

    def test_tidying_loses_nothing(self) -> None:
        self.hold_content(1, b"one")
        for urgent in (False, True):
            self.store.tidy(0, urgent=urgent)
            assert self.store.contents([make_item(1, in_store=True)]) == {"item-000001": b"one"}
