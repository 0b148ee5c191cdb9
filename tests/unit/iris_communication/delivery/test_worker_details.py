"""What a worker says of each server."""

import pytest

from iris_communication.errors import (
    ConnectionRefused,
    RemoteRefused,
)
from tests.unit.iris_communication.delivery.fake_parts import ONE, turns
from tests.unit.iris_communication.delivery.worker_line import run


def test_details_hold_link_reason_and_what_to_do():
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


def test_details_hold_servers_that_files_only_wait_for():
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


def test_details_hold_the_refusals_with_reason_and_number_and_whether_any_file_is_taken():
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
