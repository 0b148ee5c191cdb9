"""Draining: what a worker still sends before it ends, and what it does not wait for."""

from iris_communication.delivery.claims import TRICKLE_PAUSE_S
from iris_communication.delivery.worker import Drain
from iris_communication.errors import (
    LinkLost,
    RemoteRefused,
)
from iris_communication.item import Event
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, turns
from tests.unit.iris_communication.delivery.worker_line import run


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
