"""What a health check decides of the breaker, and what of a check at the end."""

import asyncio
import itertools

from iris_communication.decisions.breaker import BreakerState
from iris_communication.delivery.worker import Drain
from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    DeliveryStopped,
    LinkLost,
    RemoteDiskFull,
)
from tests.unit.iris_communication.delivery.checking_line import (
    INTERVAL_S,
    SETTINGS,
    UNWELL,
    WELL,
    run,
    server,
)
from tests.unit.iris_communication.delivery.fake_parts import ONE, TWO, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S


def test_a_check_that_fails_opens_the_breaker_with_the_reason():
    async def story(line):
        await line.first_check()
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


def test_a_refusal_that_a_check_finds_is_logged_once_and_opens_no_breaker(caplog):
    async def story(line):
        for _ in range(2):
            await line.pass_time(INTERVAL_S)
            await line.found(UNWELL)
        assert line.breaker is BreakerState.CLOSED
        assert line.destination["link"] == "idle"

    run(story)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["iris@one:22 answers, but cannot create a file in '/in'. ask for it"], "once"


def test_a_full_disk_that_a_check_finds_opens_the_breaker():
    async def story(line):
        await line.first_check()
        await line.failed(RemoteDiskFull("0 bytes free"))
        assert line.breaker is BreakerState.OPEN

    run(story)


def test_a_check_does_not_close_a_breaker_that_opened_during_it():
    async def story(line):
        line.writer.accept(1)
        await turns()
        await line.first_check()
        line.carrier.fail(RemoteDiskFull("0 bytes free"))
        await turns()
        await line.found()
        assert line.breaker is BreakerState.OPEN
        assert line.destination["link"] == "down"

    run(story)


def test_a_check_finds_that_an_outage_ended_while_nothing_waits():
    async def story(line):
        await line.first_check()
        await line.failed(LinkLost("cut"))
        line.carrier.unconnected.add(ONE)
        await line.pass_time(INTERVAL_S)
        assert line.breaker is BreakerState.HALF_OPEN
        await line.found()
        assert line.breaker is BreakerState.CLOSED
        assert line.destination["link"] == "idle"
        assert line.destination["reason"] is None

    run(story)


def test_a_server_that_was_down_before_a_restart_is_shown_as_down_until_a_check_is_answered():
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


def test_checks_of_a_dead_server_come_once_an_interval_at_most_and_keep_to_the_breakers_pace():
    async def story(line):
        checks_at_s = []
        for _ in range(3600):
            await line.pass_time(1.0)
            if line.carrier.checking:
                checks_at_s.append(line.clock.monotonic_s())
                await line.failed(LinkLost("cut"))
        gaps = [after - before for before, after in itertools.pairwise(checks_at_s)]
        assert min(gaps) >= INTERVAL_S
        assert gaps == sorted(gaps), "the breaker waits longer each time, up to its cap"
        assert 300.0 <= gaps[-1] <= SETTINGS.breaker_cap_s

    run(story)


def test_a_file_is_the_probe_and_no_check_is_while_files_wait_behind_an_open_breaker():
    async def story(line):
        await line.first_check()
        await line.failed(LinkLost("cut"))
        line.writer.accept(5)
        await line.pass_time(10 * INTERVAL_S)
        assert len(line.carrier.started) == 1
        assert len(line.carrier.checked) == 1

    run(story)


def test_a_file_that_comes_while_a_check_is_the_probe_waits_for_its_answer():
    async def story(line):
        await line.first_check()
        await line.failed(LinkLost("cut"))
        await line.pass_time(INTERVAL_S)
        line.writer.accept(2)
        await turns()
        assert line.carrier.started == []
        await line.found()
        assert len(line.carrier.started) == 2

    run(story)


def test_a_check_whose_password_is_refused_holds_the_server_and_is_not_repeated():
    async def story(line):
        await line.first_check()
        await line.failed(AuthenticationFailed("wrong password"))
        await line.pass_time(100 * INTERVAL_S)
        assert line.breaker is BreakerState.HELD
        assert len(line.carrier.checked) == 1
        line.worker.server_changed(ONE)
        await turns()
        assert len(line.carrier.checked) == 2

    run(story)


def test_a_password_mended_during_the_check_that_it_fails_holds_no_server():
    async def story(line):
        await line.first_check()
        line.worker.server_changed(ONE)
        await turns()
        await line.failed(AuthenticationFailed("wrong password"))
        assert line.breaker is BreakerState.CLOSED

    run(story)


def test_a_password_mended_before_a_check_is_judged_by_that_check():
    async def story(line):
        line.worker.server_changed(ONE)
        await turns()
        await line.first_check()
        await line.failed(AuthenticationFailed("wrong password"))
        assert line.breaker is BreakerState.HELD

    run(story)


def test_an_unforeseen_failure_of_a_check_is_logged_and_opens_no_breaker(caplog):
    async def story(line):
        await line.first_check()
        await line.failed(ZeroDivisionError("a bug"))
        assert line.breaker is BreakerState.CLOSED
        assert "ZeroDivisionError" in line.destination["health"]["words"]
        line.writer.accept(1)
        await turns()
        assert len(line.carrier.started) == 1

    run(story)
    assert "Traceback" in caplog.text


def test_a_check_that_we_broke_off_finds_nothing_out_and_is_not_repeated_at_once():
    async def story(line):
        await line.first_check()
        await line.failed(DeliveryStopped("closed by us"))
        await line.pass_time(INTERVAL_S - 1)
        assert len(line.carrier.checked) == 1
        assert line.destination["health"] is None
        assert line.breaker is BreakerState.CLOSED

    run(story)


def test_each_health_check_that_connects_is_kept_until_it_is_answered():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        await line.first_check()
        assert line.writer.states[ONE].breaker["state"] == "half open"
        await line.found()
        assert line.writer.states[ONE].breaker is None

    run(story)


def test_no_server_is_checked_while_the_worker_drains():
    async def story(line):
        line.writer.accept(1)
        await turns()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await line.first_check()
        assert len(line.carrier.carrying) == 1
        assert line.carrier.checked == []

    run(story)


def test_a_check_on_a_live_connection_may_finish_before_the_end():
    async def story(line):
        await line.first_check()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await turns()
        assert not line.carrier.closed
        await line.found()
        assert line.carrier.closed
        health = line.destination["health"]
        assert health["done"] == list(WELL.done)
        assert (health["ok"], health["words"], health["latency_s"]) == (True, "", WELL.latency_s)
        assert (health["free_bytes"], health["total_bytes"]) == (WELL.free_bytes, WELL.total_bytes)

    run(story)


def test_a_check_that_still_connects_is_broken_off_by_the_end_and_opens_no_breaker():
    async def story(line):
        line.carrier.unconnected.add(ONE)
        await line.first_check()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        await turns()
        assert line.carrier.closed
        assert line.carrier.checking == {}
        assert line.breaker is BreakerState.CLOSED

    run(story)


def test_a_check_that_does_not_end_with_its_carrier_is_cancelled(monkeypatch):
    monkeypatch.setattr("iris_communication.delivery.checks.GRACE_S", 0.01)
    monkeypatch.setattr("iris_communication.delivery.worker.CLOSE_GRACE_S", 0.01)

    async def story(line):
        line.carrier.ends_on_close = False
        await line.first_check()
        line.worker.drain(Drain(line.clock.monotonic_s() + 100.0, may_connect=True))
        async with asyncio.timeout(LONG_S):
            while line.carrier.checking:
                await turns()

    run(story)
