import asyncio
import contextlib
import itertools
import threading
from types import SimpleNamespace

import pytest

from iris_communication.delivery import worker as worker_module
from iris_communication.delivery.claims import CLAIM_MAX, DENSE_FILES, DENSE_PAUSE_S, TRICKLE_PAUSE_S, URGENT_FILES
from iris_communication.delivery.outcomes import CLAIM_PAUSE_S
from iris_communication.delivery.worker import START_MAX, Drain, Worker
from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    Effect,
    LinkLost,
    OutboxStorageError,
    RemoteDiskFull,
    RemoteNameRefused,
    RemoteRefused,
)
from iris_communication.item import Delivered, Event
from iris_communication.settings import DeliverySettings
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

SETTINGS = DeliverySettings(attempts_max=3, breaker_base_s=10.0, breaker_cap_s=60.0, retry_base_s=4.0)
A_DAY_S = 86_400.0


class Running:
    """A worker on its loop, with all that it touches."""

    def __init__(self, writer, carrier, clock):
        self.writer, self.carrier, self.clock = writer, carrier, clock
        self.worker = Worker(writer, carrier, SETTINGS, clock, jitter=lambda: 0.5)
        self.task = asyncio.get_running_loop().create_task(self.worker.run())

    async def pass_time(self, seconds):
        """The clock goes on, and the worker looks at it as if its own timer had rung."""
        self.clock.advance(seconds)
        self.worker.wake()
        await turns()

    async def drain(self, timeout_s=10.0, may_connect=True):
        self.worker.drain(Drain(self.clock.monotonic_s() + timeout_s, may_connect))
        await turns()

    @property
    def destination(self):
        return self.worker.details()[ONE]


def run(story, slots=3):
    """Tell one story to a worker, then end it and make sure that it holds nothing back."""

    async def tell():
        clock = FakeClock()
        writer, carrier = FakeWriter(clock), FakeCarrier(slots)
        line = Running(writer, carrier, clock)
        await turns()
        try:
            await story(line, writer, carrier)
        finally:
            line.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ZeroDivisionError):
                await line.task

    asyncio.run(asyncio.wait_for(tell(), LONG_S))


# -- take, carry, settle ---------------------------------------------------------------------------------------------


def test_items_are_started_in_order_of_acceptance_and_as_many_as_there_are_slots():
    async def story(line, writer, carrier):
        items = writer.accept(5)
        await turns()
        assert carrier.started == [item.id for item in items[:3]]

    run(story)


def test_a_delivered_item_is_settled_with_its_proof():
    async def story(line, writer, carrier):
        (item,) = writer.accept()
        await turns()
        carrier.deliver()
        await turns()
        (settle,) = writer.settled
        assert (settle.item.id, settle.event, settle.delivered.final_path) == (item.id, Event.DELIVER, "/in/x.csv")

    run(story)


def test_the_next_item_starts_as_soon_as_one_ends_without_waiting_for_its_record():
    async def story(line, writer, carrier):
        writer.tells_of_settlements = False
        first, second = writer.accept(2)
        await turns()
        carrier.deliver()
        await turns()
        assert carrier.started == [first.id, second.id]

    run(story, slots=1)


def test_a_window_more_is_claimed_while_items_are_under_way_and_no_more():
    async def story(line, writer, carrier):
        writer.accept(50)
        await turns()
        assert len(writer.waiting[ONE]) == 50 - 6

    run(story)


def test_a_claim_is_never_larger_than_one_commit_should_be():
    async def story(line, writer, carrier):
        writer.accept(1000)
        await turns()
        assert max(limit for _, limit, _ in writer.claims) == CLAIM_MAX

    run(story, slots=500)


@pytest.mark.parametrize(
    ("ready", "slots", "urgent"),
    [(URGENT_FILES, 100, True), (URGENT_FILES - 1, 100, False), (100, URGENT_FILES - 1, False)],
)
def test_a_claim_of_many_files_that_the_link_has_room_for_is_urgent(ready, slots, urgent):
    async def story(line, writer, carrier):
        writer.accept(ready)
        await turns()
        assert writer.urgent[0] is urgent

    run(story, slots=slots)


def test_a_claim_ahead_of_a_full_link_is_not_urgent():
    async def story(line, writer, carrier):
        writer.accept(5 * CLAIM_MAX)
        await turns()
        assert len(writer.claims) == 2
        assert writer.urgent[-1] is False

    run(story, slots=CLAIM_MAX)


