"""A process of the simulation: the real writer, carrier and worker on the simulated machine."""

import asyncio
from random import Random

from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.delivery.worker import Worker
from iris_communication.settings import DeliverySettings, Rule, Secret
from tests.simulation.machine import ProcessKilled, SteppedWriter
from tests.simulation.network import SimulatedTransport

SECRET = Secret(password="open sesame")
OUTBOX_MAX = 40
SETTINGS = DeliverySettings(
    rules={
        "zipped": Rule(folder_type="zipped", batch="zip", batch_files_max=6, batch_bytes_max=50_000, batch_wait_s=30.0),
        "tarred": Rule(folder_type="tarred", batch="tar.gz", batch_files_max=3, batch_wait_s=5.0),
    }
)


class Process:
    """Everything that ends together."""

    def __init__(self, world):
        self._world = world
        random = world.new_random()
        clock = world.clock
        self.writer = SteppedWriter(
            world.disk,
            clock,
            OUTBOX_MAX,
            tokens=lambda: f"{random.getrandbits(64):016x}",
            killed=lambda where: world.kill(where, power=random.random() < 0.3),
            stepped=lambda: world.audit.look(self.writer),
            settings=SETTINGS,
        )
        self._jitter = Random(random.getrandbits(64))

    def open(self):
        world = self._world
        self.writer.open()
        self._transport = SimulatedTransport(world.sites)
        carrier = SftpCarrier(
            self._transport,
            self.writer.servers.resolve,
            self.writer.held.of,
            SETTINGS,
            world.clock,
        )
        self.worker = Worker(
            self.writer,
            carrier,
            SETTINGS,
            world.clock,
            self._jitter.random,
            backlog_until=self.writer.snapshot.last_sequence,
        )
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self):
        await self.worker.run()
        if self.writer.dead:
            return
        try:
            self.writer.close()
        except ProcessKilled as killed:
            self._world.kill(str(killed))
            return
        self._world.process = None
        self._world.note("stopped in order")
        self._world.gone.set()

    def abandon(self):
        self.writer.abandon()
        self._transport.abandon()
        self._task.cancel()
