"""An outbox with something in it to be damaged, and what must be there after a salvage."""

import contextlib
import json
import sqlite3
from dataclasses import replace

from iris_communication.admin.audit import Audit
from iris_communication.item import Event, Failure, State
from iris_communication.outbox.store.contract import Note, SetServer, Update
from iris_communication.outbox.store.open_store import open_store
from iris_communication.outbox.writer.writer import Writer
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.outbox.made_outbox import CONTENT, Outbox

PAGE_BYTES = 4096
SERVER = "iris@a.example:22"


def filled(folder, items=80):
    """Files in every state; enough of them that each table has branches, and traces that fill pages of their own."""
    made = Outbox(folder)
    for number in range(items):
        item = made.accept()
        if number % 3 == 0:
            made.deliver(item)
        elif number % 10 == 1:
            made.drop(item)
        elif number % 10 == 2:
            dead = replace(item, state=State.DEAD, last_error=Failure("RemoteRefused", "no", "ask"))
            made.store.commit([Update(dead, item, Note(1.0, Event.GIVE_UP, 1, dead.last_error), "open\n" * 1500)])
    made.store.commit([SetServer(SERVER, True, {"state": "open"})])
    return made


@contextlib.contextmanager
def started(folder):
    """The writer of the outbox, as a start makes it."""
    clock = FakeClock()

    def opened():
        return open_store(folder, clock)

    writer = Writer(folder, opened, clock, 10_000)
    writer.open()
    try:
        yield writer
    finally:
        writer.close()


def overwrite(path, page, content):
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(content)


def ends_of_long_texts(path):
    data = path.read_bytes()
    pages = {
        number: data[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        for number in range(1, len(data) // PAGE_BYTES + 1)
    }
    return {number for number, page in pages.items() if not any(page) or (not any(page[:4]) and b"open\n" in page)}


def kept(folder):
    """Every file that was held, by name, wherever it is now."""
    found = {}
    for place in ("quarantine", "spool"):
        with contextlib.suppress(FileNotFoundError):
            found |= {path.name: path.read_bytes() for path in (folder / place).iterdir()}
    return found


def ids(folder):
    """Id -> state of everything the outbox knows."""
    with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as database:
        return dict(
            database.execute(
                "SELECT id, state FROM items UNION ALL SELECT id, state FROM ended"
                " UNION ALL SELECT id, 'delivered' FROM ledger"
            ).fetchall()
        )


def the_note(folder):
    (path,) = (folder / "quarantine").glob("*.json")
    return json.loads(path.read_text())


def check_nothing_is_missing(folder, before):
    """What has to hold of any outbox that was opened, whatever had happened to it."""
    after = ids(folder)
    balance = Audit(folder).balance()
    assert balance.problems == ()
    assert balance.last_sequence == len(before)
    assert Audit(folder).verify().broken is None
    changed = {name for name, state in before.items() if after.get(name, state) != state and after[name] != "dropped"}
    assert changed == set()
    held = kept(folder)
    assert {
        name for name, state in before.items() if state in ("waiting", "dead") and held.get(name) != CONTENT
    } == set()