def test_each_server_has_one_claim_at_a_time():
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept(20)
        await turns()
        writer.accept(20)
        await line.pass_time(1.0)
        assert len(writer.claims) == 1

    run(story)


def test_a_claim_that_brought_nothing_is_repeated_after_a_pause_and_not_at_once():
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept()
        await turns()
        writer.answer_claim(items=[])
        await turns()
        assert len(writer.claims) == 1
        writer.answers_claims = True
        await line.pass_time(CLAIM_PAUSE_S)
        assert len(carrier.started) == 1

    run(story)


def test_one_server_never_waits_for_another():
    async def story(line, writer, carrier):
        writer.accept(10, ONE)
        await turns()
        (other,) = writer.accept(1, TWO)
        await turns()
        assert other.id in carrier.started
        carrier.fail(LinkLost("gone"), other)
        await turns()
        carrier.deliver()
        await turns()
        assert len(carrier.carrying) == 3

    run(story)


def test_a_new_slot_is_used_at_once():
    async def story(line, writer, carrier):
        writer.accept(5)
        await turns()
        carrier.slots_of[ONE] = 5
        carrier.on_change()
        await turns()
        assert len(carrier.carrying) == 5

    run(story, slots=1)


# -- blame -----------------------------------------------------------------------------------------------------------


def test_a_link_error_costs_no_item_an_attempt_and_each_is_released_once():
    async def story(line, writer, carrier):
        writer.accept(3)
        await turns()
        carrier.fail(LinkLost("gone"))
        await turns()
        assert list(writer.what_became().values()) == [[Event.RELEASE]] * 3
        assert all(item.attempts == 0 for item in writer.waiting[ONE])

    run(story)


def test_a_link_that_is_down_is_not_tried_until_one_probe_and_then_all_items_go():
    async def story(line, writer, carrier):
        writer.accept(30)
        await turns()
        carrier.fail(LinkLost("gone"))
        await turns()
        carrier.started.clear()
        await line.pass_time(7.4)  # the first wait is 10 s, of which the upper half is random: 7.5 s here
        assert carrier.started == []
        await line.pass_time(0.2)
        assert len(carrier.started) == 1
        await line.pass_time(100.0)
        assert len(carrier.started) == 1
        carrier.deliver()
        await turns()
        assert len(carrier.carrying) == 3

    run(story)


def test_each_probe_that_fails_makes_the_wait_longer():
    async def story(line, writer, carrier):
        writer.accept(3)
        await turns()
        carrier.fail(LinkLost("gone"))
        await turns()
        waits = []
        for _ in range(5):
            waits.append(line.destination["retry_in_s"])
            await line.pass_time(waits[-1])
            carrier.fail(ConnectionRefused("refused"))
            await turns()
        assert waits == [7.5, 15.0, 30.0, 45.0, 45.0]

    run(story)


def test_an_item_error_costs_that_item_an_attempt_and_the_others_go_on(caplog):
    async def story(line, writer, carrier):
        bad, *_ = writer.accept(6)
        await turns()
        carrier.fail(RemoteRefused("no permission"), bad)
        await turns()
        assert writer.what_became() == {bad.id: [Event.FAIL]}
        assert writer.settled[0].delay_s == 2.0
        assert len(carrier.carrying) == 3
        assert line.destination["link"] == "up"

    run(story)
    assert "no permission" in caplog.text


def test_a_failed_item_is_tried_again_when_it_is_due_and_given_up_after_its_last_attempt():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        for delay_s in (2.0, 4.0):
            carrier.fail(RemoteRefused("no"))
            await turns()
            await line.pass_time(delay_s - 0.1)
            assert carrier.carrying == {}
            await line.pass_time(0.2)
            assert len(carrier.carrying) == 1
        carrier.fail(RemoteRefused("no"))
        await turns()
        assert writer.what_became() == {"item-1": [Event.FAIL, Event.FAIL, Event.GIVE_UP]}

    run(story)


def test_an_item_that_no_attempt_would_help_is_given_up_at_once():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        carrier.fail(RemoteNameRefused("that name"))
        await turns()
        assert writer.what_became() == {"item-1": [Event.GIVE_UP]}

    run(story)


