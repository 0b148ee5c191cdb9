"""What a worker knows of a server that outlives it: its breaker, a pause, and what an outage has left."""

import asyncio
import contextlib

import pytest

from iris_communication.delivery.worker import Drain, Worker
from iris_communication.errors import AuthenticationFailed, LinkLost, RemoteFailure
from iris_communication.item import Event
from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.outbox.store.contract import ServerState
from iris_communication.settings import DeliverySettings, Rule
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

SETTINGS = DeliverySettings(
    attempts_max=3,
    breaker_base_s=10.0,
    breaker_cap_s=60.0,
    retry_base_s=4.0,
    rules={"evidence": Rule(folder_type="evidence", attempts_max=1), "slow": Rule(pattern="3.csv", retry_base_s=100.0)},
)


class RestartedMachine:
    """What a restart leaves: the clock, and what the writer knows."""

    def __init__(self):
        self.clock = FakeClock()
        self.writer = FakeWriter(self.clock)

    @contextlib.asynccontextmanager
    async def process(self, slots=3, *, connected=True, started_at=None):
        """`started_at`: the last sequence when the delivery was started; None: this is the moment."""
        backlog_until = self.writer.snapshot.last_sequence if started_at is None else started_at
        carrier = FakeCarrier(slots)
        if not connected:
            carrier.unconnected.add(ONE)
        worker = Worker(self.writer, carrier, SETTINGS, self.clock, jitter=lambda: 0.5, backlog_until=backlog_until)
        task = asyncio.get_running_loop().create_task(worker.run())
        await turns()
        try:
            yield worker, carrier
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def pass_time(self, worker, seconds):
        self.clock.advance(seconds)
        worker.wake()
        await turns()


def run(story):
    asyncio.run(asyncio.wait_for(story(RestartedMachine()), LONG_S))


def test_a_server_that_was_down_is_asked_by_the_next_process_no_sooner_than_by_this_one():
    async def story(machine):
        machine.writer.accept(5)
        async with machine.process() as (worker, carrier):
            carrier.fail(LinkLost("gone"))
            await turns()
        assert machine.writer.states[ONE].breaker["state"] == "open"
        async with machine.process() as (worker, carrier):
            assert carrier.started == []
            assert worker.details()[ONE]["reason"] == "gone"
            await machine.pass_time(worker, 7.0)
            assert carrier.started == []
            await machine.pass_time(worker, 1.0)  # 10 s, of which a random quarter is left out
            assert len(carrier.started) == 1
            carrier.deliver()
            await turns()
            assert machine.writer.states[ONE].breaker is None

    run(story)


@pytest.mark.parametrize("error", [LinkLost("gone"), AuthenticationFailed("refused")])
def test_a_server_that_only_the_process_before_found_down_is_down_since_no_time_that_this_one_saw(error, caplog):
    async def story(machine):
        machine.writer.accept()
        async with machine.process() as (worker, carrier):
            carrier.fail(error)
            await turns()
            assert worker.details()[ONE]["since_s"] == machine.clock.wall_s()
        machine.clock.advance(3.0)
        async with machine.process() as (worker, carrier):
            await turns()
            assert (worker.details()[ONE]["link"], worker.details()[ONE]["since_s"]) == ("down", None)
            machine.writer.execute(ResumeServer(ONE))
            await machine.pass_time(worker, 10.0)
            caplog.clear()
            carrier.fail(LinkLost("still gone"))
            await turns()
            assert worker.details()[ONE]["since_s"] == machine.clock.wall_s()
            assert [each.levelname for each in caplog.records] == ["WARNING"], (
                "the first time that this process sees it"
            )

    run(story)


def test_a_drain_asks_a_server_that_was_down_before_once_its_time_has_come():
    async def story(machine):
        machine.writer.accept()
        async with machine.process() as (_, carrier):
            carrier.fail(LinkLost("gone"))
            await turns()
        async with machine.process() as (worker, carrier):
            worker.drain(Drain(machine.clock.monotonic_s() + 60.0, may_connect=True))
            await machine.pass_time(worker, 8.0)
            carrier.deliver()
            await turns()
            assert machine.writer.what_became()["item-1"][-1] is Event.DELIVER
        assert carrier.closed

    run(story)


