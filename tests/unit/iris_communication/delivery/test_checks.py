"""Health checks: when they are made, and that they go beside the work."""

from iris_communication.decisions.health_schedule import FIRST_WITHIN_S
from iris_communication.errors import (
    LinkLost,
    RemoteRefused,
)
from tests.unit.iris_communication.delivery.checking_line import INTERVAL_S, UNWELL, run, server
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, turns


def test_a_configured_server_is_checked_soon_though_nothing_was_ever_sent_to_it():
    async def story(line):
        assert line.destination["health"] is None
        assert line.carrier.checked == []
        await line.first_check()
        assert line.carrier.checked == [(ONE, False)]

    run(story)


def test_the_result_of_a_check_is_shown_with_its_age():
    async def story(line):
        await line.first_check()
        await line.found()
        line.clock.advance(12.0)
        health = line.destination["health"]
        assert health == {
            "ok": True,
            "done": ["answers", "free space"],
            "words": "",
            "hint": "",
            "latency_s": 0.003,
            "free_bytes": 41_000,
            "total_bytes": 50_000,
            "at_s": line.clock.wall_s() - 12.0,
            "age_s": 12.0,
        }

    run(story)


def test_a_server_that_answers_is_not_shown_as_up_without_a_connection():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        since_s = line.destination["since_s"]
        await line.first_check()
        await line.found()
        assert (line.destination["link"], line.destination["since_s"]) == ("idle", since_s)

    run(story)


def test_checks_follow_each_other_at_the_interval():
    async def story(line):
        await line.first_check()
        await line.found()
        for checks in range(1, 4):
            await line.pass_time(INTERVAL_S - 1)
            assert len(line.carrier.checked) == checks
            await line.pass_time(1)
            assert len(line.carrier.checked) == checks + 1
            await line.found()

    run(story)


def test_one_check_runs_at_a_time():
    async def story(line):
        await line.first_check()
        await line.pass_time(10 * INTERVAL_S)
        assert len(line.carrier.checked) == 1

    run(story)


def test_each_server_has_a_schedule_of_its_own():
    async def story(line):
        await line.first_check()
        await line.found(key=ONE)
        await line.found(key=TWO)
        await line.pass_time(INTERVAL_S)
        assert [key for key, _ in line.carrier.checked[2:]] == [ONE]

    run(story, server(), server("two", health_interval_s=10 * INTERVAL_S))


def test_an_interval_of_0_means_no_checks():
    async def story(line):
        await line.pass_time(10 * INTERVAL_S)
        assert line.carrier.checked == []

    run(story, server(health_interval_s=0.0))


def test_a_carrier_that_cannot_check_is_not_asked_to():
    async def story(line):
        line.carrier.checks_health = False
        await line.pass_time(10 * INTERVAL_S)
        assert line.carrier.checked == []

    run(story)


def test_the_round_trip_is_made_where_it_is_configured():
    async def story(line):
        await line.first_check()
        assert line.carrier.checked == [(ONE, True)]

    run(story, server(health_round_trip=True))


def test_a_server_that_becomes_configured_is_checked_from_then_on():
    async def story(line):
        line.writer.settings[TWO] = server("two")
        line.configured |= {TWO}
        line.worker.wake()
        await turns()
        await line.pass_time(FIRST_WITHIN_S)
        assert (TWO, False) in line.carrier.checked

    run(story)


def test_a_check_goes_beside_the_work_on_the_connection_that_is_there():
    async def story(line):
        line.writer.accept(1)
        await turns()
        await line.first_check()
        assert len(line.carrier.carrying) == 1
        assert line.carrier.checked == [(ONE, False)]

    run(story)


def test_an_item_is_not_delayed_by_a_check():
    async def story(line):
        await line.first_check()
        line.writer.accept(3)
        await turns()
        assert len(line.carrier.carrying) == 3

    run(story)


def test_the_check_waits_while_an_item_connects():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        line.writer.accept(1)
        await turns()
        await line.first_check()
        assert line.carrier.checked == []
        line.carrier.unconnected.clear()
        line.carrier.deliver()
        await turns()
        assert line.carrier.checked == [(ONE, False)]

    run(story)


def test_no_round_trip_is_made_without_a_free_slot():
    async def story(line):
        line.writer.accept(3)
        await turns()
        await line.first_check()
        assert line.carrier.checked == [(ONE, False)]

    run(story, server(health_round_trip=True))


def test_work_that_flows_puts_checks_off():
    async def story(line):
        await line.first_check()
        await line.found()
        for _ in range(4):
            await line.pass_time(INTERVAL_S - 1)
            line.writer.accept(1)
            await turns()
            line.carrier.deliver()
            await turns()
        assert len(line.carrier.checked) == 1

    run(story)


def test_a_delivery_disproves_what_a_check_found_before():
    async def story(line):
        await line.first_check()
        await line.found(UNWELL)
        assert line.destination["health"]["words"] == UNWELL.text
        line.writer.accept(1)
        await turns()
        line.carrier.fail(RemoteRefused("this file is refused"))
        await turns()
        assert line.destination["health"]["words"] == UNWELL.text
        await line.pass_time(60.0)
        line.carrier.deliver()
        await turns()
        assert (
            line.destination["health"]["ok"],
            line.destination["health"]["words"],
            line.destination["health"]["hint"],
        ) == (True, "", "")

    run(story)


def test_any_answer_disproves_that_a_server_is_silent():
    async def story(line):
        await line.first_check()
        await line.failed(LinkLost("cut"))
        line.writer.accept(1)
        await line.pass_time(60.0)
        line.carrier.fail(RemoteRefused("this file is refused"))
        await turns()
        assert line.destination["health"]["words"] == ""

    run(story)