def test_an_error_that_nobody_foresaw_is_logged_with_its_traceback_and_that_item_alone_suffers(caplog):
    async def story(line, writer, carrier):
        bad, *_ = writer.accept(2)
        await turns()
        carrier.fail(ZeroDivisionError("what?"), bad)
        await turns()
        carrier.deliver()
        await turns()
        assert writer.what_became() == {bad.id: [Event.FAIL], "item-2": [Event.DELIVER]}
        assert writer.settled[0].effect is Effect.UNSEEN

    run(story)
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError: what?" in caplog.text


def test_an_attempt_that_ends_nobody_knows_how_never_makes_a_sent_rename_forgotten():
    """Were the temp file, and not the rename, looked for, a file that was already collected would be sent again."""

    async def story(line, writer, carrier):
        unforeseen, cancelled = writer.accept(2, effect=Effect.UNKNOWN, token="t")
        await turns()
        carrier.fail(ZeroDivisionError("what?"), unforeseen)
        carrier.ends_on_close = False
        await turns()
        line.task.cancel()
        await turns()
        with contextlib.suppress(asyncio.CancelledError):
            await line.task
        assert {settle.item.id: settle.effect for settle in writer.settled} == {
            unforeseen.id: Effect.UNKNOWN,
            cancelled.id: Effect.UNKNOWN,
        }

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker_module, "CLOSE_GRACE_S", 0.01)
        run(story)


def test_a_full_server_pauses_its_destination_and_costs_nobody_anything():
    async def story(line, writer, carrier):
        writer.accept(10)
        await turns()
        carrier.fail(RemoteDiskFull("full"))
        await turns()
        assert set(map(tuple, writer.what_became().values())) == {(Event.RELEASE,)}
        assert line.destination["link"] == "down"
        assert "delivery resumes by itself" in line.destination["hint"]

    run(story)


def test_a_disk_of_ours_that_refuses_costs_no_item_an_attempt_and_is_not_hammered():
    async def story(line, writer, carrier):
        writer.accept(10)
        await turns()
        for _ in range(12):
            carrier.fail(OutboxStorageError("cannot hand out: no space left"))
            await turns()
        assert len(carrier.started) == 3
        assert all(item.attempts == 0 for item in writer.waiting[ONE])
        await line.pass_time(CLAIM_PAUSE_S)
        assert len(carrier.started) == 6

    run(story)


def test_a_wrong_password_is_not_tried_again_by_itself(caplog):
    async def story(line, writer, carrier):
        writer.accept(5)
        await turns()
        carrier.fail(AuthenticationFailed("refused"))
        await turns()
        for _ in range(10):
            await line.pass_time(A_DAY_S)
        assert len(carrier.started) == 1
        assert line.destination["retry_in_s"] is None
        assert "pass the server again" in line.destination["hint"]

    run(story, slots=1)
    assert "nothing is tried until that is mended" in caplog.text


def test_new_facts_about_a_server_release_it():
    async def story(line, writer, carrier):
        writer.accept(5)
        await turns()
        carrier.fail(AuthenticationFailed("refused"))
        await turns()
        line.worker.server_changed(TWO)
        await turns()
        assert len(carrier.started) == 1
        line.worker.server_changed(ONE)
        await turns()
        carrier.deliver()
        await turns()
        assert line.destination["link"] == "up"

    run(story, slots=1)


def test_the_writer_is_asked_to_tell_about_new_facts():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        carrier.fail(AuthenticationFailed("refused"))
        await turns()
        writer._server_changed(ONE)
        await turns()
        assert len(carrier.started) == 2

    run(story, slots=1)


def test_new_facts_that_come_while_the_old_ones_are_tried_are_tried_too():
    """Or a password that was corrected in that second would never be used."""

    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        line.worker.server_changed(ONE)
        await turns()
        carrier.fail(AuthenticationFailed("the old password is refused"))
        await turns()
        carrier.deliver()
        await turns()
        assert writer.what_became() == {"item-1": [Event.RELEASE, Event.DELIVER]}

    run(story, slots=1)


# -- draining --------------------------------------------------------------------------------------------------------


def test_a_drain_with_no_files_to_send_ends_at_once():
    async def story(line, writer, carrier):
        await line.drain()
        assert line.task.done()
        assert carrier.closed

    run(story)


def test_a_drain_sends_all_that_waits_and_ends():
    async def story(line, writer, carrier):
        writer.accept(20)
        await turns()
        await line.drain()
        while carrier.carrying:
            assert not line.task.done()
            carrier.deliver()
            await turns()
        assert line.task.done()
        assert len(writer.what_became()) == 20

    run(story)


