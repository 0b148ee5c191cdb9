"""When further connections are opened, how many, and what becomes of those that are refused."""

import asyncio
from dataclasses import replace

import pytest

from iris_communication.delivery.pool import FULL_S, HANDSHAKES_AT_ONCE, REFUSED_S, ConnectionPool
from iris_communication.errors import ConnectionRefused
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.sftp.window import BYTES_LEAST
from iris_communication.testing import FakeClock, MemoryServer, MemoryTransport
from iris_communication.testing.faulty_servers import NeverGreets
from tests import virtual_time
from tests.unit.iris_communication.delivery.carrier_line import pass_time
from tests.unit.iris_communication.delivery.fake_parts import turns

SERVER = Server("one", "iris")
KEY = SERVER.key
FAR_S = 0.1


class KeepsWaiting(MemoryServer):
    """Answers no STAT while it `waits`."""

    waits = True

    def answer(self, session, request):
        return None if self.waits and isinstance(request, wire.Stat) else super().answer(session, request)


class Pool:
    """A pool to a server in memory that is so far away; `files` may be under way on each connection."""

    def __init__(self, round_trip_s=FAR_S, files=4, server=None, connections_max=3):
        self.clock = FakeClock()
        self.server = server or KeepsWaiting(handles_max=2 * files)
        self.transport = MemoryTransport(self.server)
        self.transport.round_trip_s = round_trip_s
        self.settings = DeliverySettings(idle_close_s=60.0, progress_timeout_s=1000.0)
        self.account = replace(SERVER, connections_max=connections_max)
        self.users = []

    def open(self):
        self.pool = ConnectionPool(
            self.transport, lambda key: (self.account, Secret(password="x")), self.settings, self.clock
        )

    @property
    def count(self):
        return sum(not channel.closed for channel in self.transport.channels)

    async def use(self, count):
        """So many conversations begin, each on a connection it asks for, and do not end."""

        async def using():
            connection = await self.pool.connection(KEY)
            await connection.run(looking())

        for _ in range(count):
            self.users.append(asyncio.create_task(using()))
            await pass_time(FAR_S * 3)


def looking():
    yield wire.Stat(b"/in")


def run(pool, story):
    async def main():
        pool.open()
        try:
            await story()
        finally:
            await pool.pool.close()
            await asyncio.gather(*pool.users, return_exceptions=True)
            await turns()

    virtual_time.run(main(), pool.clock)


def test_connections_that_stay_full_at_a_high_round_trip_time_get_further_ones_up_to_the_maximum():
    pool = Pool()

    async def story():
        await pool.use(4)
        assert pool.count == 1
        for _ in range(12):
            await pool.use(2)
            await pass_time(FULL_S)
        assert pool.count == 3
        assert pool.pool.slots(KEY) == 12

    run(pool, story)


def test_one_connection_suffices_for_a_low_round_trip_time():
    pool = Pool(round_trip_s=0.0)

    async def story():
        for _ in range(5):
            await pool.use(4)
            await pass_time(FULL_S)
        assert pool.count == 1

    run(pool, story)


def test_bursts_that_fill_it_for_a_moment_are_not_worth_a_further_handshake():
    pool = Pool(server=MemoryServer(handles_max=8))

    async def story():
        connection = await pool.pool.connection(KEY)
        await connection.learned()
        for _ in range(5):
            pool.users += [asyncio.create_task(connection.run(looking())) for _ in range(4)]
            await turns()
            await pool.pool.connection(KEY)
            assert connection.is_full
            await pass_time(FULL_S)
            await pool.pool.connection(KEY)
        assert pool.count == 1

    run(pool, story)


def test_a_further_connection_that_is_refused_fails_no_item_and_is_tried_again_only_later():
    pool = Pool()

    async def story():
        await pool.use(4)
        pool.transport.refusal = lambda: ConnectionRefused("one: too many sessions")
        for _ in range(3):
            await pool.use(1)
            await pass_time(FULL_S)
        asked = pool.transport.attempts
        assert asked == 2
        assert not any(user.done() for user in pool.users)
        pool.transport.refusal = None
        await pass_time(REFUSED_S)
        for _ in range(2):
            await pool.use(1)
            await pass_time(FULL_S)
        assert pool.transport.attempts == asked + 1

    run(pool, story)


