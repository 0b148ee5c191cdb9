"""The ends that are no deliveries: dropped, expired, cancelled."""

import math

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import ItemCancelled, ItemDropped, ItemExpired, LinkLost, RemoteNameKept, RemoteRefused
from iris_communication.item import Effect, Event
from iris_communication.outbox.orders import CancelItems, DropItems
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, open_writer

A_MONTH_S = 30 * 86_400.0


def drop(outbox, *receipts, kind=DropItems):
    """What became of each, once its bytes are gone too: who ordered is answered before that."""
    told = outbox.writer.execute(kind([receipt.id for receipt in receipts], "not wanted"))
    outbox.writer.flush()
    return told


def reasons(outbox):
    return dict(outbox.asked("SELECT id, reason FROM ended"))


def is_balanced(outbox):
    return Audit(outbox.folder).balance().problems == ()


@pytest.mark.parametrize(
    ("kind", "error", "state"),
    [(DropItems, ItemDropped, "dropped"), (CancelItems, ItemCancelled, "cancelled")],
)
def test_a_waiting_item_is_given_up_on_a_persons_word(outbox, source, kind, error, state):
    receipt = outbox.accept(source)
    assert drop(outbox, receipt, kind=kind) == {receipt.id: ""}
    assert outbox.recorded() == {receipt.id: state}
    assert reasons(outbox) == {receipt.id: "not wanted"}
    assert outbox.held() == []
    assert outbox.claim() == []
    assert outbox.stats == (1, 0, 1, 0)
    with pytest.raises(error, match=receipt.id):
        receipt.wait_delivered(LONG_S)
    assert is_balanced(outbox)


@pytest.mark.parametrize("ttl_s", [1e10, 1e300, math.inf])
def test_a_time_longer_than_any_wait_ends_no_thread_nor_keeps_an_outbox_from_being_opened(outbox, sources, ttl_s):
    outbox.accept(sources[0], ttl_s=ttl_s)
    outbox.accept(sources[1])
    assert [item.source_path for item in outbox.claim(5)] == [str(path) for path in sources[:2]]
    assert outbox.writer.thread()["restarts"] == 0


def test_the_dead_may_be_dropped_and_make_room(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"))
    assert drop(outbox, receipt) == {receipt.id: ""}
    assert outbox.held() == []
    assert outbox.stats == (1, 0, 1, 0)
    assert outbox.writer.snapshot.dead == ()
    assert outbox.writer.snapshot.spooled_bytes == 0
    assert is_balanced(outbox)


def test_items_under_way_delivered_or_gone_are_left_alone_and_that_is_said(outbox, sources):
    flying, delivered, dropped, waiting = (outbox.accept(path) for path in sources[:4])
    outbox.deliver(next(item for item in outbox.claim(2) if item.id == delivered.id))
    drop(outbox, dropped)
    told = drop(outbox, flying, delivered, dropped, waiting)
    assert told == {
        flying.id: "it is under way just now",
        delivered.id: "it is delivered",
        dropped.id: "it is dropped",
        waiting.id: "",
    }
    assert is_balanced(outbox)


def test_a_dropped_item_that_may_have_arrived_says_so(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.RELEASE, error=LinkLost("cut"), effect=Effect.UNKNOWN)
    drop(outbox, receipt)
    assert reasons(outbox) == {receipt.id: "not wanted; it may have arrived all the same"}


def test_an_item_that_ended_stays_ended_over_a_restart(folder, sources):
    with open_writer(folder) as opened:
        first, second = (opened.accept(path) for path in sources[:2])
        drop(opened, first)
    with open_writer(folder) as opened:
        assert opened.recorded() == {first.id: "dropped", second.id: "waiting"}
        assert opened.stats == (1, 0, 0, 1)
        assert opened.held() == [second.id]
        assert is_balanced(opened)


def test_a_file_the_server_keeps_another_one_for_is_dropped_and_says_why(outbox, source):
    receipt = outbox.accept(source)
    outbox.settle(outbox.claim()[0], Event.DROP, error=RemoteNameKept("another file has that name"))
    assert outbox.recorded() == {receipt.id: "dropped"}
    assert reasons(outbox) == {receipt.id: "another file has that name"}
    assert outbox.held() == []
    assert isinstance(receipt.outcome, RemoteNameKept)


# -- time to live


def test_an_item_that_waits_beyond_its_time_expires_and_is_never_handed_out(outbox, sources):
    short, long = outbox.accept(sources[0], ttl_s=60.0), outbox.accept(sources[1])
    outbox.clock.advance(60.0)
    assert [item.id for item in outbox.claim()] == [long.id]
    assert outbox.recorded()[short.id] == "expired"
    assert reasons(outbox) == {short.id: "not delivered within 60 s"}
    outbox.writer.flush()
    assert outbox.held() == [long.id]
    with pytest.raises(ItemExpired):
        short.wait_delivered(LONG_S)
    assert is_balanced(outbox)


def test_an_item_expires_by_itself_when_nobody_claims(folder, source):
    with open_writer(folder) as opened:
        receipt = opened.accept(source, ttl_s=0.05)
        opened.clock.advance(0.05)
        with pytest.raises(ItemExpired):
            receipt.wait_delivered(LONG_S)


def test_an_item_under_way_when_its_time_is_over_may_still_arrive(outbox, source):
    receipt = outbox.accept(source, ttl_s=60.0)
    (item,) = outbox.claim()
    outbox.clock.advance(61.0)
    outbox.deliver(item)
    assert outbox.recorded() == {receipt.id: "delivered"}


def test_an_item_that_comes_back_after_its_time_expires(outbox, source):
    receipt = outbox.accept(source, ttl_s=60.0)
    (item,) = outbox.claim()
    outbox.clock.advance(61.0)
    outbox.settle(item, Event.RELEASE, error=LinkLost("cut"))
    assert outbox.claim() == []
    assert outbox.recorded() == {receipt.id: "expired"}


def test_the_dead_do_not_expire(outbox, source):
    receipt = outbox.accept(source, ttl_s=60.0)
    outbox.settle(outbox.claim()[0], Event.GIVE_UP, error=RemoteRefused("no"))
    outbox.clock.advance(61.0)
    assert outbox.claim() == []
    assert outbox.recorded() == {receipt.id: "dead"}


@pytest.mark.parametrize("seconds", [A_MONTH_S, -A_MONTH_S])
def test_a_wall_clock_that_jumps_expires_nothing_and_keeps_nothing(outbox, sources, seconds):
    receipt = outbox.accept(sources[0], ttl_s=60.0)
    outbox.clock.jump_wall(seconds)
    outbox.clock.advance(59.0)
    assert [item.id for item in outbox.claim()] == [receipt.id]
    late = outbox.accept(sources[1], ttl_s=60.0)
    outbox.clock.advance(60.0)
    assert outbox.claim() == []
    assert outbox.recorded()[late.id] == "expired"


@pytest.mark.parametrize(("away_s", "state"), [(20.0, "in_flight"), (50.0, "expired")])
def test_the_time_to_live_goes_on_over_a_reboot(folder, source, away_s, state):
    with open_writer(folder) as opened:
        receipt = opened.accept(source, ttl_s=60.0)
        opened.clock.advance(10.0)
        wall_s = opened.clock.wall_s()
    clock = FakeClock(boot_id="after the reboot")
    clock.jump_wall(wall_s + away_s - clock.wall_s())
    with open_writer(folder, clock=clock) as opened:
        opened.claim()
        assert opened.recorded() == {receipt.id: state}
