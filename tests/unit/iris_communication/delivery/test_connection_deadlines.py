"""How long a connection waits for an answer, and what counts as progress."""

import asyncio
import contextlib

import pytest

from iris_communication.decisions.patience import SLOW_TIMES
from iris_communication.errors import (
    Effect,
    LinkLost,
    LinkTimeout,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.silent_servers import NeverAnswersOneRequest, SilentFrom, TakesItsTime
from tests.unit.iris_communication.delivery.carrier_line import pass_time
from tests.unit.iris_communication.delivery.connection_line import SETTINGS, outcome, run


def test_silence_with_answers_owed_ends_all_uploads_at_once_after_the_progress_timeout():
    async def test(line):
        await line.open()
        before_s = line.clock.monotonic_s()
        begun = [line.begin(b"/in/%d.csv" % n) for n in range(10)]
        errors = await asyncio.gather(*(outcome(task) for task, _ in begun))
        assert [type(error) for error in errors] == [LinkTimeout] * 10
        assert len({id(error) for error in errors}) == 10
        assert {error.effect for error in errors} == {Effect.UNSEEN}
        assert line.clock.monotonic_s() - before_s == 30.0
        assert "30 s" in str(errors[0])
        assert line.channel.closed
        assert [type(error) for error in line.lost] == [LinkTimeout]

    run(test, faulty.SilentAfterOpen())


def test_an_idle_connection_lives_on_however_long():
    async def test(line):
        await line.open()
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(3600, lambda: None)
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(7200, done.set_result, None)
        await done
        assert line.connection.lost is None
        assert await line.begin()[0] == b"/in/a.csv"

    run(test)


def test_silence_counts_from_the_first_request_after_an_idle_time():
    async def test(line):
        await line.open()
        assert await line.begin(b"/in/1.csv")[0]
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(29.0, done.set_result, None)
        await done
        line.channel.write = lambda data: None  # from now on nothing arrives
        asked_s = line.clock.monotonic_s()
        task, _ = line.begin(b"/in/2.csv")
        assert isinstance(await outcome(task), LinkTimeout)
        assert 30.0 <= line.clock.monotonic_s() - asked_s <= 31.0

    run(test)


@pytest.mark.parametrize("keeps_alive", [False, True])
def test_a_server_that_drips_the_bytes_of_an_answer_is_given_up_after_the_progress_timeout(keeps_alive):
    async def test(line):
        line.transport.keeps_alive = keeps_alive
        await line.open()
        line.transport.pass_on = lambda receiver, replies: None
        loop, before_s = asyncio.get_running_loop(), line.clock.monotonic_s()
        task, _ = line.begin()
        await line.turns()
        packet = b"\x00\x03\x00\x00" + bytes(100)  # one of 196,608 bytes
        for number in range(len(packet)):
            loop.call_later(0.5 * (number + 1), line.connection.data_received, packet[number : number + 1])
        assert isinstance(await outcome(task), LinkTimeout)
        assert line.clock.monotonic_s() - before_s == pytest.approx(30.0, abs=1.0)

    run(test)


def test_a_server_that_drips_its_greeting_is_given_up_after_the_progress_timeout():
    class DripsItsGreeting(MemoryServer):
        """Announces a greeting of 200 bytes, and begins it."""

        def greeting(self):
            return b"\x00\x00\x00\xc8\x02"

    async def test(line):
        line.transport.keeps_alive = True
        begun_s = line.clock.monotonic_s()
        with pytest.raises(LinkTimeout, match="began an answer 30 s ago, and has not sent the rest"):
            await line.open()
        assert line.clock.monotonic_s() - begun_s == 30.0

    run(test, DripsItsGreeting())


def test_whole_answers_each_in_time_are_progress_however_many_bytes_they_come_in():
    async def test(line):
        await line.open()
        loop = asyncio.get_running_loop()

        def in_halves(receiver, replies):
            loop.call_later(10.0, receiver.data_received, replies[:5])
            loop.call_later(20.0, receiver.data_received, replies[5:])

        line.transport.pass_on = in_halves
        assert await line.begin()[0] == b"/in/a.csv"
        assert line.clock.monotonic_s() > 50.0

    run(test)


@pytest.mark.parametrize("kind", [wire.Open, WriteData, wire.Close, wire.Stat, wire.Rename])
def test_a_server_that_answers_keep_alive_is_slow_and_not_dead(kind, caplog):
    async def test(line):
        line.transport.keeps_alive = True
        await line.open()
        for name in (b"/in/1.csv", b"/in/2.csv"):
            assert await line.begin(name)[0] == name
        assert line.connection.lost is None
        assert line.connection.slowest_s == pytest.approx(250.0, abs=1.0)

    run(test, TakesItsTime(kind, 250.0))
    (said,) = [record.message for record in caplog.records if "it is slow" in record.message]
    assert "waited for up to 300 s" in said


def test_a_slow_server_that_never_answers_is_given_up_in_the_end_with_the_step():
    async def test(line):
        line.transport.keeps_alive = True
        await line.open()
        before_s = line.clock.monotonic_s()
        error = await outcome(line.begin()[0])
        assert line.clock.monotonic_s() - before_s == pytest.approx(SLOW_TIMES * 30.0, abs=1.0)
        assert (type(error), error.step) == (LinkTimeout, "Close")

    run(test, SilentFrom(wire.Close))


@pytest.mark.parametrize(("times", "factor"), [(0, 1), (1, 2), (2, 4), (5, 32), (9, 32)])
def test_a_file_whose_step_has_timed_out_is_waited_for_longer(times, factor):
    async def test(line):
        line.transport.keeps_alive = True
        await line.open()
        before_s = line.clock.monotonic_s()
        with line.connection.patient(times):
            assert isinstance(await outcome(line.begin()[0]), LinkTimeout)
        assert line.clock.monotonic_s() - before_s == pytest.approx(SLOW_TIMES * 30.0 * factor, abs=1.0)

    run(test, SilentFrom(wire.Close))


def test_a_server_that_was_slow_and_answered_has_twice_as_long_the_next_time():
    async def test(line):
        line.transport.keeps_alive = True
        line.connection.slowest_s = 1000.0
        await line.open()
        assert await line.begin()[0] == b"/in/a.csv"

    run(test, TakesItsTime(wire.Close, 1999.0))


def test_a_request_that_others_overtake_is_waited_for_longer_while_the_link_stands():
    async def test(line):
        line.transport.keeps_alive = True
        await line.open()
        task, _ = line.begin(b"/in/forgotten.csv")
        before_s = line.clock.monotonic_s()
        while not task.done():
            await line.begin(b"/in/%f.csv" % line.clock.monotonic_s())[0]
            await pass_time(20.0)
        with pytest.raises(LinkTimeout, match="answers others, but not a Close"):
            await task
        assert SLOW_TIMES * 30.0 <= line.clock.monotonic_s() - before_s <= (SLOW_TIMES + 2) * 30.0

    run(test, NeverAnswersOneRequest(wire.Close))


def test_a_channel_that_ends_after_silence_is_a_timeout_with_its_text():
    async def test(line):
        line.transport.keeps_alive = True
        await line.open()
        task, _ = line.begin()
        await pass_time(31.0)
        line.channel.lose(LinkLost("no answer to keep-alive"))
        error = await outcome(task)
        assert type(error) is LinkTimeout
        assert "has not answered for 31 s: no answer to keep-alive" in str(error)

    run(test, SilentFrom(wire.Close))


def test_setting_the_wall_clock_ends_no_connection():
    async def test(line):
        await line.open()
        line.clock.jump_wall(1e9)
        assert await line.begin()[0] == b"/in/a.csv"

    run(test)


@pytest.mark.parametrize("kind", [wire.Open, WriteData, wire.Rename])
def test_a_request_that_is_never_answered_while_others_are_ends_the_connection_in_bounded_time(kind):
    async def story(line):
        await line.open()
        forgotten, _ = line.begin(b"/in/forgotten.csv")
        began_s = line.clock.monotonic_s()
        for number in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTINGS.progress_timeout_s / 4):
                    await line.begin(b"/in/%d.csv" % number)[0]
                    await asyncio.Event().wait()
            if forgotten.done():
                break
        with pytest.raises(LinkTimeout, match=f"answers others, but not a {kind.__name__.removesuffix('Data')}"):
            await forgotten
        assert line.clock.monotonic_s() - began_s <= 3 * SETTINGS.progress_timeout_s

    run(story, NeverAnswersOneRequest(kind))
