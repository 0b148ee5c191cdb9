"""A health check by SFTP: on the connection that is there, or on one of its own."""

import asyncio

import pytest

from iris_communication.errors import (
    ConnectionRefused,
    DeliveryStopped,
    LinkLost,
)
from iris_communication.settings import Secret, Server
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, MemoryTransport
from iris_communication.testing.memory_server import ServerDies
from tests.unit.iris_communication.delivery.carrier_line import IDLE_S, SERVER, pass_time, run


class AnswersAfter(MemoryServer):
    """Its clock goes on by so many seconds while it looks at a name."""

    clock, seconds = None, 0.003

    def answer(self, session, request):
        if isinstance(request, wire.Stat):
            self.clock.advance(self.seconds)
        return super().answer(session, request)


def test_a_check_returns_what_was_found_in_the_accounts_folder_and_how_long_an_answer_took(line):
    server = AnswersAfter()
    server.clock = line.clock
    line.server, line.transport = server, MemoryTransport(server)
    line.resolve = lambda key: (Server("one", "iris", remote_directory="/in"), Secret(password="x"))

    async def story():
        found = await line.carrier.check(SERVER.key, round_trip=False)
        assert (found.ok, found.done, found.text) == (True, ("answers", "free space"), "")
        assert found.latency_s == pytest.approx(0.003)
        assert wire.Stat(b"/in") in server.asked
        assert wire.Open not in map(type, server.asked)

    run(line, story)


def test_a_round_trip_leaves_nothing_and_each_has_a_name_of_its_own(line):
    async def story():
        for _ in range(2):
            assert (await line.carrier.check(SERVER.key, round_trip=True)).done[-1] == "round trip"
        opened = [request.path for request in line.server.asked if type(request) is wire.Open]
        assert len(set(opened)) == 2
        assert line.server.files == {}

    run(line, story)


def test_a_check_of_a_server_without_traffic_connects_and_disconnects_again(line):
    async def story():
        for checks in (1, 2):
            await line.carrier.check(SERVER.key, round_trip=False)
            assert line.transport.attempts == checks
            assert not line.carrier.connected(SERVER.key)

    run(line, story)


def test_a_check_uses_the_connection_that_is_there_and_leaves_it(line):
    async def story():
        await line.carry(line.item())
        await line.carrier.check(SERVER.key, round_trip=True)
        assert line.carrier.connected(SERVER.key)
        assert line.transport.attempts == 1

    run(line, story)


def test_checks_do_not_keep_an_idle_connection_open(line):
    async def story():
        await line.carry(line.item())
        for _ in range(3):
            await pass_time(IDLE_S / 3 + 1)
            await line.carrier.check(SERVER.key, round_trip=False)
        assert not line.carrier.connected(SERVER.key)

    run(line, story)


def test_a_connection_made_for_a_check_stays_for_the_item_that_came_meanwhile(line):
    async def story():
        checking = asyncio.create_task(line.carrier.check(SERVER.key, round_trip=True))
        await asyncio.sleep(0)
        (delivered,) = await line.carry(line.item())
        await checking
        assert delivered.final_path == "/in/1.csv"
        assert line.carrier.connected(SERVER.key)
        assert line.transport.attempts == 1

    run(line, story)


def test_a_check_of_a_server_that_refuses_us_fails_as_an_item_would(line):
    line.transport.refusal = lambda: ConnectionRefused("nothing listens there")

    async def story():
        with pytest.raises(ConnectionRefused):
            await line.carrier.check(SERVER.key, round_trip=False)

    run(line, story)


def test_a_file_that_a_check_left_because_the_link_broke_is_removed_by_the_next(line):
    class DiesAtTheRename(MemoryServer):
        """Dies at the first RENAME, before it does it."""

        dead = False

        def answer(self, session, request):
            if isinstance(request, wire.Rename) and not self.dead:
                self.dead = True
                raise ServerDies
            return super().answer(session, request)

    line.server = DiesAtTheRename()
    line.transport = MemoryTransport(line.server)

    async def story():
        with pytest.raises(LinkLost):
            await line.carrier.check(SERVER.key, round_trip=True)
        assert len(line.server.files) == 1
        assert (await line.carrier.check(SERVER.key, round_trip=True)).ok
        assert line.server.files == {}

    run(line, story)


def test_closing_breaks_a_check_off(line):
    async def story():
        await line.carry(line.item())
        checking = asyncio.create_task(line.carrier.check(SERVER.key, round_trip=True))
        await asyncio.sleep(0)
        await line.carrier.close()
        with pytest.raises(DeliveryStopped):
            await checking

    run(line, story)
