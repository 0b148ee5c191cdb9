"""What the tests of the outbox stand on: a store that fails when told to, and a writer on it."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from iris_communication.errors import Effect, OutboxStorageError
from iris_communication.item import Archive, Delivered, Event, Fingerprint, Item, State, Take
from iris_communication.outbox.store.ledger import Line
from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.outbox.writer.messages import Accept, Destination, Settle
from iris_communication.outbox.writer.writer import Writer
from iris_communication.settings import Secret, Server
from iris_communication.testing.clock import FakeClock

LARGE = b"a,b\n1,2\n" * 20_000  # its bytes are a file in the spool
LONG_S = 20.0  # far beyond what anything here takes: a test that waits this long fails
SERVER = Server("sftp.example.org", "iris")
SECRET = Secret(password="open sesame")


class DiskRefuses(OutboxStorageError):
    """What a test's disk says."""

    def __init__(self):
        super().__init__("no space left on device")


class FaultyStore:
    """The real store, watched, over a disk that can be told what to do.

    `refuse`: nothing is written. `lose_answer`: it is written, and then the disk fails. `unopenable`: a closed one
    cannot be opened again. `gate`: commits wait until it is set.
    """

    def __init__(self, folder, clock):
        self._open = lambda: SqliteStore(folder / "outbox.db", clock.boot_id, clock.boot_s(), clock.wall_s())
        self._real = self._open()
        self.commits = []
        self.on_commit = lambda changes: None
        self.refuse = self.lose_answer = self.unopenable = self.unreadable = False
        self.opened = 1
        self.commit_begins = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def reopen(self):
        if self.unopenable:
            raise DiskRefuses
        self.opened += 1
        self._real = self._open()
        return self

    def commit(self, changes):
        self.commit_begins.set()
        assert self.gate.wait(LONG_S), "the test never opened the gate"
        self.on_commit(changes)
        if self.refuse:
            raise DiskRefuses
        self._real.commit(changes)
        self.commits.append(list(changes))
        if self.lose_answer:
            raise DiskRefuses

    def queues_of(self, *question):
        if self.unreadable:
            raise DiskRefuses
        return self._real.queues_of(*question)

    def __getattr__(self, name):
        return getattr(self._real, name)


class OpenWriter:
    """A writer on a folder, with the parts it uses in reach of the test."""

    def __init__(self, folder, max_queue_size=100, clock=None, limits=None, settings=None):
        self.folder = Path(folder)
        self.clock = clock or FakeClock()
        self.store = None
        self.writer = Writer(self.folder, self._open_store, self.clock, max_queue_size, limits, settings)
        self.writer.open()

    def _open_store(self):
        if self.store is None:
            self.store = FaultyStore(self.folder, self.clock)
            return self.store
        return self.store.reopen()

    @property
    def stats(self):
        return self.writer.snapshot.stats

    def accept(self, path, take=Take.COPY, server=SERVER, secret=SECRET, remote_path=None, **facts):
        return self.writer.accept(accept_of(path, take, server, secret, remote_path, **facts))[0]

    def claim(self, *args, **facts):
        """What the writer hands out, item by item."""
        uploads = self.claim_uploads(*args, **facts)
        return [item for upload in uploads for item in (upload.members if isinstance(upload, Archive) else (upload,))]

    def claim_uploads(self, limit=100, server=SERVER, backlog_until=0, **facts):
        """What the writer hands out, as the worker gets it."""
        told, found = threading.Event(), []
        self.writer.claim(server.key, limit, lambda items: (found.extend(items), told.set()), backlog_until, **facts)
        assert told.wait(LONG_S), "the writer never answered a claim"
        return found

    def settle(self, item, event, **facts):
        self.writer.settle(Settle(item, event, **facts))
        self.writer.flush()

    def deliver(self, item):
        self.settle(item, Event.DELIVER, delivered=proof(item))

    def recorded(self):
        """Id -> state, as the database has it."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT id, state FROM items UNION ALL SELECT id, 'delivered' FROM ledger"
                " UNION ALL SELECT id, state FROM ended"
            )
            return dict(rows.fetchall())

    def asked(self, question, *values):
        """Rows of the database, as anybody beside the writer reads them."""
        with self._reading() as database:
            return database.execute(question, values).fetchall()

    def ledger(self):
        with self._reading() as database:
            rows = database.execute("SELECT line, hash FROM ledger ORDER BY sequence")
            return [Line(*row) for row in rows.fetchall()]

    def _reading(self):
        return contextlib.closing(sqlite3.connect(f"file:{self.folder / 'outbox.db'}?mode=ro", uri=True))

    def held(self):
        """The ids of all whose bytes are held, in the store or the spool."""
        stored = self.asked("SELECT items.id FROM contents JOIN items USING (sequence)")
        return sorted([*(item_id for (item_id,) in stored), *(path.name for path in (self.folder / "spool").iterdir())])

    def bytes_of(self, item_id):
        found = self.asked("SELECT content FROM contents JOIN items USING (sequence) WHERE id = ?", item_id)
        return found[0][0] if found else (self.folder / "spool" / item_id).read_bytes()

    def close(self):
        self.writer.close()


@contextlib.contextmanager
def open_writer(folder, **options):
    opened = OpenWriter(folder, **options)
    try:
        yield opened
    finally:
        if opened.store is not None:
            opened.store.gate.set()
        opened.close()


def accept_of(path, take=Take.COPY, server=SERVER, secret=SECRET, remote_path=None, batch="", others=(), **facts):
    first = Destination(server, secret, remote_path or f"/in/line-1/model/{Path(path).name}", batch)
    return Accept(
        destinations=(first, *others),
        source_path=str(path),
        project_settings={"project": "line-1"},
        folder_type="model",
        take=take,
        **facts,
    )


def proof(item, final_path=None):
    return Delivered(final_path or item.remote_path, item.fingerprint.size_bytes, item.fingerprint.sha256, None, 2000.0)


def an_item(number=1, state=State.WAITING, **facts):
    """An item as a store would give it."""
    values = {
        "id": f"item-{number}",
        "sequence": number,
        "server_key": SERVER.key,
        "source_path": f"/out/{number}.csv",
        "remote_path": f"/in/line-1/model/{number}.csv",
        "folder_type": "model",
        "project_settings": {"project": "line-1"},
        "take": Take.COPY,
        "fingerprint": Fingerprint(1, number, 4, 5, "ab" * 32),
        "accepted_s": 1000.0 + number,
        "state": state,
        "effect": Effect.NONE,
    }
    return Item(**{**values, **facts})


def write(path, content=b"a,b\n1,2\n"):
    path.write_bytes(content)
    return path


def wait_until(happened, timeout_s=LONG_S):
    """For what no event tells: looks every millisecond."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen"
        pause.wait(0.001)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))
