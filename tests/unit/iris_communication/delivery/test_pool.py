import asyncio
import contextlib
import hashlib
import os

import pytest

from iris_communication.delivery.pool import SftpCarrier
from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    DeliveryStopped,
    Effect,
    IrisError,
    LinkLost,
    RemoteRefused,
    ServerUnresolved,
)
from iris_communication.item import Fingerprint, State
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.testing import FakeClock, MemoryServer, MemoryTransport, run
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.outbox.fake_parts import an_item, open_descriptors

SERVER = Server("one", "iris")
CONTENT = b"a,b\n1,2\n"
IDLE_S = 60.0
SETTINGS = DeliverySettings(idle_close_s=IDLE_S)


class Line:
    """A carrier to a server in memory."""

    def __init__(self, folder, server=None):
        self.folder, self.clock = folder, FakeClock()
        self.server = server or MemoryServer()
        self.transport = MemoryTransport(self.server)
        self.resolve = lambda key: (SERVER, Secret(password="x"))
        self.changes = 0

    async def open(self):
        self.carrier = SftpCarrier(self.transport, self.ask, lambda item: self.folder / item.id, SETTINGS, self.clock)
        self.carrier.on_change = self.count_change

    def ask(self, server_key):
        return self.resolve(server_key)

    def count_change(self):
        self.changes += 1

    def item(self, number=1, content=CONTENT, **facts):
        (self.folder / f"item-{number}").write_bytes(content)
        values = {
            "server_key": SERVER.key,
            "remote_path": f"/in/{number}.csv",
            "fingerprint": Fingerprint(1, 1, len(content), 1, hashlib.sha256(content).hexdigest()),
            "state": State.IN_FLIGHT,
            "token": f"token{number}",
        }
        return an_item(number, **{**values, **facts})

    async def carry(self, *items):
        return await asyncio.gather(*map(self.carrier.carry, items), return_exceptions=True)


