"""Makes the counts of an outbox consistent: every sequence ever given belongs to exactly one item, and the tally says
how many items are in each state.

A lost item is reported, not hidden: a sequence whose item left no trace gets a row in `ended`, dropped with the reason,
and its `effect` says that the file may have arrived nevertheless. So every lost item is listed, and the counts include
it.
"""

import json
import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from iris_communication.item import ENDED, OWED_OR_DEAD
from iris_communication.runtime.amounts import counted

FILE_NAME = re.compile(r"[\w][\w.-]{0,200}", re.ASCII)
KNOWN_IDS = "SELECT id FROM items UNION SELECT id FROM ended UNION SELECT id FROM ledger"
_COUNTED = "SELECT count(*) FROM items UNION ALL SELECT count(*) FROM ended UNION ALL SELECT count(*) FROM ledger"
_NAMED_BY_TIME = re.compile(r"([0-9a-f]{12})-")


class Loss(NamedTuple):
    """What is recorded of an item whose row is lost."""

    at_s: float  # wall time
    reason: str


def strays(database: sqlite3.Connection, held: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Those of the files `held` (with their sizes in bytes) that belong to no row."""
    known = {item_id for (item_id,) in database.execute(KNOWN_IDS)}
    return {name: size_bytes for name, size_bytes in held if name not in known}


def balance_accounts(
    database: sqlite3.Connection, unknown: Mapping[str, int], loss: Loss, *, all_accepted: bool
) -> tuple[int, list[str]]:
    """Runs in the caller's transaction. Returns how many items had lost their rows, and a sentence for each count that
    was wrong. `unknown` are the `strays`: each may be the bytes of a sequence without an item. `all_accepted`: every
    stray was accepted, also where no sequence is missing for it."""
    named = {name: size_bytes for name, size_bytes in unknown.items() if FILE_NAME.fullmatch(name)}
    recounted = list(_recount(database))  # first, or the triggers of the next statements fail on a wrong tally
    twice = _end_what_is_in_two_states(database)
    last, lost = _fill(database, named, loss, all_accepted=all_accepted)
    list(_recount(database))
    return lost, [*recounted, *twice, *_correct_counter(database, last)]


def _end_what_is_in_two_states(database: sqlite3.Connection) -> list[str]:
    """Proof of delivery counts first, then an end, then a row of `items`."""
    over = "SELECT id FROM ledger UNION ALL SELECT id FROM ended"
    found = database.execute("DELETE FROM ended WHERE id IN (SELECT id FROM ledger)").rowcount
    found += database.execute(f"DELETE FROM items WHERE id IN ({over})").rowcount  # noqa: S608 - the text above
    return [f"{counted(found, 'item was', 'items were')} in two states at once"] if found else []


def _fill(database: sqlite3.Connection, named: Mapping[str, int], loss: Loss, *, all_accepted: bool) -> tuple[int, int]:
    """The last sequence, and how many sequences had no item."""
    known = sorted(set(_numbers(database)))
    (counted,) = database.execute("SELECT coalesce(max(last_sequence), 0) FROM counter").fetchone()
    held = sum(count for (count,) in database.execute(_COUNTED))
    last, lost = max([counted, held, *known[-1:]]), 0
    waiting = deque(sorted(named))  # ids are in order of acceptance as well
    for sequence in islice(_missing(known, last), last - held):
        item_id = waiting.popleft() if waiting else f"lost-{sequence}"
        _insert_lost(database, sequence, item_id, named.get(item_id), loss)
        lost += 1
    for item_id in waiting if all_accepted else ():
        last, lost = last + 1, lost + 1
        _insert_lost(database, last, item_id, named[item_id], loss)
    return last, lost


def _numbers(database: sqlite3.Connection) -> Iterator[int]:
    for (sequence,) in database.execute("SELECT sequence FROM items"):
        yield sequence
    yield from ended_numbers(database)


def ended_numbers(database: sqlite3.Connection) -> set[int]:
    """The sequences of items that were delivered or have ended otherwise."""
    return {*(sequence for (sequence,) in database.execute("SELECT sequence FROM ended")), *_delivered(database)}


def _delivered(database: sqlite3.Connection) -> Iterator[int]:
    for (line,) in database.execute("SELECT line FROM ledger"):
        try:
            yield int(json.loads(line)["sequence"])
        except (ValueError, TypeError, KeyError):
            continue  # a damaged line: one of the sequences that seem to be missing is its own


def _missing(known: list[int], last: int) -> Iterator[int]:
    expected = 1
    for number in known:
        yield from range(expected, number)
        expected = max(expected, number + 1)
    yield from range(expected, last + 1)


def _insert_lost(database: sqlite3.Connection, sequence: int, item_id: str, size_bytes: int | None, loss: Loss) -> None:
    accepted = _NAMED_BY_TIME.match(item_id)
    accepted_s = int(accepted[1], 16) / 1000 if accepted else loss.at_s
    database.execute(
        "INSERT INTO ended (sequence, id, state, server_key, source_path, remote_path, folder_type, priority,"
        " size_bytes, accepted_s, attempts, effect, ended_s, reason)"
        " VALUES (?, ?, 'dropped', 'unknown', x'', x'', '', 0, ?, ?, 0, 'unknown', ?, ?)",
        (sequence, item_id, size_bytes, accepted_s, loss.at_s, loss.reason),
    )


def _recount(database: sqlite3.Connection) -> Iterator[str]:
    there = dict.fromkeys((state.value for state in (*OWED_OR_DEAD, *ENDED)), 0)
    for table in ("items", "ended"):
        there |= dict(database.execute(f"SELECT state, count(*) FROM {table} GROUP BY state"))  # noqa: S608 - two names
    there["delivered"] = database.execute("SELECT count(*) FROM ledger").fetchone()[0]
    tallied = dict(database.execute("SELECT state, count FROM tally"))
    for state, count in there.items():
        if tallied.get(state) != count:
            items = counted(count, "item is", "items are")
            yield f"{items} {state.replace('_', ' ')}, but the tally had {tallied.get(state, 'nothing')}"
            database.execute("INSERT OR REPLACE INTO tally VALUES (?, ?)", (state, count))


def _correct_counter(database: sqlite3.Connection, last: int) -> Iterator[str]:
    rows = [sequence for (sequence,) in database.execute("SELECT last_sequence FROM counter")]
    if rows != [last]:
        yield f"{last} numbers were given, but the counter had {rows[0] if rows else 'none'}"
        database.execute("DELETE FROM counter")
        database.execute("INSERT INTO counter VALUES (?)", (last,))
