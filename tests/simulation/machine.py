"""One computer, simulated: its clock, its disk that refuses or loses power, and a process that may end at any step.

The writer is the real one, on the real store, in a folder of the real file system; only its thread is taken out: what
it would have done by itself is done on the simulation's loop. Every step that reaches the disk passes
`SimulatedDisk.step`, where the process can be killed, so "killed between these two steps" needs only the right seed.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from unittest import mock

from iris_communication.errors import NotStarted, OutboxStorageError
from iris_communication.item import Archive
from iris_communication.outbox.files.reserve import Reserve
from iris_communication.outbox.files.spool import SMALL_MAX_BYTES, Spool
from iris_communication.outbox.store.contract import Insert
from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.writer import LINGER_S, STORE_RETRY_S, Writer
from iris_communication.testing.clock import FakeClock


class ProcessKilled(BaseException):
    """The process ends here; no code of its own runs any more."""


LOOK_S = 1e-6


class MachineClock(FakeClock):
    """Time passes each time it is read, as it does for a program that runs: a timer that falls short of its moment by
    less than a float can hold would otherwise be set again for ever."""

    boots = 1

    def monotonic_s(self):
        self.advance(LOOK_S)
        return super().monotonic_s()

    def reboot(self):
        self.boots += 1
        self.boot_id = f"boot {self.boots}"
        self._boot_s = 30.0


class SimulatedDisk:
    """`full`: nothing can be added but what the reserve was kept for. `failing`: nothing can be written or opened.
    `answers_lost`: so many commits from now on happen, and report that they failed."""

    def __init__(self, folder, random):
        self.folder = folder
        self.random = random
        self.full = self.failing = False
        self.answers_lost = 0
        self.kill_in = None  # steps until the process is killed
        self.steps = 0
        self.unsynced = set()  # ids whose names a power cut may take
        self.unlinked = {}  # id -> bytes that a power cut may bring back
        self.reserve = None
        self.small_max_bytes = SMALL_MAX_BYTES

    def step(self, name):
        self.steps += 1
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in <= 0:
                self.kill_in = None
                raise ProcessKilled(name)

    def refuse(self, what):
        raise OutboxStorageError(f"cannot {what}: the simulated disk refuses")

    def check_room(self, changes):
        adds = any(isinstance(change, Insert) for change in changes)
        if self.failing or (self.full and (adds or (self.reserve is not None and self.reserve.held))):
            self.refuse("write")

    def lose_power(self):
        """What was not synced is there or is not, as it happens."""
        spool = self.folder / "outbox" / "spool"
        for name in sorted(self.unsynced):
            if self.random.random() < 0.5:
                (spool / name).unlink(missing_ok=True)
        for name, content in sorted(self.unlinked.items()):
            if self.random.random() < 0.5:
                (spool / name).write_bytes(content)
        self.unsynced.clear()
        self.unlinked.clear()


class DiskStore:
    """The real store on the simulated disk."""

    def __init__(self, disk, path, clock):
        disk.step("open the store")
        if disk.failing:
            disk.refuse("open the store")
        self._disk = disk
        self.real = SqliteStore(path, clock.boot_id, clock.boot_s(), clock.wall_s())

    def commit(self, changes):
        self._disk.step("commit begins")
        self._disk.check_room(changes)
        self.real.commit(changes)
        if self._disk.answers_lost:
            self._disk.answers_lost -= 1
            self._disk.refuse("sync what was written")
        self._disk.step("commit is done")

    def __getattr__(self, name):
        return getattr(self.real, name)


class DiskSpool(Spool):
    def __init__(self, disk, folder):
        super().__init__(folder, disk.small_max_bytes)
        self._disk = disk

    def take(self, source, item_id, take, identity=None):
        disk = self._disk
        try:
            disk.step("take bytes")
        except ProcessKilled:
            if disk.random.random() < 0.5:  # in the midst of it
                self.path(item_id).write_bytes(b"half")
                disk.unsynced.add(item_id)
            raise
        if disk.full or disk.failing:
            disk.refuse("take bytes")
        taken = super().take(source, item_id, take, identity)
        if taken.content is None:
            disk.unsynced.add(item_id)
        disk.step("bytes are taken")
        return taken

    def sync(self):
        self._disk.step("sync the spool")
        if self._disk.failing:
            self._disk.refuse("sync the spool")
        super().sync()
        self._disk.unsynced.clear()
        self._disk.unlinked.clear()
        self._disk.step("the spool is synced")

    def archive(self, batch_id):
        """On a disk that refuses there is no place for one."""
        if self._disk.full or self._disk.failing:
            return super().archive("no such folder") / batch_id
        return super().archive(batch_id)

    def held(self, upload):
        """What is there may be read."""
        return super().archive(upload.id) if isinstance(upload, Archive) else self.path(upload.id)

    def discard(self, item_id):
        self._disk.step("unlink bytes")
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlinked[item_id] = self.path(item_id).read_bytes()
        super().discard(item_id)
        self._disk.unsynced.discard(item_id)
        self._disk.step("bytes are unlinked")


class DiskReserve(Reserve):
    def __init__(self, disk, folder):
        self._disk = disk
        super().__init__(folder)
        disk.reserve = self

    def free_bytes(self):
        return 0 if self._disk.full or self._disk.failing else 256 * 1024


class _NoThread:
    """Where the writer asks whether its thread lives: a caller has its answer already, or never gets one."""

    def is_alive(self):
        return False


class SteppedWriter(Writer):
    """`killed` is called when the process ends within a step that no caller waits for, `stepped` after each step."""

    def __init__(self, disk, clock, max_queue_size, tokens, killed: Callable, stepped: Callable, settings=None):
        folder = disk.folder / "outbox"
        super().__init__(folder, lambda: self._opened_store(disk, clock), clock, max_queue_size, settings=settings)
        self._disk = disk
        self._tokens = tokens
        self._thread = _NoThread()
        self._killed, self._stepped = killed, stepped
        self._timer = None
        self._stores = []
        self.dead = False

    def _opened_store(self, disk, clock):
        store = DiskStore(disk, disk.folder / "outbox" / "outbox.db", clock)
        self._stores.append(store)
        return store

    @property
    def store(self):
        return self._committer.counters.store

    @property
    def spool(self):
        return self._spool

    @property
    def unfinished(self):
        return self._committer.unfinished

    def open(self):
        parts = {
            "Spool": functools.partial(DiskSpool, self._disk),
            "Reserve": functools.partial(DiskReserve, self._disk),
        }
        try:
            with mock.patch.multiple(writer_module, **parts):
                self._start()
        except BaseException:
            self._abandon_stores()
            raise

    def abandon(self):
        """The process is gone: the system closes what it held, and nothing it would still say is heard."""
        self.dead = True
        if self._timer is not None:
            self._timer.cancel()
        self._abandon_stores()
        self._spool.close()
        self._owner.release()

    def _abandon_stores(self):
        for store in self._stores:
            store.close()

    def close(self):
        """As the thread ends: what is pending first."""
        self.step()
        self.abandon()

    def step(self):
        """One turn of the thread's loop. Raises ProcessKilled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turn()
        if self._committer.unfinished:
            self._step_in(STORE_RETRY_S)
        self._stepped()

    def _step_in(self, delay_s):
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._step_by_itself)

    def _step_by_itself(self):
        try:
            self.step()
        except ProcessKilled as killed:
            self._killed(str(killed))

    def _put_beside(self, message):
        if not self.dead:
            self._unawaited.append(message)
            self._step_in(LINGER_S)

    def _ask(self, message, timeout_s=None):
        self._check_open()
        self.send((message,))
        self.step()
        return message.answer.wait(self._thread.is_alive, timeout_s)

    def _check_open(self):
        if self.dead:
            raise NotStarted("the process is gone")

    def _taken(self, timeout_s):
        messages = []
        while not self._inbox.empty():
            messages += self._inbox.get_nowait()
        return messages
