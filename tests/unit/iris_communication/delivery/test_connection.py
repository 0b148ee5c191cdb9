"""One session over one channel, in virtual time: pumping, deadlines, and what happens when it ends."""

import asyncio
import contextlib
import hashlib

import pytest

from iris_communication.decisions.patience import SLOW_TIMES
from iris_communication.delivery.connection import OUTPUT_PIECE, OUTPUT_S, Connection
from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    DeliveryStopped,
    Effect,
    LinkLost,
    LinkTimeout,
    ProtocolViolation,
    SourceChanged,
)
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import SAFE_FILES_IN_FLIGHT
from iris_communication.sftp.conversations.look import remove
from iris_communication.sftp.conversations.put import put
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.token_bucket import SAVED_S, TokenBucket
from iris_communication.sftp.window import QUIET_S, RequestWindow, after_trouble
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing import virtual_time
from iris_communication.testing.clock import FakeClock
from iris_communication.testing.memory_channel import MemoryTransport
from iris_communication.testing.memory_link import BytesSource
from iris_communication.testing.memory_server import MemoryServer, ServerDies
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.silent_servers import NeverAnswersOneRequest, SilentFrom, TakesItsTime
from tests.unit.iris_communication.delivery.carrier_line import pass_time

SERVER = Server(host="sftp.example", username="iris")
SETTINGS = DeliverySettings(progress_timeout_s=30.0)
CONTENT = b"id,label\n1,good\n"
HANDLES_MAX = 1019  # that MemoryServer tells of


class Line:
    """A connection to a server in memory, and the clock of the loop it runs on."""

    def __init__(self, server, clock):
        self.server = server
        self.clock = clock
        self.transport = MemoryTransport(server)
        self.connection = Connection(SERVER, SETTINGS, clock)
        self.lost = []
        self.connection.on_lost = lambda: self.lost.append(self.connection.lost)

    async def open(self):
        await self.connection.open(self.transport, Secret(password="secret"))
        await self.connection.learned()
        return self

    @property
    def channel(self):
        return self.transport.channels[-1]

    def begin(self, name=b"/in/a.csv", content=CONTENT, source=None):
        """An upload under way, as (its task, its facts)."""
        source = source or BytesSource(content)
        upload = SftpUpload(
            final_path=name,
            temp_path=b"/in/.iris-" + name.rpartition(b"/")[2],
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            confirm_source=source.confirm,
        )
        talk = put(upload, self.connection.capabilities)
        return asyncio.create_task(self.connection.run(talk, source)), upload

    async def turns(self, count=20):
        """Let what is ready happen; no time passes."""
        for _ in range(count):
            await asyncio.sleep(0)


def run(test, server=None):
    """Run `test(line)` on a loop in virtual time; its result."""
    clock = FakeClock()

    async def main():
        return await test(Line(server or MemoryServer(), clock))

    return virtual_time.run(main(), clock)


async def outcome(awaitable):
    """The error an awaitable ends with, or its result."""
    (ended,) = await asyncio.gather(awaitable, return_exceptions=True)
    return ended


# -- opening


def test_text_that_comes_in_place_of_sftp_is_told_without_our_password():
    class SaysItBack(MemoryServer):
        """Its login script prints its variables before the server speaks."""

        def greeting(self):
            return b"PASS=geheim42 is wrong\n" + super().greeting()

    async def test(line):
        with pytest.raises(ProtocolViolation) as caught:
            await line.connection.open(line.transport, Secret(password="geheim42"))
        return str(caught.value)

    assert "PASS=(a secret) is wrong" in run(test, SaysItBack())


@pytest.mark.parametrize("announces_limits", [True, False])
def test_the_connection_opens_and_knows_what_the_server_can_do(announces_limits):
    async def test(line):
        await line.open()
        assert line.connection.host_key == "SHA256:memory"
        assert line.connection.live == 0
        return line.connection.capabilities.write_size_bytes

    assert run(test, MemoryServer(announces_limits=announces_limits)) == (261_120 if announces_limits else 32_768)


