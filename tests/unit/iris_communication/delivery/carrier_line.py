"""A carrier to a server in memory, its loop's clock, and the items it is given."""

import asyncio
import contextlib
import hashlib
from dataclasses import replace

from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.item import Fingerprint, State
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.testing import FakeClock, MemoryServer, MemoryTransport
from tests import virtual_time
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.outbox.fake_parts import an_item

SERVER = Server("one", "iris")
CONTENT = b"a,b\n1,2\n"
IDLE_S = 60.0
SETTINGS = DeliverySettings(idle_close_s=IDLE_S)


class CarrierLine:
    """A carrier to a server in memory."""

    def __init__(self, folder, server=None, **settings):
        self.folder, self.clock = folder, FakeClock()
        self.settings = replace(SERVER, **settings)
        self.server = server or MemoryServer()
        self.transport = MemoryTransport(self.server)
        self.resolve = lambda key: (self.settings, Secret(password="x"))
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


def run(line, story):
    """Run `story()` while the carrier is open, in virtual time."""

    async def main():
        await line.open()
        try:
            await story()
        finally:
            await line.carrier.close()
            await turns()

    virtual_time.run(main(), line.clock)
