"""What an error costs: the file, its server's breaker, or neither."""

import asyncio
import contextlib
import itertools

import pytest

from iris_communication.delivery import worker as worker_module
from iris_communication.delivery.outcomes import CLAIM_PAUSE_S
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
from iris_communication.outbox.orders import ResumeServer
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, turns
from tests.unit.iris_communication.delivery.worker_line import run

A_DAY_S = 86_400.0


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


def test_an_unforeseen_error_is_logged_with_its_traceback_and_fails_that_item_alone(caplog):
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


def test_an_attempt_with_an_unknown_end_never_makes_a_sent_rename_forgotten():
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


def test_a_full_server_takes_its_link_down_and_costs_no_item_an_attempt():
    async def story(line, writer, carrier):
        writer.accept(10)
        await turns()
        carrier.fail(RemoteDiskFull("full"))
        await turns()
        assert set(map(tuple, writer.what_became().values())) == {(Event.RELEASE,)}
        assert line.destination["link"] == "down"
        assert "delivery resumes by itself" in line.destination["hint"]

    run(story)


def test_a_disk_of_ours_that_refuses_costs_no_item_an_attempt_and_is_asked_again_after_a_pause():
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


def test_new_facts_about_a_server_release_that_one_alone():
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


def test_new_facts_that_the_writer_announces_release_a_server():
    async def story(line, writer, carrier):
        writer.accept()
        await turns()
        carrier.fail(AuthenticationFailed("refused"))
        await turns()
        writer.execute(ResumeServer(ONE))
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


def test_a_link_that_breaks_under_each_file_costs_no_file_an_attempt():
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