async def pass_time(seconds):
    """Of the loop's own clock, which jumps."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


@pytest.fixture
def line(tmp_path):
    return Line(tmp_path)


def tell(line, story):
    async def telling():
        await line.open()
        try:
            await story()
        finally:
            await line.carrier.close()
            await turns()

    run(telling(), line.clock)


def test_a_file_arrives_under_its_name_and_the_proof_says_so(line):
    async def story():
        (delivered,) = await line.carry(line.item())
        assert line.server.content(b"/in/1.csv") == CONTENT
        assert (delivered.final_path, delivered.size_bytes, delivered.host_key) == (
            "/in/1.csv",
            len(CONTENT),
            "SHA256:memory",
        )
        assert delivered.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert delivered.at_s == line.clock.wall_s()

    tell(line, story)


def test_a_name_that_is_no_text_arrives_as_the_bytes_it_is(line):
    async def story():
        name = os.fsdecode(b"/in/\xff\xfe.csv")
        (delivered,) = await line.carry(line.item(remote_path=name))
        assert line.server.content(b"/in/\xff\xfe.csv") == CONTENT
        assert delivered.final_path == name

    tell(line, story)


def test_many_items_share_one_connection(line):
    async def story():
        outcomes = await line.carry(*(line.item(number) for number in range(50)))
        assert not [outcome for outcome in outcomes if isinstance(outcome, IrisError)]
        assert line.transport.attempts == 1

    tell(line, story)


def test_until_it_is_connected_a_server_has_one_slot_and_then_what_its_limits_allow(line):
    async def story():
        assert (line.carrier.slots(SERVER.key), line.carrier.connected(SERVER.key)) == (1, False)
        await line.carry(line.item())
        assert line.carrier.connected(SERVER.key)
        assert line.carrier.slots(SERVER.key) >= 64
        assert line.changes == 1

    tell(line, story)


def test_the_temp_file_lies_hidden_beside_the_final_name_under_the_items_token(line):
    async def story():
        await line.carry(line.item(remote_path="/in/deep/1.csv", token="abc"))
        opened = [request.path for request in line.server.asked if type(request) is wire.Open]
        assert opened[0] == b"/in/deep/.iris-abc"

    tell(line, story)


def test_an_idle_connection_is_closed_and_the_next_item_opens_another(line):
    async def story():
        await line.carry(line.item(1))
        await pass_time(IDLE_S + 1.0)
        assert not line.carrier.connected(SERVER.key)
        assert line.changes == 2
        (delivered,) = await line.carry(line.item(2))
        assert delivered.final_path == "/in/2.csv"
        assert line.transport.attempts == 2

    tell(line, story)


def test_a_connection_in_use_is_not_closed(line):
    async def story():
        for number in range(10):
            await line.carry(line.item(number))
            await pass_time(IDLE_S / 2)
        assert line.transport.attempts == 1

    tell(line, story)


def test_many_items_that_wait_for_one_connection_fail_with_it_untouched(line):
    line.transport.refusal = lambda: ConnectionRefused("nothing listens there")

    async def story():
        outcomes = await line.carry(*(line.item(number) for number in range(10)))
        assert {type(outcome) for outcome in outcomes} == {ConnectionRefused}
        assert {outcome.effect for outcome in outcomes} == {Effect.NONE}
        assert line.transport.attempts == 1
        assert line.server.asked == []

    tell(line, story)


def test_after_a_refusal_the_next_item_tries_again(line):
    async def story():
        line.transport.refusal = lambda: AuthenticationFailed("wrong password")
        assert isinstance((await line.carry(line.item()))[0], AuthenticationFailed)
        line.transport.refusal = None
        assert (await line.carry(line.item()))[0].final_path == "/in/1.csv"

    tell(line, story)


def test_a_server_without_address_or_secret_is_told_as_it_is(line):
    def unknown(key):
        raise ServerUnresolved(f"no password for {key}")

    line.resolve = unknown

    async def story():
        assert isinstance((await line.carry(line.item()))[0], ServerUnresolved)
        assert line.transport.attempts == 0

    tell(line, story)


def test_a_lost_connection_fails_all_that_is_under_way_and_is_forgotten(line):
    async def story():
        await line.carry(line.item(0))
        tasks = [asyncio.ensure_future(line.carrier.carry(line.item(number))) for number in range(1, 11)]
        await asyncio.sleep(0)
        line.transport.channels[0].lose(LinkLost("the cable"))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LinkLost}
        assert not line.carrier.connected(SERVER.key)
        assert (await line.carry(line.item(1)))[0].final_path == "/in/1.csv"

    tell(line, story)


def test_an_attempt_whose_connection_dies_before_it_opened_anything_left_nothing(line):
    """Even if one before it did: that one is still the one to look for."""

    async def story():
        await line.carry(line.item(0))
        task = asyncio.ensure_future(line.carrier.carry(line.item(1, effect=Effect.UNSEEN, earlier_token="old")))
        await asyncio.sleep(0)
        line.transport.channels[0].lose(LinkLost("the cable"))
        with pytest.raises(LinkLost) as raised:
            await task
        assert raised.value.effect is Effect.NONE

    tell(line, story)


def test_an_attempt_whose_connection_dies_after_its_open_left_nobody_knows_what(line):
    async def story():
        await line.carry(line.item(0))
        before = len(line.server.asked)
        task = asyncio.ensure_future(line.carrier.carry(line.item(1)))
        await turns(5)
        assert len(line.server.asked) > before
        line.transport.channels[0].lose(LinkLost("the cable"))
        with pytest.raises(LinkLost) as raised:
            await task
        assert raised.value.effect is Effect.UNSEEN

    tell(line, story)


def test_every_temp_file_an_earlier_attempt_may_have_left_is_cleared_away(line):
    async def story():
        for token in ("t1", "t2", "t3"):
            line.server.files[b"/in/.iris-" + token.encode()] = bytearray(b"half")
        await line.carry(line.item(effect=Effect.UNSEEN, earlier_token="t1 t2 t3"))
        assert line.server.names(b"/in") == [b"1.csv"]

    tell(line, story)


def test_an_attempt_whose_rename_was_left_unanswered_is_finished_and_not_repeated(line):
    async def story():
        line.server.files[b"/in/.iris-token1"] = bytearray(CONTENT)
        await line.carry(line.item(effect=Effect.UNKNOWN))
        assert line.server.names(b"/in") == [b"1.csv"]
        assert not [request for request in line.server.asked if type(request).__name__ == "WriteData"]

    tell(line, story)


def test_an_items_own_failure_is_told_with_its_blame(line):
    async def story():
        line.server.files[b"/in/file"] = bytearray(b"in the way of a folder")
        (error,) = await line.carry(line.item(remote_path="/in/file/1.csv"))
        assert isinstance(error, IrisError)
        assert error.scope is RemoteRefused.scope
        assert "/in/file/1.csv" in str(error)

    tell(line, story)


def test_closing_ends_what_is_under_way_at_once(line):
    async def story():
        await line.carry(line.item(0))
        task = asyncio.ensure_future(line.carrier.carry(line.item(1)))
        await asyncio.sleep(0)
        await line.carrier.close()
        with pytest.raises(DeliveryStopped):
            await task
        assert line.transport.channels[0].closed

    tell(line, story)


def test_closing_breaks_off_a_connection_that_is_being_made(line):
    class Nowhere(MemoryTransport):
        """Never finishes connecting."""

        async def connect(self, *_):
            self.attempts += 1
            await asyncio.Event().wait()

    line.transport = Nowhere(line.server)

    async def story():
        task = asyncio.ensure_future(line.carrier.carry(line.item()))
        await turns()
        await line.carrier.close()
        with pytest.raises(DeliveryStopped) as raised:
            await task
        assert raised.value.effect is Effect.NONE

    tell(line, story)


def test_after_closing_no_connection_is_opened(line):
    async def story():
        await line.carrier.close()
        assert isinstance((await line.carry(line.item()))[0], DeliveryStopped)
        assert line.transport.attempts == 0

    tell(line, story)


def test_one_that_stops_waiting_for_a_connection_takes_it_from_nobody(line):
    async def story():
        first, second = (asyncio.ensure_future(line.carrier.carry(line.item(number))) for number in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).final_path == "/in/2.csv"
        assert line.transport.attempts == 1

    tell(line, story)


def test_no_descriptor_is_left_open_by_large_files_that_fail(line):
    async def story():
        await line.carry(line.item(0))
        before = open_descriptors()
        items = [line.item(number, content=b"x" * 600_000) for number in range(1, 6)]
        tasks = [asyncio.ensure_future(line.carrier.carry(item)) for item in items]
        await turns(5)
        line.transport.channels[0].lose(LinkLost("the cable"))
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns()
        assert open_descriptors() == before

    tell(line, story)
