"""Health checks beside the work, and delivery windows: a worker with a carrier and a clock that the test moves."""

import asyncio
import contextlib
import itertools
import time

import pytest

from iris_communication.decisions.breaker import BreakerState
from iris_communication.decisions.health_schedule import FIRST_WITHIN_S
from iris_communication.delivery.worker import Drain, Worker
from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    DeliveryStopped,
    LinkLost,
    RemoteDiskFull,
    RemoteRefused,
)
from iris_communication.item import Event
from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.settings import DeliverySettings, Server
from iris_communication.sftp.trials.probe import Health
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

INTERVAL_S = 60.0
SETTINGS = DeliverySettings(attempts_max=3, breaker_base_s=10.0, breaker_cap_s=600.0, retry_base_s=4.0)
WELL = Health(ok=True, done=("answers", "free space"), free_bytes=41_000, total_bytes=50_000, latency_s=0.003)
UNWELL = Health(ok=False, done=("answers", "round trip"), text="cannot create a file in '/in'", hint="ask for it")


class Watched:
    """A worker that looks after configured servers, with all that it touches."""

    def __init__(self, *servers, slots=3, **options):
        self.clock = FakeClock()
        self.writer, self.carrier = FakeWriter(self.clock), FakeCarrier(slots)
        self.configured = frozenset(server.key for server in servers)
        self.writer.settings = {server.key: server for server in servers}
        self.worker = Worker(
            self.writer, self.carrier, SETTINGS, self.clock, jitter=lambda: 0.5, configured=lambda: self.configured
        )

    async def pass_time(self, seconds):
        """The clock goes on, and the worker looks at it as if its own timer had rung."""
        self.clock.advance(seconds)
        self.worker.wake()
        await turns()

    async def first_look(self):
        await self.pass_time(FIRST_WITHIN_S)

    async def found(self, health=WELL, key=ONE):
        self.carrier.checking[key].set_result(health)
        await turns()

    async def failed(self, error, key=ONE):
        self.carrier.checking[key].set_exception(error)
        await turns()

    @property
    def destination(self):
        return self.worker.details()[ONE]

    @property
    def breaker(self):
        return self.worker._destinations[ONE].breaker


def server(name="one", **facts):
    return Server(name, "iris", **{"health_interval_s": INTERVAL_S, **facts})


def run(story, *servers, **options):
    async def tell():
        line = Watched(*(servers or (server(),)), **options)
        working = asyncio.get_running_loop().create_task(line.worker.run())
        await turns()
        try:
            await story(line)
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    asyncio.run(asyncio.wait_for(tell(), LONG_S))


# -- looking after a server ------------------------------------------------------------------------------------------


def test_a_configured_server_is_looked_at_soon_though_nothing_was_ever_sent_to_it():
    async def story(line):
        assert line.destination["health"] is None
        assert line.carrier.checked == []
        await line.first_look()
        assert line.carrier.checked == [(ONE, False)]

    run(story)


def test_the_result_of_a_check_is_shown_with_its_age():
    async def story(line):
        await line.first_look()
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


def test_a_server_that_answers_is_not_shown_as_up_while_nothing_connects_us():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        since_s = line.destination["since_s"]
        await line.first_look()
        await line.found()
        assert (line.destination["link"], line.destination["since_s"]) == ("idle", since_s)

    run(story)


def test_looks_follow_each_other_at_the_interval():
    async def story(line):
        await line.first_look()
        await line.found()
        for looks in range(1, 4):
            await line.pass_time(INTERVAL_S - 1)
            assert len(line.carrier.checked) == looks
            await line.pass_time(1)
            assert len(line.carrier.checked) == looks + 1
            await line.found()

    run(story)


def test_one_check_runs_at_a_time():
    async def story(line):
        await line.first_look()
        await line.pass_time(10 * INTERVAL_S)
        assert len(line.carrier.checked) == 1

    run(story)