def test_a_drain_does_not_wait_for_a_server_whose_link_is_down():
    async def story(line, writer, carrier):
        writer.accept(20)
        await turns()
        carrier.fail(LinkLost("gone"))
        await turns()
        await line.drain()
        assert line.task.done()
        assert len(writer.waiting[ONE]) == 20

    run(story)


def test_a_drain_does_not_wait_for_a_probe():
    async def story(line, writer, carrier):
        (item,) = writer.accept()
        await turns()
        carrier.fail(LinkLost("gone"))
        await turns()
        await line.pass_time(60.0)
        assert len(carrier.carrying) == 1
        await line.drain()
        assert line.task.done()
        assert writer.what_became()[item.id] == [Event.RELEASE, Event.RELEASE]

    run(story)


def test_a_drain_goes_on_with_one_server_while_another_is_down():
    async def story(line, writer, carrier):
        (lost,) = writer.accept(1, ONE)
        writer.accept(4, TWO)
        await turns()
        carrier.fail(LinkLost("gone"), lost)
        await line.drain()
        assert not line.task.done()
        carrier.deliver()
        await turns()
        carrier.deliver()
        await turns()
        assert line.task.done()

    run(story)


def test_a_drain_that_begins_before_the_link_breaks_ends_when_it_does():
    async def story(line, writer, carrier):
        writer.accept(20)
        await turns()
        await line.drain()
        carrier.fail(LinkLost("gone"))
        await turns()
        assert line.task.done()
        assert len(writer.waiting[ONE]) == 20

    run(story)


def test_a_drain_ends_at_its_deadline_and_what_was_under_way_waits_again():
    async def story(line, writer, carrier):
        writer.accept(5)
        await turns()
        await line.drain(timeout_s=10.0)
        await line.pass_time(9.9)
        assert not line.task.done()
        await line.pass_time(0.1)
        assert line.task.done()
        assert len(writer.waiting[ONE]) == 5

    run(story)


def test_a_drain_does_not_wait_for_an_item_that_is_due_later():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        carrier.fail(RemoteRefused("no"))
        await line.drain()
        assert line.task.done()

    run(story)


def test_a_drain_that_may_not_connect_leaves_servers_alone_that_are_not_connected():
    async def story(line, writer, carrier):
        carrier.unconnected.add(ONE)
        line.worker.drain(Drain(line.clock.monotonic_s() + 10.0, may_connect=False))
        writer.accept(5)
        await turns()
        assert line.task.done()
        assert carrier.started == []

    run(story)


def test_a_drain_that_may_not_connect_uses_the_connections_there_are():
    async def story(line, writer, carrier):
        writer.accept(2)
        line.worker.drain(Drain(line.clock.monotonic_s() + 10.0, may_connect=False))
        await turns()
        carrier.deliver()
        await turns()
        assert line.task.done()
        assert len(writer.what_became()) == 2

    run(story)


def test_a_file_accepted_while_draining_is_sent_too():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        await line.drain()
        (late,) = writer.accept()
        await line.pass_time(TRICKLE_PAUSE_S)
        carrier.deliver()
        await turns()
        assert writer.what_became()[late.id] == [Event.DELIVER]

    run(story)


# -- whatever ends it, everything is settled -------------------------------------------------------------------------


def all_released(writer, count):
    assert sorted(item.sequence for item in writer.waiting[ONE]) == list(range(1, count + 1))
    assert all(len(events) == 1 for events in writer.what_became().values())


def test_claimed_items_that_were_never_begun_are_released_as_untouched():
    async def story(line, writer, carrier):
        writer.accept(6)
        await turns()
        line.task.cancel()
        await turns()
        assert line.task.done()
        all_released(writer, 6)
        untouched = [settle for settle in writer.settled if settle.item.id not in carrier.started]
        assert {settle.effect for settle in untouched} == {Effect.NONE}

    run(story)


def test_a_loop_that_fails_by_itself_releases_everything_and_says_why():
    async def story(line, writer, carrier):
        writer.accept(6)
        await turns()
        carrier.slots = lambda server_key: 1 / 0
        line.worker.wake()
        await turns()
        with pytest.raises(ZeroDivisionError):
            line.task.result()
        all_released(writer, 6)

    run(story)


