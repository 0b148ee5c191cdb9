"""One session over one channel, in virtual time: pumping, the sizes of writes, the trace, and the end."""

import asyncio

from iris_communication.delivery.connection import OUTPUT_PIECE, OUTPUT_S
from iris_communication.errors import (
    DeliveryStopped,
    Effect,
    LinkLost,
    ProtocolViolation,
    SourceChanged,
)
from iris_communication.sftp import wire
from iris_communication.sftp.window import QUIET_S, RequestWindow, after_trouble
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_channel import MemoryTransport
from iris_communication.testing.memory_server import MemoryServer, ServerDies
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import BytesSource
from tests.unit.iris_communication.delivery.connection_line import CONTENT, outcome, run, timers_left


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


def test_a_conversation_without_a_request_returns_at_once():
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


def test_a_caller_that_is_cancelled_stops_no_other():
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


class SlowTransport(MemoryTransport):
    """Carries `bytes_a_second` towards the server, in small packets; answers come at once."""

    bytes_a_second = 4_000

    async def connect(self, server, secret, settings, receiver):
        channel = await super().connect(server, secret, settings, receiver)
        loop, carry, free_s = asyncio.get_running_loop(), channel.write, 0.0

        def write(data):
            nonlocal free_s
            for at in range(0, len(data), 1024):
                packet = bytes(data[at : at + 1024])
                free_s = max(free_s, loop.time()) + len(packet) / self.bytes_a_second
                loop.call_at(free_s, carry, packet)

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
        assert sizes[0] == 32_768  # until the first answer shows how fast the link is
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


def test_the_trace_holds_what_was_asked_and_answered_and_when():
    async def test(line):
        await line.open()
        await line.begin()[0]
        line.clock.advance(5.0)
        line.clock.jump_wall(0.5)
        events = line.connection.trace()
        assert events[-2:] == [
            "2023-11-14T22:15:23.750Z > 6 RENAME '/in/.iris-a.csv' '/in/a.csv'",
            "2023-11-14T22:15:23.750Z < 6 OK",
        ]

    run(test)


def test_the_trace_ends_with_how_the_connection_ended():
    async def test(line):
        await line.open()
        line.begin()
        await line.turns(3)
        line.channel.lose(LinkLost("reset by peer"))
        await line.turns()
        assert line.connection.trace()[-1] == "ended: LinkLost: reset by peer"

    run(test)


def test_all_uploads_in_flight_fail_at_once_when_the_channel_is_lost():
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


def test_an_answer_that_breaks_the_protocol_ends_the_connection_and_names_the_server():
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
        assert timers_left() == []

    run(test)


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
