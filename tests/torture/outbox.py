"""The outbox as it lies on the disk, read without the uploader's help: what its states, tally and ledger say.

After a kill a copy is read: opening the file itself would recover its write-ahead log, which is the next process's
work and part of what is tested.
"""

import json
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from iris_communication.outbox.store.ledger import Line, first_broken

STATES = ("waiting", "in_flight", "dead", "delivered")


class OwedItem(NamedTuple):
    id: str
    state: str
    remote_path: str
    token: str | None  # of its latest attempt


class OutboxAtRest(NamedTuple):
    owed: list[OwedItem]
    delivered_ids: list[str]  # of each line of the ledger, as its own column says
    lines: list[Line]
    tally: dict[str, int]
    spooled: set[str]  # item ids that have a file in the spool
    stored: frozenset[str] = frozenset()  # item ids whose content is in the database

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        return [json.loads(line.text) for line in self.lines]

    def faults(self) -> list[str]:
        """Sentences; none when the chain holds and every item is in exactly one state, as the tally counts them."""
        found = []
        broken = first_broken(self.lines)
        if broken is not None:
            found.append(f"line {broken + 1} of the ledger does not fit the chain")
        counted = Counter(item.state for item in self.owed)
        counted["delivered"] = len(self.lines)
        if any(counted[state] != self.tally.get(state) for state in STATES):
            found.append(f"the tally says {self.tally}, counted are {dict(counted)}")
        ids = [*self.delivered_ids, *(item.id for item in self.owed)]
        found += [f"item {item_id} is in two states" for item_id, count in Counter(ids).items() if count > 1]
        without = [item.id for item in self.owed if item.state != "dead" and item.id not in self.spooled | self.stored]
        found += [f"item {item_id} has no bytes" for item_id in without]
        return found


def read_outbox(folder: Path) -> OutboxAtRest:
    """What lies in an outbox that no process has open. Raises sqlite3.Error for one that cannot be read."""
    spool = folder / "spool"
    spooled = {path.name for path in spool.iterdir()} if spool.is_dir() else set()
    with tempfile.TemporaryDirectory(dir=folder.parent) as copies:
        for part in folder.glob("outbox.db*"):
            if not part.name.endswith("-shm"):  # an index of the log, made again by the process that opens it
                shutil.copyfile(part, Path(copies) / part.name)
        copy = Path(copies) / "outbox.db"
        if not copy.exists():
            return OutboxAtRest([], [], [], {}, spooled)
        with closing(sqlite3.connect(copy)) as database:
            if database.execute("SELECT name FROM sqlite_schema WHERE name = 'items'").fetchone() is None:
                return OutboxAtRest([], [], [], {}, spooled)
            owed = [
                OwedItem(item_id, state, os.fsdecode(path), token)
                for item_id, state, path, token in database.execute("SELECT id, state, remote_path, token FROM items")
            ]
            ledger = database.execute("SELECT id, line, hash FROM ledger ORDER BY sequence").fetchall()
            ids, lines = [row[0] for row in ledger], [Line(*row[1:]) for row in ledger]
            tally = dict(database.execute("SELECT state, count FROM tally"))
            stored = database.execute("SELECT id FROM items JOIN contents USING (sequence)").fetchall()
            return OutboxAtRest(owed, ids, lines, tally, spooled, frozenset(item_id for (item_id,) in stored))