def test_a_drain_does_not_wait_for_a_person():
    async def story(machine):
        machine.writer.accept()
        async with machine.process() as (_, carrier):
            carrier.fail(AuthenticationFailed("refused"))
            await turns()
        async with machine.process() as (worker, carrier):
            worker.drain(Drain(machine.clock.monotonic_s() + 60.0, may_connect=True))
            await turns()
            assert carrier.closed

    run(story)


def test_a_refused_login_waits_for_a_person_over_any_number_of_restarts():
    async def story(machine):
        machine.writer.accept()
        async with machine.process() as (_, carrier):
            carrier.fail(AuthenticationFailed("refused"))
            await turns()
        for _ in range(5):
            async with machine.process() as (worker, carrier):
                await machine.pass_time(worker, 86_400.0)
                assert carrier.started == []
        async with machine.process() as (_, carrier):
            machine.writer.execute(ResumeServer(ONE))
            await turns()
            assert len(carrier.started) == 1

    run(story)


def test_a_process_that_dies_while_it_connects_is_remembered_to_have_connected():
    async def story(machine):
        machine.writer.accept()
        async with machine.process(connected=False) as (_, carrier):
            assert len(carrier.started) == 1
            killed = dict(machine.writer.states)
        machine.writer.states = killed  # the next process does not know how it ended
        async with machine.process() as (worker, carrier):
            assert carrier.started == []
            await machine.pass_time(worker, 10.0)
            assert len(carrier.started) == 1

    run(story)


def test_a_paused_server_is_sent_nothing_until_it_is_resumed():
    async def story(machine):
        machine.writer.states[ONE] = ServerState(paused=True)
        machine.writer.accept(5)
        async with machine.process() as (worker, carrier):
            await machine.pass_time(worker, 3600.0)
            assert carrier.started == machine.writer.claims == []
            assert worker.details()[ONE]["paused"]
            machine.writer.execute(ResumeServer(ONE))
            await turns()
            assert len(carrier.started) == 3
            assert not worker.details()[ONE]["paused"]

    run(story)


def test_claimed_items_go_back_when_a_pause_begins_and_items_under_way_are_finished():
    async def story(machine):
        machine.writer.accept(6)
        async with machine.process() as (_, carrier):
            machine.writer.execute(PauseServer(ONE))
            await turns()
            carrier.deliver()
            await turns()
            became = machine.writer.what_became()
            assert [became[f"item-{number}"] for number in (1, 2, 3)] == [[Event.DELIVER]] * 3
            assert len(machine.writer.waiting[ONE]) == 3
            assert carrier.carrying == {}

    run(story)


def test_items_there_at_the_start_and_those_an_outage_left_are_the_backlog():
    async def story(machine):
        machine.writer.accept(2)
        async with machine.process(slots=1) as (worker, carrier):
            assert machine.writer.backlogs[-1] == 2
            machine.writer.accept(5)
            carrier.deliver()
            await turns()
            carrier.fail(LinkLost("gone"))
            await turns()
            machine.writer.accept(3)
            await machine.pass_time(worker, 60.0)
            carrier.deliver()
            await turns()
            await machine.pass_time(worker, 1.0)
            assert machine.writer.backlogs[-1] == 10

    run(story)


def test_a_worker_that_starts_late_or_again_takes_no_item_since_the_first_start_for_backlog():
    async def story(machine):
        machine.writer.accept(2)
        for _ in range(2):
            machine.writer.accept(5)
            async with machine.process(slots=1, started_at=2):
                assert machine.writer.backlogs[-1] == 2

    run(story)


def test_the_rule_of_a_file_sets_how_often_it_is_tried():
    async def story(machine):
        machine.writer.accept(folder_type="evidence")
        machine.writer.accept(2)
        async with machine.process() as (_, carrier):
            carrier.fail(RemoteFailure("no"))
            await turns()
        first, second, third = machine.writer.settled[:3]
        assert first.event is Event.GIVE_UP
        assert (second.event, second.delay_s) == (Event.FAIL, 2.0)
        assert (third.event, third.delay_s) == (Event.FAIL, 50.0)

    run(story)
