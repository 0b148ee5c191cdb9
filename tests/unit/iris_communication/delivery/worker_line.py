"""A worker on its loop, with a writer and a carrier that the test moves."""

import asyncio
import contextlib

from iris_communication.delivery.worker import Drain, Worker
from iris_communication.settings import DeliverySettings
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

SETTINGS = DeliverySettings(attempts_max=3, breaker_base_s=10.0, breaker_cap_s=60.0, retry_base_s=4.0)


class WorkerLine:
    """A worker on its loop, with all that it touches."""

    def __init__(self, writer, carrier, clock):
        self.writer, self.carrier, self.clock = writer, carrier, clock
        self.turns = 0
        self.worker = Worker(writer, carrier, SETTINGS, clock, jitter=lambda: 0.5, configured=self.configured)
        self.task = asyncio.get_running_loop().create_task(self.worker.run())

    def configured(self):
        """No servers; the worker asks for them once a turn."""
        self.turns += 1
        return frozenset()

    async def pass_time(self, seconds):
        """The clock goes on, and the worker takes a turn as if its own timer had fired."""
        self.clock.advance(seconds)
        self.worker.wake()
        await turns()

    async def drain(self, timeout_s=10.0, may_connect=True):
        self.worker.drain(Drain(self.clock.monotonic_s() + timeout_s, may_connect))
        await turns()

    @property
    def destination(self):
        return self.worker.details()[ONE]


def run(story, slots=3):
    """Run a story with a worker, then end it and make sure that it holds nothing back."""

    async def main():
        clock = FakeClock()
        writer, carrier = FakeWriter(clock), FakeCarrier(slots)
        line = WorkerLine(writer, carrier, clock)
        await turns()
        try:
            await story(line, writer, carrier)
        finally:
            line.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ZeroDivisionError):
                await line.task

    asyncio.run(asyncio.wait_for(main(), LONG_S))