def test_each_server_has_a_schedule_of_its_own():
    async def story(line):
        await line.first_look()
        await line.found(key=ONE)
        await line.found(key=TWO)
        await line.pass_time(INTERVAL_S)
        assert [key for key, _ in line.carrier.checked[2:]] == [ONE]

    run(story, server(), server("two", health_interval_s=10 * INTERVAL_S))


def test_an_interval_of_0_means_that_nobody_looks():
    async def story(line):
        await line.pass_time(10 * INTERVAL_S)
        assert line.carrier.checked == []

    run(story, server(health_interval_s=0.0))


def test_a_carrier_that_cannot_look_is_not_asked_to():
    async def story(line):
        line.carrier.checks_health = False
        await line.pass_time(10 * INTERVAL_S)
        assert line.carrier.checked == []

    run(story)


def test_the_round_trip_is_made_where_it_is_configured():
    async def story(line):
        await line.first_look()
        assert line.carrier.checked == [(ONE, True)]

    run(story, server(health_round_trip=True))


def test_a_server_that_becomes_configured_is_looked_after_from_then_on():
    async def story(line):
        line.writer.settings[TWO] = server("two")
        line.configured |= {TWO}
        line.worker.wake()
        await turns()
        await line.pass_time(FIRST_WITHIN_S)
        assert (TWO, False) in line.carrier.checked

    run(story)


# -- beside the work -------------------------------------------------------------------------------------------------


def test_a_look_goes_beside_the_work_on_the_connection_that_is_there():
    async def story(line):
        line.writer.accept(1)
        await turns()
        await line.first_look()
        assert len(line.carrier.carrying) == 1
        assert line.carrier.checked == [(ONE, False)]

    run(story)


def test_an_item_is_not_delayed_by_a_look():
    async def story(line):
        await line.first_look()
        line.writer.accept(3)
        await turns()
        assert len(line.carrier.carrying) == 3

    run(story)


def test_the_check_waits_while_an_item_connects():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        line.writer.accept(1)
        await turns()
        await line.first_look()
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
        await line.first_look()
        assert line.carrier.checked == [(ONE, False)]

    run(story, server(health_round_trip=True))


def test_work_that_flows_puts_looks_off():
    async def story(line):
        await line.first_look()
        await line.found()
        for _ in range(4):
            await line.pass_time(INTERVAL_S - 1)
            line.writer.accept(1)
            await turns()
            line.carrier.deliver()
            await turns()
        assert len(line.carrier.checked) == 1

    run(story)


def test_a_delivery_disproves_what_a_look_found_before():
    async def story(line):
        await line.first_look()
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
        await line.first_look()
        await line.failed(LinkLost("cut"))
        line.writer.accept(1)
        await line.pass_time(60.0)
        line.carrier.fail(RemoteRefused("this file is refused"))
        await turns()
        assert line.destination["health"]["words"] == ""

    run(story)


# -- what it decides -------------------------------------------------------------------------------------------------


def test_a_look_that_fails_opens_the_breaker_and_says_why():
    async def story(line):
        await line.first_look()
        await line.failed(ConnectionRefused("nothing listens there", hint="start it"))
        assert (line.destination["link"], line.destination["reason"], line.destination["hint"]) == (
            "down",
            "nothing listens there",
            "start it",
        )
        health = line.destination["health"]
        assert (health["ok"], health["words"], health["free_bytes"]) == (False, "nothing listens there", None)
        line.writer.accept(1)
        await turns()
        assert line.carrier.started == []

    run(story)


def test_a_refusal_of_a_check_is_said_and_opens_no_breaker(caplog):
    async def story(line):
        for _ in range(2):
            await line.pass_time(INTERVAL_S)
            await line.found(UNWELL)
        assert line.breaker.state is BreakerState.CLOSED
        assert line.destination["link"] == "idle"

    run(story)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["iris@one:22 answers, but cannot create a file in '/in'. ask for it"], "once"


