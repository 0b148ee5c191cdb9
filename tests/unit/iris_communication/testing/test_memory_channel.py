import asyncio

import pytest

from iris_communication.errors import ConnectionRefused, LinkLost
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.testing.clock import FakeClock
from iris_communication.testing.faulty_servers import LosesTheRename
from iris_communication.testing.memory_channel import MemoryTransport
from iris_communication.testing.memory_server import MemoryServer
from tests import virtual_time


class Receiver:
    def __init__(self):
        self.received = b""
        self.ends = []

    def data_received(self, data):
        assert not self.ends, "nothing comes after the end"
        self.received += data

    def channel_lost(self, error):
        self.ends.append(error)


def run(test, server=None):
    async def main():
        transport, receiver = MemoryTransport(server or MemoryServer()), Receiver()
        await test(transport, receiver)

    virtual_time.run(main(), FakeClock())


async def connected(transport, receiver):
    return await transport.connect(Server("sftp.example", "iris"), Secret(), DeliverySettings(), receiver)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def answer(channel, receiver, request):
    """The packet that comes back."""
    receiver.received = b""
    channel.write(request)
    await turns()
    return receiver.received[4:]


def test_a_written_packet_is_answered_but_never_within_the_call():
    async def test(transport, receiver):
        channel = await connected(transport, receiver)
        channel.write(wire.init())
        assert receiver.received == b""
        await turns()
        assert wire.decode_version(receiver.received[4:])[0] == 3

    run(test)


def test_every_connection_is_a_session_of_its_own_on_the_same_disk():
    async def test(transport, receiver):
        first, second = [await connected(transport, receiver) for _ in range(2)]
        assert transport.channels == [first, second]
        for channel in (first, second):
            assert await answer(channel, receiver, wire.init())
        opened = await answer(first, receiver, wire.Open(b"/in/a", wire.WRITE | wire.CREATE).encode(1))
        (handle,) = wire.decode(opened)[1]
        seen, closed = wire.Stat(b"/in/a").encode(2), wire.Close(handle).encode(3)
        assert isinstance(wire.decode(await answer(second, receiver, seen))[1], wire.Attributes)
        assert wire.decode(await answer(second, receiver, closed))[1].code == wire.FX_FAILURE
        assert wire.decode(await answer(first, receiver, closed))[1].code == wire.FX_OK

    run(test)


def test_connecting_fails_while_a_refusal_is_set():
    async def test(transport, receiver):
        transport.refusal = lambda: ConnectionRefused("not now")
        with pytest.raises(ConnectionRefused):
            await connected(transport, receiver)
        transport.refusal = None
        await connected(transport, receiver)
        assert (transport.attempts, len(transport.channels)) == (2, 1)

    run(test)


@pytest.mark.parametrize("how", ["close", "lose"])
def test_the_end_is_reported_once_and_last_and_what_is_written_later_is_dropped(how):
    async def test(transport, receiver):
        channel = await connected(transport, receiver)
        channel.write(wire.init())
        await turns(1)
        for _ in range(2):
            channel.close() if how == "close" else channel.lose(LinkLost("cut"))
        channel.write(wire.Remove(b"/in/a").encode(1))
        await turns()
        assert [type(error) for error in receiver.ends] == [LinkLost]
        assert transport.server.asked == []

    run(test)


def test_a_server_that_dies_ends_the_channel():
    async def test(transport, receiver):
        channel = await connected(transport, receiver)
        channel.write(wire.init() + wire.Rename(b"/in/a", b"/in/b").encode(1))
        await turns()
        assert [str(error) for error in receiver.ends] == ["the server closed the connection"]

    run(test, LosesTheRename())
