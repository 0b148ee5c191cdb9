"""Whatever ends a worker, each item it holds is settled."""

import asyncio
import threading

import pytest

from iris_communication.delivery import worker as worker_module
from iris_communication.delivery.worker import Drain
from iris_communication.errors import (
    Effect,
)
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.delivery.worker_line import WorkerLine, run
from tests.unit.iris_communication.outbox.fake_parts import LONG_S


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


def test_a_loop_that_fails_by_itself_releases_each_item_and_raises_its_error():
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


def test_a_carrier_that_does_not_end_is_cancelled_and_the_effect_of_its_uploads_is_unseen(monkeypatch):
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


def test_a_carrier_that_fails_to_close_keeps_no_item_from_being_released(monkeypatch, caplog):
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
        line = WorkerLine(writer, carrier, clock)
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
        line = WorkerLine(writer, carrier, clock)
        kept.append(line.worker)
        await turns()
        await line.drain()
        await line.task

    asyncio.run(live())
    kept[0].wake()
    kept[0].server_changed(ONE)
    kept[0].drain(Drain(0.0, may_connect=True))
    writer.accept()