def test_a_carrier_that_does_not_end_is_broken_off_and_nobody_knows_how_far_it_got(monkeypatch):
    monkeypatch.setattr(worker_module, "CLOSE_GRACE_S", 0.01)

    async def story(line, writer, carrier):
        carrier.ends_on_close = False
        writer.accept(6)
        await turns()
        await line.drain(timeout_s=0.0)
        await line.task
        all_released(writer, 6)
        begun = [settle for settle in writer.settled if settle.item.id in carrier.started]
        assert {settle.effect for settle in begun} == {Effect.UNSEEN}

    run(story)


def test_a_carrier_that_fails_to_close_keeps_nothing_from_being_released(monkeypatch, caplog):
    monkeypatch.setattr(worker_module, "CLOSE_GRACE_S", 0.01)

    async def story(line, writer, carrier):
        async def failing():
            raise ZeroDivisionError("cannot close")

        carrier.close = failing
        writer.accept(6)
        await turns()
        await line.drain(timeout_s=0.0)
        await line.task
        all_released(writer, 6)

    run(story)
    assert "cannot close" in caplog.text


def test_a_claim_that_is_answered_after_the_end_is_released():
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept(3)
        await turns()
        await line.drain(timeout_s=0.0)
        await line.task
        writer.answer_claim()
        all_released(writer, 3)

    run(story)


def test_a_claim_that_is_answered_while_the_loop_closes_is_released():
    """The loop takes calls until it is closed, but does not carry them out any more."""
    clock = FakeClock()
    writer, carrier = FakeWriter(clock), FakeCarrier()
    writer.answers_claims = False

    async def live():
        line = Running(writer, carrier, clock)
        await turns()
        writer.accept(3)
        await turns()
        await line.drain(timeout_s=0.0)
        await line.task

    loop = asyncio.new_event_loop()
    loop.run_until_complete(live())
    writer.answer_claim()  # stopped, and not closed yet
    loop.close()
    all_released(writer, 3)


def test_a_claim_that_is_answered_in_the_worker_s_last_moment_is_released(monkeypatch):
    async def story(line, writer, carrier):
        writer.answers_claims = False
        writer.accept(3)
        await turns()
        close = carrier.close

        async def answered_meanwhile():
            answering = threading.Thread(target=writer.answer_claim)
            answering.start()
            answering.join(LONG_S)
            await close()

        carrier.close = answered_meanwhile
        await line.drain(timeout_s=0.0)
        await line.task
        all_released(writer, 3)

    run(story)


def test_a_worker_that_has_ended_may_be_woken():
    clock = FakeClock()
    writer, carrier = FakeWriter(clock), FakeCarrier()
    kept = []

    async def live():
        line = Running(writer, carrier, clock)
        kept.append(line.worker)
        await turns()
        await line.drain()
        await line.task

    asyncio.run(live())
    kept[0].wake()
    kept[0].server_changed(ONE)
    kept[0].drain(Drain(0.0, may_connect=True))
    writer.accept()


# -- idle ------------------------------------------------------------------------------------------------------------


def count_turns(line):
    counted, turn = [0], line.worker._turn

    def counting():
        counted[0] += 1
        return turn()

    line.worker._turn = counting
    return counted


def test_the_worker_does_not_look_again_without_news():
    async def story(line, writer, carrier):
        counted = count_turns(line)
        await turns(200)
        assert counted[0] <= 1

    run(story)


@pytest.mark.parametrize("error", [LinkLost("gone"), AuthenticationFailed("refused")], ids=["down", "held"])
def test_the_worker_does_not_look_again_with_a_link_down_and_a_thousand_waiting(error):
    async def story(line, writer, carrier):
        writer.accept(1000)
        await turns()
        carrier.fail(error)
        await turns(50)
        counted = count_turns(line)
        await turns(500)
        assert counted[0] <= 1

    run(story)


# -- what it tells ---------------------------------------------------------------------------------------------------


def test_details_tell_link_reason_and_what_to_do():
    async def story(line, writer, carrier):
        writer.accept(10)
        await turns()
        carrier.deliver()
        await turns()
        assert line.destination == {
            "link": "up",
            "paused": False,
            "held_back": None,
            "since_s": line.clock.wall_s(),
            "reason": None,
            "hint": None,
            "waiting": 4,
            "in_flight": 3,
            "retry_in_s": None,
            "held": False,
            "takes_nothing": False,
            "refused": 0,
            "refusal": None,
            "health": None,
        }
        line.clock.advance(5.0)
        carrier.fail(ConnectionRefused("nothing listens there"))
        await turns()
        assert (line.destination["link"], line.destination["since_s"]) == ("down", line.clock.wall_s())
        assert line.destination["reason"] == "nothing listens there"
        assert line.destination["waiting"] == 7

    run(story)


