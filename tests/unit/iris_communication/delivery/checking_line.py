"""A worker that checks configured servers, with a carrier and a clock that the test moves."""

import asyncio
import contextlib

from iris_communication.decisions.breaker import BreakerState
from iris_communication.decisions.health_schedule import FIRST_WITHIN_S
from iris_communication.delivery.worker import Worker
from iris_communication.outbox.store.contract import ServerState
from iris_communication.settings import DeliverySettings, Server
from iris_communication.sftp.trials.probe import Health
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import LONG_S

INTERVAL_S = 60.0
SETTINGS = DeliverySettings(attempts_max=3, breaker_base_s=10.0, breaker_cap_s=600.0, retry_base_s=4.0)
WELL = Health(ok=True, done=("answers", "free space"), free_bytes=41_000, total_bytes=50_000, latency_s=0.003)
UNWELL = Health(ok=False, done=("answers", "round trip"), text="cannot create a file in '/in'", hint="ask for it")


class CheckingLine:
    """A worker that checks configured servers, with all that it touches."""

    def __init__(self, *servers, slots=3, **options):
        self.clock = FakeClock()
        self.writer, self.carrier = FakeWriter(self.clock), FakeCarrier(slots)
        self.configured = frozenset(server.key for server in servers)
        self.writer.settings = {server.key: server for server in servers}
        self.turns_at_s = []
        self.worker = Worker(
            self.writer, self.carrier, SETTINGS, self.clock, jitter=lambda: 0.5, configured=self.keys_configured
        )

    def keys_configured(self):
        """The worker asks for them once a turn."""
        self.turns_at_s.append(self.clock.wall_s())
        return self.configured

    async def pass_time(self, seconds):
        """The clock goes on, and the worker takes a turn as if its own timer had fired."""
        self.clock.advance(seconds)
        self.worker.wake()
        await turns()

    async def first_check(self):
        await self.pass_time(FIRST_WITHIN_S)

    async def found(self, health=WELL, key=ONE):
        self.carrier.checking[key].set_result(health)
        await turns()

    async def failed(self, error, key=ONE):
        self.carrier.checking[key].set_exception(error)
        await turns()

    @property
    def destination(self):
        return self.worker.details()[ONE]

    @property
    def breaker(self):
        """What the worker has stored of it."""
        kept = self.writer.states.get(ONE, ServerState()).breaker
        return BreakerState(kept["state"]) if kept else BreakerState.CLOSED


def server(name="one", **facts):
    return Server(name, "iris", **{"health_interval_s": INTERVAL_S, **facts})


def run(story, *servers, **options):
    async def main():
        line = CheckingLine(*(servers or (server(),)), **options)
        working = asyncio.get_running_loop().create_task(line.worker.run())
        await turns()
        try:
            await story(line)
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    asyncio.run(asyncio.wait_for(main(), LONG_S))
