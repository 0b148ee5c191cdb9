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
from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.delivery.worker import Drain, Worker
from iris_communication.errors import IrisError
from iris_communication.item import Take
from iris_communication.outbox.orders import CancelItems, DropItems, PauseServer, ResumeServer, RetryAllDead
from iris_communication.outbox.writer.messages import Accept, Destination
from iris_communication.settings import DeliverySettings, Rule, Secret, Server
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.virtual_time import NothingWillHappen, run
from tests.simulation.audit import Audit
from tests.simulation.machine import Disk, Killed, MachineClock, SteppedWriter
from tests.simulation.network import SimulatedTransport
from tests.simulation.site import FAULTY, Site

DRAIN_S = 4 * 3600.0  # of virtual time, once everything is healed
SECRET = Secret(password="open sesame")
LINKED_BYTES = 1024 * 1024 + 1
OUTBOX_MAX = 40
FOR_GOOD = {"delivered", "dropped", "expired", "cancelled"}
SETTINGS = DeliverySettings(
    rules={
        "zipped": Rule(folder_type="zipped", batch="zip", batch_files_max=6, batch_bytes_max=50_000, batch_wait_s=30.0),
        "tarred": Rule(folder_type="tarred", batch="tar.gz", batch_files_max=3, batch_wait_s=5.0),
    }
)
FOLDER_TYPES = {"line-0": "alone", "line-1": "zipped", "line-2": "tarred"}


@dataclass
class Outcome:
    seed: int
    broken: list[str]
    files: int = 0
    crashes: int = 0
    virtual_s: float = 0.0
    steps: int = 0
    story: list[str] = field(default_factory=list)


