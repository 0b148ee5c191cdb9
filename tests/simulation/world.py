"""One simulated life of a line, all of it from one seed: files come, everything goes wrong, then all is healed.

First safety: the audit looks on after every step. Then liveness: with everything healed whatever was accepted has to
be delivered within DRAIN_S, and nothing may be left in the spool.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from iris_communication.decisions.batching import batch_queue
from iris_communication.errors import IrisError
from iris_communication.item import Take
from iris_communication.outbox.writer.messages import Accept, Destination
from iris_communication.settings import Rule, Server
from tests.simulation.audit import LifeAudit
from tests.simulation.machine import MachineClock, ProcessKilled, SimulatedDisk
from tests.simulation.process import SECRET, SETTINGS, Process
from tests.simulation.site import SimulatedSite
from tests.simulation.troubles import Troubles
from tests.virtual_time import NothingWillHappen, run

DRAIN_S = 4 * 3600.0  # of virtual time, once everything is healed
LINKED_BYTES = 1024 * 1024 + 1
FOR_GOOD = {"delivered", "dropped", "expired", "cancelled"}
FOLDER_TYPES = {"line-0": "alone", "line-1": "zipped", "line-2": "tarred"}


@dataclass
class LifeOutcome:
    seed: int
    broken: list[str]
    files: int = 0
    crashes: int = 0
    virtual_s: float = 0.0
    steps: int = 0
    story: list[str] = field(default_factory=list)


class SimulatedWorld:
    def __init__(self, seed, folder, on_line=None):
        self.random = Random(seed)
        self.clock = MachineClock()
        self.story = []
        self._on_line = on_line
        self.began_s = self.clock.monotonic_s()
        self.folder = folder
        (folder / "out").mkdir()
        self.disk = SimulatedDisk(folder, self.new_random())
        self.audit = LifeAudit(self.note, folder)
        self.servers = [
            Server(
                host,
                "iris",
                health_interval_s=self.random.choice([0.0, 60.0, 600.0]),
                health_round_trip=self.random.random() < 0.5,
            )
            for host in ("one.example", "two.example")
        ]
        self.sites = {
            server.key: SimulatedSite(server.key, self.new_random(), self.audit, self._request)
            for server in self.servers
        }
        self.process = None
        self.crashes = self.files = 0
        self.gone = asyncio.Event()
        self.receipts = []
        self.sources = []  # (path, servers, remote path, take, content, wishes) that are yet to be accepted
        self.healing = False
        self.troubles = Troubles(self)

    def new_random(self):
        return Random(self.random.getrandbits(64))

    def note(self, what):
        line = f"{self.clock.monotonic_s() - self.began_s:12.3f} s  {what}"
        self.story.append(line)
        if self._on_line is not None:
            self._on_line(line)

    # -- the process

    def start(self):
        """A process on what the one before left. False: it could not start, or was killed while it did."""
        process = Process(self)
        try:
            process.open()
        except ProcessKilled as killed:
            self.crashes += 1
            self.note(f"killed while it starts: {killed}")
            return False
        except IrisError as error:
            self.note(f"cannot start: {error}")
            return False
        self.process = process
        self.gone.clear()
        self.note("started")
        self.audit.begin(process.writer)
        self.audit.look(process.writer)
        return True

    def kill(self, where, power=False):
        if self.process is None:
            return
        self.note(f"{'power cut' if power else 'killed'}: {where}")
        self.crashes += 1
        self.process.abandon()
        self.process = None
        if power:
            self.disk.lose_power()
            self.clock.reboot()
        self.gone.set()

    def _request(self, key):
        try:
            self.disk.step("a request is answered")
        except ProcessKilled:
            asyncio.get_running_loop().call_soon(self.kill, f"right after {key} did as asked")

    async def supervise(self):
        while True:
            if self.process is None and not self.start():
                await asyncio.sleep(5.0 if self.healing else self.random.uniform(1.0, 120.0))
                continue
            await self.gone.wait()
            await asyncio.sleep(self.random.choice([0.0, 1.0, 60.0, 900.0]) if not self.healing else 1.0)

    # -- the line

    def write_source(self):
        random, number = self.random, self.files
        self.files += 1
        size_bytes = random.choice([0, 1, 80, 700, 4000, 40_000, 300_000])
        if random.random() < 0.02:
            size_bytes = LINKED_BYTES
        content = random.randbytes(size_bytes)
        path = self.folder / "out" / f"{number}.csv"
        path.write_bytes(content)
        os.utime(path, ns=(0, int(self.clock.wall_s() * 1e9)))  # it is part of an archive's bytes
        servers = [self.servers[random.random() < 0.3]]
        name = number if random.random() < 0.9 else random.randrange(3)  # some meet under one name
        remote_path = f"/in/line-{number % 3}/{name}.csv"
        self.audit.offer(servers[0].key, remote_path, content)
        take = Take.MOVE if random.random() < 0.3 else Take.COPY
        wishes = {"priority": random.choice([0, 0, 0, 5, -3])}
        if random.random() < 0.1:
            wishes["ttl_s"] = random.choice([20.0, 1800.0])
        if random.random() < 0.08:
            (other,) = (each for each in self.servers if each not in servers)
            self.audit.offer(other.key, remote_path, content)
            servers.append(other)
        self.sources.append((path, servers, remote_path, take, content, wishes))

    def offer_sources(self):
        left, self.sources = self.sources, []
        while left and self.process is not None:
            source = left.pop(0)
            if not self.offer(source):
                left.insert(0, source)
                break
        self.sources = left

    def offer(self, source):
        path, servers, remote_path, take, content, wishes = source
        if not path.exists():
            return True  # taken over by an acceptance that a crash left unanswered
        folder_type = FOLDER_TYPES.get(remote_path.split("/")[2], "alone")
        rule = SETTINGS.rules.get(folder_type, Rule())
        batch = batch_queue(rule.batch, remote_path)
        destinations = [Destination(server, SECRET, remote_path) for server in servers]
        destinations[0] = dataclasses.replace(destinations[0], batch=batch)
        accept = Accept(tuple(destinations), str(path), {}, folder_type, take, **wishes)
        try:
            receipts = self.process.writer.accept(accept)
        except ProcessKilled as killed:
            self.kill(str(killed), power=self.random.random() < 0.3)
            return False
        except IrisError as error:
            self.note(f"{path.name} is refused: {error}")
            return False
        self.receipts += receipts
        for receipt, destination in zip(receipts, accept.destinations, strict=True):
            key = destination.server.key
            self.note(f"{path.name} ({len(content)} bytes) is accepted for {key}{remote_path} as {receipt.id}")
            sha256 = self.audit.offer(key, remote_path, content)
            self.audit.accepted[receipt.id] = (key, remote_path, sha256)
            if accept.ttl_s is not None:
                self.audit.may_end.add(receipt.id)
        if len(content) == LINKED_BYTES and take is Take.COPY and self.random.random() < 0.5:
            self.note(f"somebody writes into {path.name} again")
            path.write_bytes(b"!" * len(content))
            self.audit.spoiled.update(receipt.id for receipt in receipts)
        return True

    async def produce(self, until_s):
        for _ in range(self.random.randrange(1, 6)):
            await asyncio.sleep(self.random.uniform(0.0, until_s / 4))
            for _ in range(self.random.choice([1, 2, 5, 12])):
                self.write_source()
            self.offer_sources()

    # -- from the first file to the last

    async def live(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        supervisor = loop.create_task(self.supervise())
        until_s = self.random.choice([600.0, 7200.0, 12 * 3600.0])
        days = [loop.create_task(self.produce(until_s)), loop.create_task(self.troubles.happen(until_s))]
        await asyncio.gather(*days)
        await asyncio.sleep(self.random.choice([0.0, 10.0, 1800.0]))
        self.heal()
        await self.drain()
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
        self.kill("the end")
        self.crashes -= 1
        await asyncio.sleep(10.0)  # what is left of the process ends

    def _unhandled(self, loop, context):
        error = context.get("exception")
        self.audit.fail(f"unhandled: {context['message']}: {error!r}")

    def heal(self):
        self.note("everything is healed")
        self.healing = True
        self.disk.full = self.disk.failing = False
        self.disk.answers_lost, self.disk.kill_in = 0, None
        for site in self.sites.values():
            site.heal()

    async def drain(self):
        deadline_s = self.clock.monotonic_s() + DRAIN_S
        while self.clock.monotonic_s() < deadline_s and not self.audit.broken:
            await asyncio.sleep(60.0)
            self.offer_sources()
            if not self.sources and not self.owed() and not self.left_in_spool():
                return
            self.troubles.operator_comes()
        if not self.audit.broken:
            self.audit.fail(f"not drained after {DRAIN_S:.0f} s: {self.sources} {self.owed()} {self.left_in_spool()}")

    def owed(self):
        if self.process is None:
            return ["no process"]
        states = self.audit.states(self.process.writer.store)
        return sorted(
            f"{item_id} {state}"
            for item_id, state in states.items()
            if state not in FOR_GOOD and not (state == "dead" and item_id in self.excused())
        )

    def excused(self):
        """What may stay dead: its bytes are not those that were accepted, as somebody wrote into them."""
        return self.audit.spoiled

    def left_in_spool(self):
        folders = [self.folder / "outbox" / name for name in ("spool", "archives")]
        held = {path.name for folder in folders for path in folder.iterdir()}
        return sorted(held - self.excused())


class _StoryHandler(logging.Handler):
    """What the library logs is part of the story."""

    def __init__(self, world):
        super().__init__(logging.DEBUG)
        self._world = world

    def emit(self, record):
        self._world.note(f"{record.levelname.lower()}: {record.getMessage()}")


def simulate(seed, on_line=None):
    """`on_line` gets each line of the story as it happens."""
    shared_memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=shared_memory if shared_memory.is_dir() else None))
    library = logging.getLogger("iris_communication")
    world = SimulatedWorld(seed, folder, on_line)
    handler = _StoryHandler(world)
    level, propagates = library.level, library.propagate
    library.setLevel(logging.DEBUG if on_line else logging.CRITICAL + 1)
    library.propagate = False
    library.addHandler(handler)
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                run(world.live(), world.clock)
            except NothingWillHappen as stuck:
                world.audit.fail(f"stuck: {stuck}")
    finally:
        library.removeHandler(handler)
        library.setLevel(level)
        library.propagate = propagates
    virtual_s = world.clock.monotonic_s() - world.began_s
    return LifeOutcome(
        seed, world.audit.broken, world.files, world.crashes, virtual_s, world.disk.steps, story=world.story
    )
