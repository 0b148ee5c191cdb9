"""When a server may be sent nothing: outside its delivery windows, and while it is paused."""

import asyncio
import itertools
import time

import pytest

from iris_communication.delivery.worker import Drain
from iris_communication.item import Event
from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.carrier_line import pass_time
from tests.unit.iris_communication.delivery.checking_line import INTERVAL_S, CheckingLine, run, server
from tests.unit.iris_communication.delivery.fake_parts import ONE, turns
from tests.virtual_time import run as run_in_virtual_time


def local_hour(clock, hours=0):
    """The hour of the plant's clock, so many hours on; windows begin and end at full hours here."""
    return (time.localtime(clock.wall_s()).tm_hour + hours) % 24


def window(clock, begins_in, ends_in):
    return f"{local_hour(clock, begins_in):02}:00-{local_hour(clock, ends_in):02}:00"


CLOSED_FOR_NOW = window(FakeClock(), 1, 3)
OPEN_FOR_NOW = window(FakeClock(), 0, 1)


def seconds_until_the_hour(clock):
    then = time.localtime(clock.wall_s())
    return 3600 - then.tm_min * 60 - then.tm_sec


def test_a_server_outside_its_window_is_sent_nothing_and_shows_until_when():
    async def story(line):
        line.writer.accept(3)
        await line.pass_time(600.0)
        assert line.writer.claims == []
        assert line.carrier.checked == []
        opens = f"{local_hour(line.clock, 1):02}:00"
        assert line.destination["held_back"] == f"outside its delivery window until {opens}"
        assert line.destination["waiting"] == 3

    run(story, server(windows=(CLOSED_FOR_NOW,)))


def test_a_server_is_sent_the_waiting_files_when_its_window_opens():
    async def story(line):
        line.writer.accept(3)
        await turns()
        await line.pass_time(seconds_until_the_hour(line.clock))
        assert len(line.carrier.started) == 3
        assert line.destination["held_back"] is None

    run(story, server(windows=(CLOSED_FOR_NOW,)))


def test_files_under_way_are_finished_when_the_window_closes_and_no_more_are_begun():
    async def story(line):
        items = line.writer.accept(10)
        await turns()
        under_way = list(line.carrier.carrying)
        await line.pass_time(seconds_until_the_hour(line.clock))
        line.carrier.deliver()
        await turns()
        assert line.carrier.started == under_way
        became = line.writer.what_became()
        assert [became[item] for item in under_way] == [[Event.DELIVER]] * 3
        assert line.destination["waiting"] == len(items) - 3
        assert line.destination["in_flight"] == 0

    run(story, server(windows=(OPEN_FOR_NOW,)))


@pytest.mark.parametrize("hours", [CLOSED_FOR_NOW, OPEN_FOR_NOW])
def test_the_clock_is_read_each_minute_and_when_a_window_opens_or_closes(hours):
    line = CheckingLine(server(windows=(hours,)))
    line.carrier.checks_health = False  # a check makes the worker take a turn as well
    until_s = seconds_until_the_hour(line.clock) - line.clock.wall_s() % 1.0
    hour_s = line.clock.wall_s() + until_s

    async def story():
        working = asyncio.create_task(line.worker.run())
        await pass_time(until_s + 600.0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    run_in_virtual_time(story(), line.clock)
    turns_at_s = line.turns_at_s
    assert max(later - earlier for earlier, later in itertools.pairwise(turns_at_s)) <= 60.01
    assert min(abs(at_s - hour_s) for at_s in turns_at_s) <= 0.01
    assert turns_at_s[-1] >= hour_s + 540.0


def test_a_clock_that_was_set_opens_a_window():
    async def story(line):
        line.writer.accept(1)
        await turns()
        line.clock.jump_wall(3600.0)
        await line.pass_time(0.0)
        assert len(line.carrier.started) == 1

    run(story, server(windows=(CLOSED_FOR_NOW,)))


def test_a_drain_outside_the_window_ends_at_once():
    async def story(line):
        line.writer.accept(3)
        await turns()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await turns()
        assert line.carrier.closed

    run(story, server(windows=(CLOSED_FOR_NOW,)))


def test_windows_that_cannot_be_read_are_never_open_and_the_hold_says_why():
    async def story(line):
        line.writer.accept(1)
        await line.pass_time(86_400.0)
        assert line.carrier.started == []
        assert line.destination["held_back"].startswith("nothing is sent: 'at night' is not a delivery window")

    run(story, server(windows=("at night",)))


def test_a_paused_server_is_not_checked_and_shown_as_paused():
    async def story(line):
        line.writer.execute(PauseServer(ONE))
        await line.pass_time(10 * INTERVAL_S)
        assert line.carrier.checked == []
        assert line.destination["held_back"] == "paused: nothing is sent until it is resumed"
        line.writer.execute(ResumeServer(ONE))
        await turns()
        assert line.carrier.checked == [(ONE, False)]
        assert line.destination["held_back"] is None

    run(story)
