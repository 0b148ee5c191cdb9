"""What may come in: a table of the limits, then any outbox and any newcomer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.decisions.admission import Admit, MakeRoom, Usage, admission, victims
from iris_communication.errors import OutboxFull
from iris_communication.item import State
from iris_communication.settings import Limits
from tests.unit.iris_communication.decisions.waiting_items import a_waiting_item

PROPERTY = settings(derandomize=True, deadline=None, database=None)
DROPPING = ["drop_oldest", "drop_lowest"]


def room(items=0, size_bytes=0):
    return MakeRoom(items, size_bytes, "the outbox is full", "wait")


@pytest.mark.parametrize(("items", "items_max"), [(0, 1), (99, 100)])
def test_a_newcomer_below_the_limit_comes_in(items, items_max):
    assert admission(Usage(items, 0, None), 10, items_max, Limits()) == Admit()


@pytest.mark.parametrize(("items", "items_max"), [(1, 1), (100, 100), (101, 100)])
def test_an_outbox_at_the_limit_is_full_and_says_how_full(items, items_max):
    with pytest.raises(OutboxFull, match=f"{items} of at most {items_max} file") as caught:
        admission(Usage(items, 0, None), 10, items_max, Limits())
    assert "queue the file again" in caught.value.hint
    assert "max_queue_size" in caught.value.hint


def test_bytes_are_counted_with_the_newcomer_up_to_the_limit_itself():
    limits = Limits(bytes_max=100)
    assert admission(Usage(1, 90, None), 10, 9, limits) == Admit()
    with pytest.raises(OutboxFull, match="90 bytes of at most 100 bytes; the file has 11 bytes") as caught:
        admission(Usage(1, 90, None), 11, 9, limits)
    assert "bytes_max" in caught.value.hint
    assert "dead" in caught.value.hint


def test_the_reserve_of_the_disk_stays_free_after_the_newcomer():
    limits = Limits(disk_reserve_bytes=100)
    assert admission(Usage(1, 0, 110), 10, 9, limits) == Admit()
    with pytest.raises(OutboxFull, match="109 bytes free and a reserve of 100 bytes; the file has 10") as caught:
        admission(Usage(1, 0, 109), 10, 9, limits)
    assert "disk_reserve_bytes" in caught.value.hint


def test_a_disk_that_does_not_tell_its_free_space_refuses_nothing():
    assert admission(Usage(1, 0, None), 10, 9, Limits(disk_reserve_bytes=100)) == Admit()


def test_the_disk_itself_says_when_it_is_full_without_a_reserve():
    assert admission(Usage(1, 0, 0), 10, 9, Limits()) == Admit()


@pytest.mark.parametrize("when_full", DROPPING)
def test_the_operator_may_choose_that_something_makes_room(when_full):
    limits = Limits(bytes_max=100, disk_reserve_bytes=50, when_full=when_full)
    asked = admission(Usage(9, 95, 45), 10, 9, limits)
    assert isinstance(asked, MakeRoom)
    assert (asked.items, asked.size_bytes) == (1, 15)  # one of the places; 5 bytes over the one, 15 over the other


@pytest.mark.parametrize("when_full", DROPPING)
@pytest.mark.parametrize(
    ("usage", "size_bytes"), [(Usage(1, 90, None), 101), (Usage(0, 0, 120), 21), (Usage(3, 20, 30), 10)]
)
def test_no_item_is_dropped_where_dropping_all_would_not_make_the_room(when_full, usage, size_bytes):
    limits = Limits(bytes_max=100, disk_reserve_bytes=100, when_full=when_full)
    with pytest.raises(OutboxFull):
        admission(usage, size_bytes, 9, limits)


def test_the_first_candidate_goes_and_no_more_than_needed():
    assert [item.sequence for item in victims(map(a_waiting_item, (1, 2, 3)), room(items=1), 0)] == [1]


def test_as_many_items_go_as_the_bytes_need():
    held = [a_waiting_item(number, size_bytes=4) for number in range(1, 9)]
    assert [item.sequence for item in victims(held, room(size_bytes=9), 0)] == [1, 2, 3]


def test_an_item_that_holds_no_bytes_does_not_go_for_bytes():
    held = [a_waiting_item(1, size_bytes=0), a_waiting_item(2, size_bytes=5)]
    assert [item.sequence for item in victims(held, room(size_bytes=5), 0)] == [2]


def test_an_item_more_urgent_than_the_newcomer_stays_and_its_equals_go():
    held = [a_waiting_item(1, priority=5), a_waiting_item(2, priority=0), a_waiting_item(3, priority=-1)]
    assert [item.sequence for item in victims(held, room(items=1), 0)] == [2]


def test_the_newcomer_is_refused_when_all_that_waits_is_more_urgent():
    with pytest.raises(
        OutboxFull, match=r"the outbox is full; dropping waiting files would not make enough room"
    ) as caught:
        victims([a_waiting_item(1, priority=5)], room(items=1), 0)
    assert caught.value.hint == "wait"


def test_an_item_under_way_is_never_dropped():
    with pytest.raises(OutboxFull):
        victims([a_waiting_item(1, state=State.IN_FLIGHT)], room(items=1), 0)


def test_a_long_backlog_is_not_read_to_drop_one():
    backlog = iter([a_waiting_item(number) for number in range(1, 1001)])
    victims(backlog, room(items=1), 0)
    assert len(list(backlog)) >= 998


HELD = st.lists(
    st.tuples(st.integers(0, 50), st.integers(-9, 9), st.sampled_from([State.WAITING, State.WAITING, State.IN_FLIGHT])),
    max_size=12,
)


@PROPERTY
@given(
    HELD,
    st.integers(0, 60),
    st.integers(-9, 9),
    st.integers(1, 12),
    st.none() | st.integers(1, 200),
    st.integers(0, 100),
    st.integers(0, 300),
    st.sampled_from(DROPPING),
)
def test_the_limits_hold_whoever_comes_in_and_no_urgent_item_goes(
    held, size_bytes, priority, items_max, bytes_max, reserve, disk, when_full
):
    items = [a_waiting_item(number, size, level, state) for number, (size, level, state) in enumerate(held, 1)]
    spool = sum(size for size, _, _ in held)
    limits = Limits(bytes_max=bytes_max, disk_reserve_bytes=reserve, when_full=when_full)
    usage = Usage(len(items), spool, max(0, disk - spool))
    if when_full == "drop_lowest":
        items.sort(key=lambda item: (item.priority, item.sequence))
    try:
        asked = admission(usage, size_bytes, items_max, limits)
        gone = [] if isinstance(asked, Admit) else victims(iter(items), asked, priority)
    except OutboxFull:
        droppable = [item for item in items if item.state is State.WAITING and item.priority <= priority]
        freed = sum(item.fingerprint.size_bytes for item in droppable)
        assert not fits(
            Usage(usage.items - len(droppable), usage.size_bytes - freed, usage.free_bytes + freed),
            size_bytes,
            items_max,
            limits,
        )
        return
    freed = sum(item.fingerprint.size_bytes for item in gone)
    after = Usage(usage.items - len(gone), usage.size_bytes - freed, usage.free_bytes + freed)
    assert fits(after, size_bytes, items_max, limits)
    assert all(item.state is State.WAITING and item.priority <= priority for item in gone)
    assert gone == sorted(gone, key=items.index)  # in the order they were offered
    if gone:
        last = gone[-1]
        freed_before = freed - last.fingerprint.size_bytes
        assert not fits(  # one less would not have done
            Usage(usage.items - len(gone) + 1, usage.size_bytes - freed_before, usage.free_bytes + freed_before),
            size_bytes,
            items_max,
            limits,
        )


def fits(usage, size_bytes, items_max, limits):
    """The limits once more, said the other way round."""
    return (
        usage.items < items_max
        and (limits.bytes_max is None or usage.size_bytes + size_bytes <= limits.bytes_max)
        and (not limits.disk_reserve_bytes or usage.free_bytes - size_bytes >= limits.disk_reserve_bytes)
    )