def test_a_file_does_not_wait_for_the_server_to_tell_its_limits():
    async def test(line):
        line.transport.round_trip_s = 0.1
        learned, connection = [], line.connection
        connection.on_learned = lambda: learned.append(connection.slots)
        await connection.open(line.transport, Secret(password="secret"))
        assert (connection.slots, connection.capabilities.keeps_order) == (SAFE_FILES_IN_FLIGHT, True)
        sending, _ = line.begin()
        await pass_time(0.06)  # one way
        assert [type(request) for request in line.server.asked] == [wire.Extended, wire.Open]
        assert learned == []
        await connection.learned()
        assert learned == [HANDLES_MAX // 2]
        assert await sending == b"/in/a.csv"

    run(test)


def test_limits_that_are_none_end_the_connection():
    class Server(MemoryServer):
        """Answers the question for its limits with a handle."""

        def answer(self, session, request):
            return wire.Handle(b"1") if isinstance(request, wire.Extended) else super().answer(session, request)

    async def test(line):
        with pytest.raises(ProtocolViolation):
            await line.open()
        assert line.channel.closed
        assert line.lost

    run(test, Server())


@pytest.mark.parametrize("error", [ConnectionRefused, AuthenticationFailed])
def test_an_error_of_connecting_is_passed_on(error):
    async def test(line):
        line.transport.refusal = lambda: error("no")
        with pytest.raises(error):
            await line.open()

    run(test)


@pytest.mark.parametrize(
    ("server", "error", "text"),
    [
        (faulty.ShellNoise(), ProtocolViolation, "Welcome to the plant!"),
        (faulty.OldVersion(), ProtocolViolation, "version 2"),
        (faulty.AnswersWhatNobodyAsked(), ProtocolViolation, "request 1001"),
    ],
)
def test_a_server_that_does_not_speak_sftp_is_told_by_name_and_left(server, error, text):
    async def test(line):
        with pytest.raises(error, match=text) as caught:
            await line.open()
        assert "iris@sftp.example:22" in str(caught.value)
        assert line.channel.closed

    run(test, server)


def test_a_server_that_never_greets_is_given_up_after_the_progress_timeout():
    async def test(line):
        before_s = line.clock.monotonic_s()
        with pytest.raises(LinkTimeout, match="30 s"):
            await line.open()
        assert line.clock.monotonic_s() - before_s == 30.0
        assert line.channel.closed

    run(test, faulty.NeverGreets())


def test_a_server_that_greets_before_the_channel_is_handed_over_is_heard():
    class EarlyTransport(MemoryTransport):
        """The server's first bytes are there before connect() returns."""

        async def connect(self, server, secret, settings, receiver):
            channel = await super().connect(server, secret, settings, receiver)
            receiver.data_received(channel._far.receive(wire.init()))
            channel._far._greeted = False
            channel._far.receive = greeted_already(channel._far.receive)
            return channel

    def greeted_already(receive):
        return lambda data: receive(data) and b"" if data == wire.init() else receive(data)

    async def test(line):
        line.transport = EarlyTransport(line.server)
        await line.open()
        assert await line.begin()[0] == b"/in/a.csv"

    run(test)


def test_a_channel_that_ends_while_it_is_handed_over_is_closed_and_told():
    class ShortTransport(MemoryTransport):
        """The server ends its SFTP program at once; the connection around it stays open."""

        async def connect(self, server, secret, settings, receiver):
            channel = await super().connect(server, secret, settings, receiver)
            receiver.channel_lost(LinkLost("the subsystem ended"))
            return channel

    async def test(line):
        line.transport = ShortTransport(line.server)
        with pytest.raises(LinkLost, match="subsystem"):
            await line.open()
        assert line.channel.closed

    run(test)


def test_a_channel_that_ends_right_after_the_server_told_its_limits_is_not_taken_for_open():
    class EndingTransport(MemoryTransport):
        """The answer to the first request and the end of the channel arrive in one turn of the loop."""

        async def connect(self, server, secret, settings, receiver):
            channel = await super().connect(server, secret, settings, receiver)
            deliver = channel._deliver

            def deliver_and_end(replies):
                deliver(replies)
                if self.server.asked:
                    receiver.channel_lost(LinkLost("gone"))

            channel._deliver = deliver_and_end
            return channel

    async def test(line):
        line.transport = EndingTransport(line.server)
        with pytest.raises(LinkLost, match="gone"):
            await line.open()

    run(test)


# -- carrying


def test_an_upload_is_carried_and_its_path_returned():
    async def test(line):
        await line.open()
        assert await line.begin()[0] == b"/in/a.csv"
        assert line.server.files == {b"/in/a.csv": CONTENT}
        assert line.connection.live == 0

    run(test)


def test_hundreds_of_uploads_share_the_connection():
    async def test(line):
        await line.open()
        tasks = [line.begin(b"/in/%d.csv" % n, b"%d" % n * 5000)[0] for n in range(200)]
        assert await asyncio.gather(*tasks) == [b"/in/%d.csv" % n for n in range(200)]
        assert len(line.server.files) == 200

    run(test)


def test_a_conversation_that_asks_nothing_returns_at_once():
    def silent():
        return "nothing to ask"
        yield

    async def test(line):
        await line.open()
        assert await line.connection.run(silent()) == "nothing to ask"

    run(test)


def test_small_requests_of_one_turn_travel_in_one_write():
    async def test(line):
        await line.open()
        writes, write = [], line.channel.write
        line.channel.write = lambda data: (writes.append(len(data)), write(data))
        for number in range(100):
            line.begin(b"/in/%d.csv" % number)
        await line.turns(3)
        assert len(writes) == 1
        assert line.connection.live == 100

    run(test)


def test_a_read_error_of_one_source_fails_that_file_alone():
    class Shrinks(BytesSource):
        """Its second piece is gone."""

        def read(self, offset, size_bytes):
            if offset:
                raise SourceChanged("it is shorter now")
            return super().read(offset, size_bytes)

    async def test(line):
        await line.open()
        large = bytes(600_000)
        broken, _ = line.begin(b"/in/broken.csv", large, Shrinks(large))
        sound = [line.begin(b"/in/%d.csv" % n)[0] for n in range(5)]
        error = await outcome(broken)
        assert isinstance(error, SourceChanged)
        assert await asyncio.gather(*sound) == [b"/in/%d.csv" % n for n in range(5)]
        assert line.connection.lost is None
        assert sorted(line.server.files) == [b"/in/%d.csv" % n for n in range(5)]
        assert await line.begin(b"/in/after.csv")[0] == b"/in/after.csv"

    run(test)


def test_a_caller_that_is_cancelled_stops_nobody_else():
    async def test(line):
        await line.open()
        first, _ = line.begin(b"/in/1.csv")
        second, _ = line.begin(b"/in/2.csv")
        await line.turns(2)
        first.cancel()
        assert await second == b"/in/2.csv"
        await line.turns()
        assert line.server.content(b"/in/1.csv") == CONTENT  # what is on its way cannot be called back

    run(test)


# -- deadlines


def test_silence_with_answers_owed_ends_everything_at_once_after_the_progress_timeout():
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
        line.channel._carry = lambda data: None  # from now on nothing arrives
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
        line.channel._deliver = lambda replies: None
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
        deliver, loop = line.channel._deliver, asyncio.get_running_loop()

        def in_halves(replies):
            loop.call_later(10.0, deliver, replies[:5])
            loop.call_later(20.0, deliver, replies[5:])

        line.channel._deliver = in_halves
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


def test_a_slow_server_that_never_answers_is_given_up_in_the_end_and_the_step_is_told():
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


def test_a_channel_that_ends_after_silence_is_a_timeout_with_its_words():
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


class SlowTransport(MemoryTransport):
    """Carries `bytes_a_second` towards the server, in small packets; answers come at once."""

    bytes_a_second = 4_000

    async def connect(self, server, secret, settings, receiver):
        channel = await super().connect(server, secret, settings, receiver)
        loop, free_s = asyncio.get_running_loop(), 0.0

        def write(data):
            nonlocal free_s
            for at in range(0, len(data), 1024):
                packet = bytes(data[at : at + 1024])
                free_s = max(free_s, loop.time()) + len(packet) / self.bytes_a_second
                loop.call_at(free_s, channel._carry, packet)

        channel.write = write
        return channel


def test_a_slow_link_gets_a_large_file_through():
    """One WRITE of the size this server takes would need more than the progress timeout."""
    content = bytes(1_000_000)

    async def test(line):
        line.transport = SlowTransport(line.server)
        await line.open()
        before_s = line.clock.monotonic_s()
        assert await line.begin(content=content)[0] == b"/in/a.csv"
        assert 250 < line.clock.monotonic_s() - before_s < 260
        assert line.server.content(b"/in/a.csv") == content

    run(test)


def test_a_fast_link_is_sent_what_the_server_takes_at_once():
    async def test(line):
        await line.open()
        assert await line.begin(content=bytes(8_000_000))[0]
        sizes = [len(request.data) for request in line.server.asked if isinstance(request, WriteData)]
        assert sizes[0] == 32_768  # until the first answer tells how fast the link is
        assert sizes[-2] == 261_120
        assert len(sizes) < 170

    run(test)


def test_a_server_that_takes_little_at_once_is_given_no_more():
    class Small(MemoryServer):
        """Takes 1000 bytes in a WRITE."""

        def limits(self):
            return (34_000, 1000, 2000, 64)

    async def test(line):
        await line.open()
        assert await line.begin(content=bytes(50_000))[0]
        sizes = {len(request.data) for request in line.server.asked if isinstance(request, WriteData)}
        assert sizes == {2000}

    run(test, Small())


def test_setting_the_wall_clock_ends_nothing():
    async def test(line):
        await line.open()
        line.clock.jump_wall(1e9)
        assert await line.begin()[0] == b"/in/a.csv"

    run(test)


# -- a limit of bandwidth


def limited(line, bytes_per_s):
    line.connection.limit(TokenBucket(bytes_per_s, line.clock.monotonic_s()))


@pytest.mark.parametrize("bytes_per_s", [2_000.0, 100_000.0, 1_000_000.0])
def test_files_go_no_faster_than_the_limit_and_hardly_slower(bytes_per_s):
    content = bytes(int(20 * bytes_per_s))

    async def test(line):
        await line.open()
        limited(line, bytes_per_s)
        began_s = line.clock.monotonic_s()
        uploads = [line.begin(b"/in/%d.csv" % n, content[n::4])[0] for n in range(4)]
        await asyncio.gather(*uploads)
        took_s = line.clock.monotonic_s() - began_s
        assert 20.0 - SAVED_S - 0.01 <= took_s <= 20.5

    run(test)


def test_a_limited_flow_is_smooth():
    arrived = []

    class Watched(MemoryServer):
        """Notes when how much arrives."""

        clock = None

        def answer(self, session, request):
            if isinstance(request, WriteData):
                arrived.append((self.clock.monotonic_s(), len(request.data)))
            return super().answer(session, request)

    async def test(line):
        line.server.clock = line.clock
        await line.open()
        limited(line, 100_000.0)
        await line.begin(content=bytes(1_000_000))[0]
        for at_s, _ in arrived:
            window = sum(size for other_s, size in arrived if at_s <= other_s < at_s + 1.0)
            assert window <= 1.5 * 100_000 + 25_000

    run(test, Watched())


def test_a_limit_so_low_that_the_deadline_passes_many_times_ends_nothing():
    async def test(line):
        await line.open()
        limited(line, 10.0)
        before_s = line.clock.monotonic_s()
        assert await line.begin(content=bytes(5_000))[0] == b"/in/a.csv"
        assert line.clock.monotonic_s() - before_s > 10 * SETTINGS.progress_timeout_s

    run(test)


def test_a_server_that_falls_silent_is_noticed_under_a_limit_too():
    async def test(line):
        await line.open()
        limited(line, 1_000.0)
        task, _ = line.begin(content=bytes(100_000))
        await line.turns()
        line.channel._carry = lambda data: None
        before_s = line.clock.monotonic_s()
        assert isinstance(await outcome(task), LinkTimeout)
        assert line.clock.monotonic_s() - before_s <= 31.0

    run(test)


def test_a_request_without_file_data_never_waits_for_bandwidth():
    """Looking, opening, closing and renaming go on while the bandwidth is used up."""

    async def test(line):
        await line.open()
        limited(line, 10.0)
        line.begin(b"/in/large.csv", bytes(10_000))
        await line.turns()
        before_s = line.clock.monotonic_s()
        assert await line.connection.run(remove(b"/in/nothing.csv")) is False
        assert line.clock.monotonic_s() == before_s

    run(test)


def test_several_connections_share_one_limit():
    content = bytes(200_000)

    async def test(line):
        bucket = TokenBucket(50_000.0, line.clock.monotonic_s())
        lines = [line, Line(line.server, line.clock), Line(line.server, line.clock)]
        for each in lines:
            await each.open()
            each.connection.limit(bucket)
        before_s = line.clock.monotonic_s()
        uploads = [each.begin(b"/in/%d.csv" % n, content)[0] for n, each in enumerate(lines)]
        await asyncio.gather(*uploads)
        assert 11.4 <= line.clock.monotonic_s() - before_s <= 12.5

    run(test)


def test_a_limit_that_is_lifted_or_changed_counts_at_once():
    async def test(line):
        await line.open()
        limited(line, 10.0)
        task, _ = line.begin(content=bytes(2_000_000))
        await line.turns()
        limited(line, 1_000_000.0)
        before_s = line.clock.monotonic_s()
        asyncio.get_running_loop().call_later(1.0, line.connection.limit, None)
        await task
        assert 0.9 <= line.clock.monotonic_s() - before_s <= 1.5

    run(test)


def test_a_limited_connection_that_ends_leaves_no_timer_behind():
    async def test(line):
        await line.open()
        limited(line, 10.0)
        task, _ = line.begin(content=bytes(1_000))
        await line.turns()
        line.connection.close()
        assert isinstance(await outcome(task), DeliveryStopped)
        await line.turns()
        assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []

    run(test)


# -- what it tells afterwards


def test_the_trace_tells_what_was_asked_and_answered_and_when():
    async def test(line):
        await line.open()
        await line.begin()[0]
        line.clock.advance(5.0)
        line.clock.jump_wall(0.5)
        told = line.connection.trace()
        assert told[-2:] == [
            "2023-11-14T22:15:23.750Z > 6 RENAME '/in/.iris-a.csv' '/in/a.csv'",
            "2023-11-14T22:15:23.750Z < 6 OK",
        ]

    run(test)


def test_the_trace_tells_how_the_connection_ended():
    async def test(line):
        await line.open()
        line.begin()
        await line.turns(3)
        line.channel.lose(LinkLost("reset by peer"))
        await line.turns()
        assert line.connection.trace()[-1] == "ended: LinkLost: reset by peer"

    run(test)


# -- the end


def test_everything_in_flight_fails_at_once_when_the_channel_is_lost():
    async def test(line):
        await line.open()
        before_s = line.clock.monotonic_s()
        begun = [line.begin(b"/in/%d.csv" % n) for n in range(10)]
        await line.turns(3)
        line.channel.lose(LinkLost("reset by peer"))
        errors = await asyncio.gather(*(outcome(task) for task, _ in begun))
        assert [(type(error), str(error)) for error in errors] == [(LinkLost, "reset by peer")] * 10
        assert line.clock.monotonic_s() == before_s
        assert line.connection.live == 0
        assert [str(error) for error in line.lost] == ["reset by peer"]

    run(test)


def test_the_effect_of_a_lost_channel_is_each_files_own():
    class DiesAtTheSecondRename(MemoryServer):
        """Does one RENAME and dies at the next."""

        renames = 0

        def answer(self, session, request):
            self.renames += isinstance(request, wire.Rename)
            if self.renames == 2:
                raise ServerDies
            return super().answer(session, request)

    async def test(line):
        await line.open()
        first, _ = line.begin(b"/in/1.csv")
        assert await first == b"/in/1.csv"
        renaming, _ = line.begin(b"/in/2.csv")
        await line.turns(9)
        writing, _ = line.begin(b"/in/3.csv")
        assert (await outcome(renaming)).effect is Effect.UNKNOWN
        assert (await outcome(writing)).effect is Effect.UNSEEN
        late, _ = line.begin(b"/in/4.csv")
        assert (await outcome(late)).effect is Effect.NONE

    run(test, DiesAtTheSecondRename())


def test_nonsense_in_the_middle_ends_everything_and_names_the_server():
    async def test(line):
        await line.open()
        begun = [line.begin(b"/in/%d.csv" % n)[0] for n in range(3)]
        errors = await asyncio.gather(*map(outcome, begun))
        assert [type(error) for error in errors] == [ProtocolViolation] * 3
        assert "iris@sftp.example:22" in str(errors[0])
        assert line.channel.closed

    run(test, faulty.CutsHandlesShort())


def test_a_new_conversation_on_a_lost_connection_fails_with_the_reason():
    async def test(line):
        await line.open()
        line.channel.lose(LinkLost("reset by peer"))
        await line.turns()
        error = await outcome(line.begin()[0])
        assert (type(error), str(error)) == (LinkLost, "reset by peer")

    run(test)


def test_closing_ends_what_is_under_way_and_may_be_done_twice():
    async def test(line):
        await line.open()
        task, _ = line.begin()
        await line.turns(2)
        line.connection.close()
        line.connection.close()
        assert isinstance(await outcome(task), DeliveryStopped)
        assert line.channel.closed
        assert len(line.lost) == 1
        await line.turns()
        assert len(line.lost) == 1

    run(test)


def test_a_closed_connection_leaves_no_timer_behind():
    async def test(line):
        await line.open()
        line.connection.close()
        await line.turns()
        assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []

    run(test)


# -- a slice of a turn


class SlowDisk(BytesSource):
    """Each read takes all the time that a turn has."""

    def __init__(self, content, clock):
        super().__init__(content)
        self._clock = clock

    def read(self, offset, size_bytes):
        self._clock.advance(OUTPUT_S)
        return super().read(offset, size_bytes)


def test_a_turn_sends_no_further_piece_once_its_time_is_over():
    async def test(line):
        await line.open()
        content = bytes(4 * OUTPUT_PIECE)
        uploads = [line.begin(b"/in/%d.csv" % n, content, SlowDisk(content, line.clock))[0] for n in range(2)]
        written, write = [0], line.channel.write

        def watched(data):
            written[-1] += 1
            write(data)

        line.channel.write = watched
        while not all(upload.done() for upload in uploads):
            written.append(0)
            await asyncio.sleep(0)
        assert max(written) == 1
        assert sum(written) >= 8

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


def test_files_that_trouble_took_come_back_with_small_files_alone():
    async def test(line):
        line.connection.window = after_trouble(RequestWindow(), 8, line.clock.monotonic_s())
        await line.open()
        assert line.connection.slots == 4
        for _ in range(2):
            line.clock.advance(QUIET_S)
            task, _ = line.begin(b"/in/%d.csv" % line.clock.monotonic_s())
            await task
        assert line.connection.slots == 16

    run(test)
