"""Matches the contents that a salvage found with the items they belong to.

- A content is an item's own if it has the SHA-256 that was accepted. Another one is not sent.
- An item whose content is lost or damaged is dead, with that reason, so that it is listed.
- A content without an item may be all that is left of a file: it becomes a file in the quarantine. Where the item is
  known to have ended, it is an old page that nobody needs.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable

from iris_communication.errors import SpoolMissing
from iris_communication.outbox.recovery.accounts import ended_numbers

Keep = Callable[[int, bytes], None]  # a content, by the sequence of its item


def match_contents(database: sqlite3.Connection, keep: Keep) -> int:
    """How many items lost theirs. Runs in the caller's transaction."""
    ended = ended_numbers(database)
    strays = "SELECT sequence FROM contents WHERE sequence NOT IN (SELECT sequence FROM items WHERE in_store)"
    for (sequence,) in database.execute(strays).fetchall():
        if sequence not in ended:
            keep(sequence, _content(database, sequence) or b"")
        _remove(database, sequence)
    lost = 0
    for sequence, item_id, sha256 in database.execute(
        "SELECT sequence, id, sha256 FROM items WHERE in_store"
    ).fetchall():
        content = _content(database, sequence)
        if content is not None and hashlib.sha256(content).hexdigest() == sha256:
            continue
        lost += 1
        if content is not None:
            keep(sequence, content)
            _remove(database, sequence)
        what = "is gone from" if content is None else "was damaged in"
        error = SpoolMissing(f"the content of {item_id} {what} the database")
        facts = json.dumps([type(error).__name__, str(error), error.hint])
        database.execute("UPDATE items SET state = 'dead', last_error = ? WHERE sequence = ?", (facts, sequence))
    return lost


def _content(database: sqlite3.Connection, sequence: int) -> bytes | None:
    found = database.execute("SELECT content FROM contents WHERE sequence = ?", (sequence,)).fetchone()
    return found[0] if found else None


def _remove(database: sqlite3.Connection, sequence: int) -> None:
    database.execute("DELETE FROM contents WHERE sequence = ?", (sequence,))
