"""A connection to a server in memory, on a loop in virtual time."""

import asyncio
import hashlib

from iris_communication.delivery.connection import Connection
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.conversations.put import put
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.testing.clock import FakeClock
from iris_communication.testing.memory_channel import MemoryTransport
from iris_communication.testing.memory_server import MemoryServer
from tests import virtual_time
from tests.memory_link import BytesSource

SERVER = Server(host="sftp.example", username="iris")
SETTINGS = DeliverySettings(progress_timeout_s=30.0)
CONTENT = b"id,label\n1,good\n"


class InterposedTransport(MemoryTransport):
    """What arrives goes through `pass_on(receiver, data)`, which a test may replace."""

    def __init__(self, server):
        super().__init__(server)
        self.pass_on = lambda receiver, data: receiver.data_received(data)

    async def connect(self, server, secret, settings, receiver):
        return await super().connect(server, secret, settings, Interposed(self, receiver))


class Interposed:
    """Stands between a channel and the connection."""

    def __init__(self, transport, receiver):
        self.transport, self.receiver = transport, receiver
        self.channel_lost = receiver.channel_lost

    def data_received(self, data):
        self.transport.pass_on(self.receiver, data)


class ConnectionLine:
    """A connection to a server in memory, and the clock of the loop it runs on."""

    def __init__(self, server, clock):
        self.server = server
        self.clock = clock
        self.transport = InterposedTransport(server)
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
        return await test(ConnectionLine(server or MemoryServer(), clock))

    return virtual_time.run(main(), clock)


def timers_left():
    """Timers of the running loop that are not cancelled."""
    timers = asyncio.get_running_loop()._scheduled  # asyncio has no public list of them
    return [timer for timer in timers if not timer.cancelled()]


async def outcome(awaitable):
    """The error an awaitable ends with, or its result."""
    (ended,) = await asyncio.gather(awaitable, return_exceptions=True)
    return ended