@pytest.mark.parametrize("seconds", [365 * 86400.0, -3600.0])
def test_the_time_a_link_has_been_down_does_not_depend_on_how_the_clock_is_set(seconds):
    async def story(line, writer, carrier):
        writer.accept(1)
        await turns()
        carrier.fail(ConnectionRefused("nothing listens there"))
        await turns()
        line.clock.advance(5.0)
        line.clock.jump_wall(seconds)
        assert line.destination["link"] == "down"
        assert line.clock.wall_s() - line.destination["since_s"] == pytest.approx(5.0, abs=0.01)

    run(story)


def test_details_know_servers_that_only_wait():
    async def story(line, writer, carrier):
        await line.drain()
        writer.accept(2)
        assert line.worker.details()[ONE]["waiting"] == 2

    run(story)


def test_a_link_without_connection_and_work_is_idle():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        carrier.deliver()
        await turns()
        carrier.unconnected.add(ONE)
        carrier.on_change()
        await turns()
        assert line.destination["link"] == "idle"

    run(story)


# -- a file that ends every connection -----------------------------------------------------------------------------


def is_the_end_of_the_link(carrier, bad, others_arrive):
    """What a server does that dies of one file: whatever else is under way arrives before, or is lost as well."""
    for item_id in list(carrier.carrying):
        if item_id != bad.id and (others_arrive or bad.id not in carrier.carrying):
            carrier.carrying[item_id].set_result(Delivered("/in/x.csv", 4, "ab" * 32, None, 1.0))
        else:
            carrier.carrying[item_id].set_exception(LinkLost("it died", effect=Effect.UNSEEN))


@pytest.mark.parametrize("others_arrive", [True, False])
def test_a_file_that_ends_every_connection_is_given_up_and_all_others_arrive(others_arrive):
    async def story(line, writer, carrier):
        bad, *others = writer.accept(10)
        for _ in range(60):
            is_the_end_of_the_link(carrier, bad, others_arrive)
            await line.pass_time(60.0)
        became = writer.what_became()
        assert [became[item.id][-1] for item in others] == [Event.DELIVER] * 9
        writer.accept(5)
        for _ in range(60):
            is_the_end_of_the_link(carrier, bad, others_arrive)
            await line.pass_time(60.0)
            writer.accept()
        assert writer.what_became()[bad.id][-1] is Event.GIVE_UP

    run(story)


def test_a_link_that_breaks_under_whatever_is_sent_costs_no_file_an_attempt():
    async def story(line, writer, carrier):
        items = writer.accept(5)
        for _ in range(100):
            carrier.fail(LinkLost("it died", effect=Effect.UNSEEN))
            await line.pass_time(60.0)
        assert set(itertools.chain(*writer.what_became().values())) == {Event.RELEASE}
        for _ in range(20):
            carrier.deliver()
            await line.pass_time(60.0)
        assert [writer.what_became()[item.id][-1] for item in items] == [Event.DELIVER] * 5

    run(story)


# -- little at a time, for whoever shares the interpreter ------------------------------------------------------------


def test_files_that_come_one_by_one_are_claimed_by_the_handful():
    async def story(line, writer, carrier):
        for _ in range(5):
            writer.accept()
            await turns()
        assert len(writer.claims) == 1
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 2
        assert writer.snapshot.backlogs == {}

    run(story, slots=20)


def test_files_that_come_thick_and_fast_are_claimed_by_larger_handfuls():
    async def story(line, writer, carrier):
        writer.accept(DENSE_FILES)
        await turns()
        for _ in range(DENSE_FILES):
            writer.accept()
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 1
        await line.pass_time(DENSE_PAUSE_S - TRICKLE_PAUSE_S)
        assert len(writer.claims) == 2
        assert writer.snapshot.backlogs == {}
        writer.accept()
        await line.pass_time(DENSE_PAUSE_S)
        writer.accept()
        await line.pass_time(TRICKLE_PAUSE_S)
        assert len(writer.claims) == 4  # they come one by one again

    run(story, slots=40)


