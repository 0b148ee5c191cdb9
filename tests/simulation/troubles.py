"""What goes wrong in a simulated life: servers, links, disks, clocks, kills, and what an operator does about it."""

import asyncio
import contextlib

from iris_communication.delivery.worker import Drain
from iris_communication.errors import IrisError
from iris_communication.outbox.orders import CancelItems, DropItems, PauseServer, ResumeServer, RetryAllDead
from iris_communication.testing.memory_server import MemoryServer
from tests.simulation.machine import ProcessKilled
from tests.simulation.process import SECRET
from tests.simulation.site import FAULTY


class Troubles:
    """Each begins at a random moment, and most end after a while."""

    def __init__(self, world):
        self.world, self.random = world, world.random

    async def happen(self, until_s):
        random = self.random
        for _ in range(random.randrange(4, 20)):
            await asyncio.sleep(random.uniform(0.0, until_s / 10))
            begin = random.choice(
                [
                    self._outage,
                    self._refusal,
                    self._resets,
                    self._faulty_server,
                    self._faulty_server,
                    self._small_disk,
                    self._locked_out,
                    self._full_disk,
                    self._failing_disk,
                    self._lost_answers,
                    self._kill_soon,
                    self._kill_soon,
                    self._kill_soon,
                    self._power_cut,
                    self._orderly_stop,
                    self._clock_jump,
                    self.operator_comes,
                    self._operator_drops,
                    self._pause,
                ]
            )
            begin(random.choice(list(self.world.sites.values())))
            self.world.offer_sources()

    def _for_a_while(self, undo, longest_s=6 * 3600.0):
        lasts_s = self.random.choice([5.0, 60.0, self.random.uniform(0.0, longest_s)])
        asyncio.get_running_loop().call_later(lasts_s, self._unless_healed, undo)
        return f"for {lasts_s:.0f} s"

    def _unless_healed(self, undo):
        if not self.world.healing:
            undo()

    def _outage(self, site):
        site.silent = True
        if self.random.random() < 0.5:
            site.reset_all()

        def undo():
            site.silent = False

        self.world.note(f"{site.key} is silent {self._for_a_while(undo)}")

    def _refusal(self, site):
        site.refusing = True
        site.reset_all()

        def undo():
            site.refusing = False

        self.world.note(f"{site.key} refuses {self._for_a_while(undo)}")

    def _resets(self, site):
        site.reset_within_bytes = self.random.choice([200, 2000, 50_000])
        site.reset_on_answer = self.random.choice([0.0, 0.05])
        site.reset_all()

        def undo():
            site.reset_within_bytes, site.reset_on_answer = None, 0.0

        self.world.note(f"connections to {site.key} are reset within {site.reset_within_bytes} bytes")
        self.world.note(f"... {self._for_a_while(undo, 1800.0)}")

    def _faulty_server(self, site):
        kind = self.random.choice(FAULTY)
        site.become(kind)
        self.world.note(f"{site.key} is {kind.__name__} {self._for_a_while(lambda: site.become(MemoryServer), 1800.0)}")

    def _small_disk(self, site):
        site.become(MemoryServer, capacity_bytes=sum(map(len, site.files.values())) + 5000)
        self.world.note(f"the disk of {site.key} is full {self._for_a_while(lambda: site.become(MemoryServer))}")

    def _locked_out(self, site):
        site.locked = True
        site.reset_all()

        def undo():
            site.locked = False

        self.world.note(f"{site.key} takes no password {self._for_a_while(undo)}")

    def _full_disk(self, site):
        self.world.disk.full = True

        def undo():
            self.world.disk.full = False

        self.world.note(f"our disk is full {self._for_a_while(undo)}")

    def _failing_disk(self, site):
        self.world.disk.failing = True

        def undo():
            self.world.disk.failing = False

        self.world.note(f"our disk fails {self._for_a_while(undo, 600.0)}")

    def _lost_answers(self, site):
        self.world.disk.answers_lost = self.random.randrange(1, 4)
        self.world.note(f"{self.world.disk.answers_lost} commits happen and say that they failed")

    def _kill_soon(self, site):
        self.world.disk.kill_in = self.random.choice([1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
        self.world.note(f"to be killed in {self.world.disk.kill_in} steps")

    def _power_cut(self, site):
        self.world.kill("the lights go out", power=True)

    def _orderly_stop(self, site):
        if self.world.process is not None:
            self.world.note("asked to stop")
            self.world.process.worker.drain(
                Drain(self.world.clock.monotonic_s() + self.random.uniform(0.0, 30.0), True)
            )

    def _clock_jump(self, site):
        seconds = self.random.choice([-30.0, -86_400.0 * 20, 3600.0, 86_400.0 * 20])
        self.world.clock.jump_wall(seconds)
        self.world.note(f"the wall clock jumps {seconds:.0f} s")

    def _operator_drops(self, site):
        """Takes some of what was accepted back, whatever its state is by now."""
        if self.world.process is None or not self.world.audit.accepted:
            return
        ids = self.random.sample(sorted(self.world.audit.accepted), min(3, len(self.world.audit.accepted)))
        self.world.note(f"the operator drops {', '.join(ids)}")
        self.world.audit.may_end.update(ids)
        with self._orders():
            self.world.process.writer.execute(self.random.choice([DropItems, CancelItems])(ids))

    def _pause(self, site):
        if self.world.process is None:
            return
        self.world.note(f"{site.key} is paused until the operator comes")
        with self._orders():
            self.world.process.writer.execute(PauseServer(site.key))

    @contextlib.contextmanager
    def _orders(self):
        try:
            yield
        except ProcessKilled as killed:
            self.world.kill(str(killed))
        except IrisError as error:
            self.world.note(f"refused: {error}")

    def operator_comes(self, site=None):
        """Passes the passwords again and lets the dead wait again."""
        if self.world.process is None:
            return
        self.world.note("the operator passes the passwords and retries the dead")
        with self._orders():
            for server in self.world.servers:
                self.world.process.writer.remember(server, SECRET, None)
                self.world.process.writer.execute(ResumeServer(server.key))
            self.world.process.writer.execute(RetryAllDead())