def test_a_full_disk_that_a_look_finds_holds_the_files_back():
    async def story(line):
        await line.first_look()
        await line.failed(RemoteDiskFull("0 bytes free"))
        assert line.breaker.state is BreakerState.OPEN

    run(story)


def test_a_look_does_not_undo_what_went_wrong_while_it_looked():
    async def story(line):
        line.writer.accept(1)
        await turns()
        await line.first_look()
        line.carrier.fail(RemoteDiskFull("0 bytes free"))
        await turns()
        await line.found()
        assert line.breaker.state is BreakerState.OPEN
        assert line.destination["link"] == "down"

    run(story)


def test_an_outage_that_ends_while_nothing_waits_is_found_out_by_a_look():
    async def story(line):
        await line.first_look()
        await line.failed(LinkLost("cut"))
        line.carrier.unconnected.add(ONE)
        await line.pass_time(INTERVAL_S)
        assert line.breaker.state is BreakerState.HALF_OPEN
        await line.found()
        assert line.breaker.state is BreakerState.CLOSED
        assert line.destination["link"] == "idle"
        assert line.destination["reason"] is None

    run(story)


def test_a_server_that_was_down_before_a_restart_is_shown_as_down_until_a_look_finds_it_back():
    async def story(line):
        line.writer.settings[TWO] = server("two")
        kept = {"state": "open", "failures": 3, "boot_id": line.clock.boot_id, "until_boot_s": line.clock.boot_s() + 30}
        line.writer.keep_breaker(TWO, {**kept, "failure": ["LinkLost", "cut", "look at the cable"]})
        line.configured |= {TWO}
        line.worker.wake()
        await turns()
        shown = line.worker.details()[TWO]
        assert (shown["link"], shown["reason"], shown["retry_in_s"]) == ("down", "cut", 30.0)
        await line.pass_time(30.0)
        await line.found(key=TWO)
        shown = line.worker.details()[TWO]
        assert (shown["link"], shown["reason"]) == ("up", None)

    run(story)


def test_looks_at_a_dead_server_come_once_an_interval_and_keep_to_the_breakers_pace():
    async def story(line):
        looks_at = []
        for _ in range(3600):
            await line.pass_time(1.0)
            if line.carrier.checking:
                looks_at.append(line.clock.monotonic_s())
                await line.failed(LinkLost("cut"))
        gaps = [after - before for before, after in itertools.pairwise(looks_at)]
        assert min(gaps) >= INTERVAL_S
        assert gaps == sorted(gaps), "the breaker waits longer each time, up to its cap"
        assert 300.0 <= gaps[-1] <= SETTINGS.breaker_cap_s

    run(story)


def test_a_file_is_the_probe_and_no_check_is_while_files_wait_behind_an_open_breaker():
    async def story(line):
        await line.first_look()
        await line.failed(LinkLost("cut"))
        line.writer.accept(5)
        await line.pass_time(10 * INTERVAL_S)
        assert len(line.carrier.started) == 1
        assert len(line.carrier.checked) == 1

    run(story)


def test_a_file_that_comes_while_a_look_is_the_probe_waits_for_its_answer():
    async def story(line):
        await line.first_look()
        await line.failed(LinkLost("cut"))
        await line.pass_time(INTERVAL_S)
        line.writer.accept(2)
        await turns()
        assert line.carrier.started == []
        await line.found()
        assert len(line.carrier.started) == 2

    run(story)


def test_a_look_that_is_refused_our_password_holds_the_server_and_is_not_repeated():
    async def story(line):
        await line.first_look()
        await line.failed(AuthenticationFailed("wrong password"))
        await line.pass_time(100 * INTERVAL_S)
        assert line.breaker.state is BreakerState.HELD
        assert len(line.carrier.checked) == 1
        line.worker.server_changed(ONE)
        await turns()
        assert len(line.carrier.checked) == 2

    run(story)