def test_a_snapshot_that_changes_nothing_for_a_destination_does_not_wake_the_loop():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        woken, line.worker.wake = [], lambda: woken.append(1)
        writer.accept()
        assert not woken
        line.clock.advance(TRICKLE_PAUSE_S)
        writer.accept()
        assert woken

    run(story, slots=20)


def test_one_turn_of_the_loop_begins_a_few_items_only():
    async def story(line, writer, carrier):
        writer.accept(5 * START_MAX)
        begun = []
        for _ in range(40):
            begun.append(len(carrier.started))
            await asyncio.sleep(0)
        assert begun[-1] == 5 * START_MAX
        assert max(later - earlier for earlier, later in itertools.pairwise(begun)) <= START_MAX

    run(story, slots=10 * START_MAX)


def sentences(caplog, level="ERROR"):
    return [record.getMessage() for record in caplog.records if record.levelname == level]


def test_a_refusal_is_one_line_without_a_traceback(caplog):
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        try:
            raise RemoteRefused("cannot create '/in/a.csv' on the server: PERMISSION_DENIED") from OSError("why")
        except RemoteRefused as refused:
            carrier.fail(refused)
        await turns()

    run(story)
    (said,) = sentences(caplog)
    assert said.endswith("PERMISSION_DENIED; next try in 2 s. check the user's permissions on the remote folder")
    assert not any(record.exc_info for record in caplog.records)


def test_a_reason_that_is_the_same_for_many_files_is_logged_once_and_counted_and_so_is_its_end(caplog):
    caplog.set_level("INFO")

    async def story(line, writer, carrier):
        writer.accept(50)
        await turns()
        for number in range(40):
            carrier.fail(
                RemoteRefused(f"cannot create '/in/{number}.csv' on the server: PERMISSION_DENIED"), first(carrier)
            )
            await turns()
        assert len(sentences(caplog)) == 1
        await line.pass_time(61.0)
        carrier.fail(RemoteRefused("cannot create '/in/40.csv' on the server: PERMISSION_DENIED"), first(carrier))
        await turns()
        assert "(the same for 39 files in 61 s)" in sentences(caplog)[1]
        carrier.fail(RemoteNameRefused("another reason"), first(carrier))
        await turns()
        assert len(sentences(caplog)) == 3
        carrier.deliver(first(carrier))
        await turns()

    run(story)
    assert sum("takes files" in said for said in sentences(caplog, "INFO")) == 1


def test_an_hour_of_a_server_that_refuses_every_file_is_less_than_a_megabyte_of_log(caplog):
    caplog.set_level("DEBUG")

    async def story(line, writer, carrier):
        for second in range(0, 3600, 15):
            writer.accept(2)
            await line.pass_time(15.0)
            for item_id in list(carrier.carrying):
                await refuse(carrier, SimpleNamespace(id=item_id), second)

    async def refuse(carrier, item, second):
        error = [RemoteRefused, RemoteNameRefused][second // 15 % 2]
        carrier.fail(error(f"cannot create '/in/{second}.csv' on the server: {'x' * 100_000}"), item)
        await turns(6)

    run(story)
    written = sum(len(record.getMessage()) + 100 for record in caplog.records)
    assert sentences(caplog)
    assert written < 1_000_000
    assert len(caplog.records) < 400


def test_an_hour_of_a_server_that_is_away_is_less_than_a_megabyte_of_log(caplog):
    caplog.set_level("DEBUG")

    async def story(line, writer, carrier):
        writer.accept(20)
        for _ in range(720):
            await line.pass_time(5.0)
            if carrier.carrying:
                carrier.fail(LinkLost("x" * 100_000))
                await turns()

    run(story)
    assert sum(len(record.getMessage()) + 100 for record in caplog.records) < 1_000_000


def first(carrier):
    return SimpleNamespace(id=next(iter(carrier.carrying)))


def test_refusals_of_a_server_are_told_with_their_reason_and_number_and_whether_it_takes_any():
    async def story(line, writer, carrier):
        *bad, _good = writer.accept(4)
        await turns()
        carrier.fail(RemoteRefused("cannot create 'a.csv'"), *bad)
        await turns()
        refused = line.destination
        assert (refused["refused"], refused["refusal"]["new_in_a_row"]) == (3, 3)
        assert refused["refusal"]["message"] == "cannot create 'a.csv'"
        carrier.deliver()
        await turns()
        assert line.destination["refusal"]["new_in_a_row"] == 0

    run(story)