class World:
    def __init__(self, seed, folder, tell=None):
        self.random = Random(seed)
        self.clock = MachineClock()
        self.story = []
        self._tell = tell
        self._began_s = self.clock.monotonic_s()
        self.folder = folder
        (folder / "out").mkdir()
        self.disk = Disk(folder, self._random())
        self.audit = Audit(self.note, folder)
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
            server.key: Site(server.key, self._random(), self.audit, self._request) for server in self.servers
        }
        self.process = None
        self.crashes = self.files = 0
        self.gone = asyncio.Event()
        self.receipts = []
        self.sources = []  # (path, servers, remote path, take, content, wishes) that are yet to be accepted
        self.healing = False

    def _random(self):
        return Random(self.random.getrandbits(64))

    def note(self, what):
        line = f"{self.clock.monotonic_s() - self._began_s:12.3f} s  {what}"
        self.story.append(line)
        if self._tell is not None:
            self._tell(line)

    # -- the process

    def start(self):
        """A process on what the one before left. False: it could not start, or was killed while it did."""
        process = Process(self)
        try:
            process.open()
        except Killed as killed:
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
        except Killed:
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
        except Killed as killed:
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

    # -- the troubles

    async def trouble(self, until_s):
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
                    self._operator,
                    self._operator_drops,
                    self._pause,
                ]
            )
            begin(random.choice(list(self.sites.values())))
            self.offer_sources()

    def _for_a_while(self, undo, longest_s=6 * 3600.0):
        lasts_s = self.random.choice([5.0, 60.0, self.random.uniform(0.0, longest_s)])
        asyncio.get_running_loop().call_later(lasts_s, self._unless_healed, undo)
        return f"for {lasts_s:.0f} s"

    def _unless_healed(self, undo):
        if not self.healing:
            undo()

    def _outage(self, site):
        site.silent = True
        if self.random.random() < 0.5:
            site.reset_all()

        def undo():
            site.silent = False

        self.note(f"{site.key} is silent {self._for_a_while(undo)}")

    def _refusal(self, site):
        site.refusing = True
        site.reset_all()

        def undo():
            site.refusing = False

        self.note(f"{site.key} refuses {self._for_a_while(undo)}")

    def _resets(self, site):
        site.reset_within_bytes = self.random.choice([200, 2000, 50_000])
        site.reset_on_answer = self.random.choice([0.0, 0.05])
        site.reset_all()

        def undo():
            site.reset_within_bytes, site.reset_on_answer = None, 0.0

        self.note(f"connections to {site.key} are reset within {site.reset_within_bytes} bytes")
        self.note(f"... {self._for_a_while(undo, 1800.0)}")

    def _faulty_server(self, site):
        kind = self.random.choice(FAULTY)
        site.become(kind)
        self.note(f"{site.key} is {kind.__name__} {self._for_a_while(lambda: site.become(MemoryServer), 1800.0)}")

    def _small_disk(self, site):
        site.become(MemoryServer, capacity_bytes=sum(map(len, site.files.values())) + 5000)
        self.note(f"the disk of {site.key} is full {self._for_a_while(lambda: site.become(MemoryServer))}")

    def _locked_out(self, site):
        site.locked = True
        site.reset_all()

        def undo():
            site.locked = False

        self.note(f"{site.key} takes no password {self._for_a_while(undo)}")

    def _full_disk(self, site):
        self.disk.full = True

        def undo():
            self.disk.full = False

        self.note(f"our disk is full {self._for_a_while(undo)}")

    def _failing_disk(self, site):
        self.disk.failing = True

        def undo():
            self.disk.failing = False

        self.note(f"our disk fails {self._for_a_while(undo, 600.0)}")

    def _lost_answers(self, site):
        self.disk.answers_lost = self.random.randrange(1, 4)
        self.note(f"{self.disk.answers_lost} commits happen and say that they failed")

    def _kill_soon(self, site):
        self.disk.kill_in = self.random.choice([1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
        self.note(f"to be killed in {self.disk.kill_in} steps")

    def _power_cut(self, site):
        self.kill("the lights go out", power=True)

    def _orderly_stop(self, site):
        if self.process is not None:
            self.note("told to stop")
            self.process.worker.drain(Drain(self.clock.monotonic_s() + self.random.uniform(0.0, 30.0), True))

    def _clock_jump(self, site):
        seconds = self.random.choice([-30.0, -86_400.0 * 20, 3600.0, 86_400.0 * 20])
        self.clock.jump_wall(seconds)
        self.note(f"the wall clock jumps {seconds:.0f} s")

    def _operator_drops(self, site):
        """Takes some of what was accepted back, whatever its state is by now."""
        if self.process is None or not self.audit.accepted:
            return
        ids = self.random.sample(sorted(self.audit.accepted), min(3, len(self.audit.accepted)))
        self.note(f"the operator drops {', '.join(ids)}")
        self.audit.may_end.update(ids)
        with self._orders():
            self.process.writer.execute(self.random.choice([DropItems, CancelItems])(ids))

    def _pause(self, site):
        if self.process is None:
            return
        self.note(f"{site.key} is paused until the operator comes")
        with self._orders():
            self.process.writer.execute(PauseServer(site.key))

    @contextlib.contextmanager
    def _orders(self):
        try:
            yield
        except Killed as killed:
            self.kill(str(killed))
        except IrisError as error:
            self.note(f"refused: {error}")

    def _operator(self, site):
        """Passes the passwords again and lets the dead wait again."""
        if self.process is None:
            return
        self.note("the operator passes the passwords and retries the dead")
        with self._orders():
            for server in self.servers:
                self.process.writer.remember(server, SECRET, None)
                self.process.writer.execute(ResumeServer(server.key))
            self.process.writer.execute(RetryAllDead())

    # -- from the first file to the last

    async def live(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        supervisor = loop.create_task(self.supervise())
        until_s = self.random.choice([600.0, 7200.0, 12 * 3600.0])
        days = [loop.create_task(self.produce(until_s)), loop.create_task(self.trouble(until_s))]
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
            self._operator(None)
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


class Process:
    """Everything that ends together."""

    def __init__(self, world):
        self._world = world
        random = world._random()
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
            self.writer.spool.held,
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
        except Killed as killed:
            self._world.kill(str(killed))
            return
        self._world.process = None
        self._world.note("stopped in order")
        self._world.gone.set()

    def abandon(self):
        self.writer.abandon()
        self._transport.abandon()
        self._task.cancel()


class _Teller(logging.Handler):
    """What the library logs is part of the story."""

    def __init__(self, world):
        super().__init__(logging.DEBUG)
        self._world = world

    def emit(self, record):
        self._world.note(f"{record.levelname.lower()}: {record.getMessage()}")


def simulate(seed, tell=None):
    """`tell` is given each line of the story as it happens."""
    shared_memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=shared_memory if shared_memory.is_dir() else None))
    library = logging.getLogger("iris_communication")
    world = World(seed, folder, tell)
    teller = _Teller(world)
    level, propagates = library.level, library.propagate
    library.setLevel(logging.DEBUG if tell else logging.CRITICAL + 1)
    library.propagate = False
    library.addHandler(teller)
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                run(world.live(), world.clock)
            except NothingWillHappen as stuck:
                world.audit.fail(f"stuck: {stuck}")
    finally:
        library.removeHandler(teller)
        library.setLevel(level)
        library.propagate = propagates
    virtual_s = world.clock.monotonic_s() - world._began_s
    return Outcome(seed, world.audit.broken, world.files, world.crashes, virtual_s, world.disk.steps, story=world.story)