def test_a_password_mended_during_the_look_that_it_fails_holds_nothing():
    async def story(line):
        await line.first_look()
        line.worker.server_changed(ONE)
        await turns()
        await line.failed(AuthenticationFailed("wrong password"))
        assert line.breaker.state is BreakerState.CLOSED

    run(story)


def test_a_password_mended_before_a_look_is_judged_by_that_look():
    async def story(line):
        line.worker.server_changed(ONE)
        await turns()
        await line.first_look()
        await line.failed(AuthenticationFailed("wrong password"))
        assert line.breaker.state is BreakerState.HELD

    run(story)


def test_an_unforeseen_failure_of_a_look_is_logged_and_harms_nothing(caplog):
    async def story(line):
        await line.first_look()
        await line.failed(ZeroDivisionError("a bug"))
        assert line.breaker.state is BreakerState.CLOSED
        assert "ZeroDivisionError" in line.destination["health"]["words"]
        line.writer.accept(1)
        await turns()
        assert len(line.carrier.started) == 1

    run(story)
    assert "Traceback" in caplog.text


def test_a_look_that_we_broke_off_tells_nothing_and_is_not_repeated_at_once():
    async def story(line):
        await line.first_look()
        await line.failed(DeliveryStopped("closed by us"))
        await line.pass_time(INTERVAL_S - 1)
        assert len(line.carrier.checked) == 1
        assert line.destination["health"] is None
        assert line.breaker.state is BreakerState.CLOSED

    run(story)


def test_each_health_check_that_connects_is_kept_until_it_is_answered():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        await line.first_look()
        assert line.writer.states[ONE].breaker["state"] == "half open"
        await line.found()
        assert line.writer.states[ONE].breaker is None

    run(story)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_no_server_is_checked_while_the_worker_drains():
    async def story(line):
        line.writer.accept(1)
        await turns()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await line.first_look()
        assert len(line.carrier.carrying) == 1
        assert line.carrier.checked == []

    run(story)


def test_a_look_on_a_live_connection_may_finish_before_the_end():
    async def story(line):
        await line.first_look()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await turns()
        assert not line.carrier.closed
        await line.found()
        assert line.carrier.closed
        assert line.worker._destinations[ONE].health.latest == WELL

    run(story)


def test_a_look_that_still_connects_is_broken_off_by_the_end_and_opens_no_breaker():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        await line.first_look()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await turns()
        assert line.carrier.closed
        assert line.carrier.checking == {}
        assert line.breaker.state is BreakerState.CLOSED

    run(story)


def test_a_look_that_does_not_end_with_its_carrier_is_cancelled(monkeypatch):
    monkeypatch.setattr("iris_communication.delivery.checks.GRACE_S", 0.01)
    monkeypatch.setattr("iris_communication.delivery.worker.CLOSE_GRACE_S", 0.01)

    async def story(line):
        line.carrier.ends_on_close = False
        await line.first_look()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        async with asyncio.timeout(LONG_S):
            while line.carrier.checking:
                await turns()

    run(story)


# -- when nothing may be sent ----------------------------------------------------------------------------------------


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


def test_a_server_outside_its_window_is_sent_nothing_and_says_until_when():
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
def test_the_clock_is_looked_at_each_minute_and_when_a_window_opens_or_closes(hours):
    async def story(line):
        await line.first_look()
        assert line.worker._turn() <= 60.0
        left_s = seconds_until_the_hour(line.clock) - line.clock.wall_s() % 1.0
        line.clock.advance(left_s - 30.0)
        assert line.worker._turn() == pytest.approx(30.0)

    run(story, server(windows=(hours,)))


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


def test_windows_that_cannot_be_read_are_never_open_and_said_so():
    async def story(line):
        line.writer.accept(1)
        await line.pass_time(86_400.0)
        assert line.carrier.started == []
        assert line.destination["held_back"].startswith("nothing is sent: 'at night' is not a delivery window")

    run(story, server(windows=("at night",)))


def test_a_paused_server_is_not_looked_at_and_says_why():
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
