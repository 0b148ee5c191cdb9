"""A connection keeps to a limit of bandwidth."""

import asyncio

import pytest

from iris_communication.errors import (
    DeliveryStopped,
    LinkTimeout,
)
from iris_communication.sftp.conversations.look import remove
from iris_communication.sftp.token_bucket import SAVED_S, TokenBucket
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.server_wire import WriteData
from tests.unit.iris_communication.delivery.connection_line import SETTINGS, ConnectionLine, outcome, run, timers_left


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

    class NotesWhenDataArrives(MemoryServer):
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

    run(test, NotesWhenDataArrives())


def test_a_limit_so_low_that_the_deadline_passes_many_times_ends_no_connection():
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
        line.channel.write = lambda data: None  # from now on nothing arrives
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
        lines = [line, ConnectionLine(line.server, line.clock), ConnectionLine(line.server, line.clock)]
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
        assert timers_left() == []

    run(test)
