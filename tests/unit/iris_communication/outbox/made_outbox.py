"""An outbox made with the real store, so that a test can look at it and spoil it in one way at a time."""

import contextlib
import hashlib
import sqlite3
from dataclasses import replace

from iris_communication.item import Delivered, Event, Fingerprint, State
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, End, Insert, Note
from iris_communication.outbox.store.sqlite import SqliteStore
from iris_communication.testing.store_contract import BOOT_ID, make_item

CONTENT = b"frame;part\n1;2\n"
MARK = Fingerprint(64, 1, len(CONTENT), 1_700_000_000_123, hashlib.sha256(CONTENT).hexdigest())
LATER_S = 3600.0  # by then whatever was on its way has arrived


def ask_beside(path, statement, values=()):
    """The rows of a statement, on a connection beside that of the store."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


class Outbox:
    """The folder of an outbox, and the store that its owner would hold."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "outbox.db"
        (folder / "spool").mkdir(parents=True)
        self.store = SqliteStore(self.path, BOOT_ID)
        self.accepted = 0

    def accept(self, state=State.WAITING, **facts):
        self.accepted += 1
        item = make_item(self.accepted, state=state, **{"fingerprint": MARK, **facts})
        self.bytes_of(item).write_bytes(CONTENT)
        self.store.commit([Insert(item)])
        return item

    def deliver(self, item, at_s=1_700_000_100.25):
        proof = Delivered(item.remote_path, len(CONTENT), MARK.sha256, "SHA256:key", at_s)
        line = ledger.line(self.store.ledger_head(), ledger.entry(item, proof))
        self.store.commit([Deliver(item, line)])
        self.bytes_of(item).unlink()

    def drop(self, item):
        dropped = replace(item, state=State.DROPPED)
        self.store.commit([End(dropped, Note(1_700_000_050.0, Event.DROP, 0), "dropped by hand", item)])
        self.bytes_of(item).unlink()

    def bytes_of(self, item):
        return self.folder / "spool" / item.id

    def change(self, statement, *values):
        """What nobody but the uploader may do."""
        ask_beside(self.path, statement, values)

    def end(self):
        self.store.close()

    def files(self):
        """Every file with its facts: what looking must not change."""
        found = {}
        for path in self.folder.rglob("*"):
            facts = path.stat()
            found[path.name] = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode)
        return found