def test_items_go_to_the_connection_with_most_room():
    pool = Pool()

    async def story():
        connections = await pool.pool.several(KEY, 2)
        await pool.use(4)
        assert [connection.live for connection in connections] == [2, 2]

    run(pool, story)


def test_idle_connections_are_kept_warm_and_then_closed():
    pool = Pool()

    async def story():
        pool.server.waits = False
        await pool.pool.several(KEY, 3)
        await pass_time(pool.settings.idle_close_s - 1.0)
        assert pool.count == 3
        await pass_time(2.0)
        assert pool.count == 0

    run(pool, story)


def test_a_connection_that_is_held_is_not_idle_until_it_is_let_go():
    pool = Pool()

    async def story():
        with (await pool.pool.connection(KEY)).held():
            await pass_time(3 * pool.settings.idle_close_s)
            assert pool.count == 1
        await pass_time(pool.settings.idle_close_s - 1.0)
        assert pool.count == 1
        await pass_time(pool.settings.idle_close_s)
        assert pool.count == 0

    run(pool, story)


def test_several_are_as_many_as_were_asked_for_and_fewer_where_the_server_refuses():
    pool = Pool()

    async def story():
        assert len(await pool.pool.several(KEY, 2)) == 2
        pool.transport.refusal = lambda: ConnectionRefused("one: too many sessions")
        assert len(await pool.pool.several(KEY, 4)) == 2

    run(pool, story)


def test_several_of_a_server_that_refuses_even_one_fail_as_one_does():
    pool = Pool()

    async def story():
        pool.transport.refusal = lambda: ConnectionRefused("one: refused")
        with pytest.raises(ConnectionRefused):
            await pool.pool.several(KEY, 3)

    run(pool, story)


def test_several_are_no_more_than_connections_max():
    pool = Pool(connections_max=2)

    async def story():
        assert len(await pool.pool.several(KEY, 8)) == pool.transport.attempts == 2

    run(pool, story)


def test_servers_that_are_silent_after_the_login_keep_no_other_from_connecting():
    pool = Pool(server=NeverGreets(), connections_max=8)

    async def story():
        several = asyncio.create_task(pool.pool.several(KEY, 8))
        await turns()
        pool.users.append(several)
        pool.users += [asyncio.create_task(pool.pool.connection(f"{KEY}{number}")) for number in range(8)]
        await turns()
        assert pool.transport.attempts == 9

    run(pool, story)


def test_no_more_than_four_handshakes_go_on_at_once():
    pool = Pool(connections_max=8)
    under_way, most = 0, 0
    connect = pool.transport.connect

    async def slow(*facts):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await pass_time(1.0)
        under_way -= 1
        return await connect(*facts)

    pool.transport.connect = slow

    async def story():
        assert len(await pool.pool.several(KEY, 8)) == 8
        assert most == HANDSHAKES_AT_ONCE

    run(pool, story)


def test_a_connection_lost_with_much_in_flight_makes_the_window_of_the_next_one_smaller():
    pool = Pool(files=20)

    async def story():
        first = await pool.pool.connection(KEY)
        await first.learned()
        slots = first.slots
        await pool.use(10)
        for _ in range(2):
            pool.transport.channels[-1].lose(ConnectionRefused("cut"))
            await turns()
        second = await pool.pool.connection(KEY)
        await second.learned()
        assert BYTES_LEAST <= second.window.bytes_max < 4 * 1024 * 1024
        assert second.slots == slots // 2 == 10

    run(pool, story)


def test_a_server_that_cut_a_file_short_gets_one_write_at_a_time_on_every_connection():
    pool = Pool()

    async def story():
        there = await pool.pool.connection(KEY)
        pool.pool.had_trouble_writing(KEY, cut_short=True)
        later = (await pool.pool.several(KEY, 2))[1]
        assert there.window.one_write
        assert later.window.one_write

    run(pool, story)
