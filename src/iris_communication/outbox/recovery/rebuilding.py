"""Builds a new database from the readable rows of a damaged one.

A row is accepted by its columns alone: their number, their types, and the new database's own checks. So the damage may
be anywhere, in the list of tables as well. A row that has the shape of one of our tables and is invalid is left out and
reported.

The ledger's lines keep their texts, hashes and numbers. Where lines are missing, the next line depends on a hash that
is lost: such a gap is marked (table `gaps`) and reported, so that the chain can be verified from there on.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from iris_communication.outbox.recovery.accounts import FILE_NAME, Loss, balance_accounts, strays
from iris_communication.outbox.recovery.contents import Keep, match_contents
from iris_communication.outbox.recovery.pages import Pages
from iris_communication.outbox.recovery.rows import Row, rows
from iris_communication.outbox.store import item_row as row
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.sqlite import GIVES_SPACE_BACK
from iris_communication.outbox.store.statements import script
from iris_communication.runtime.safe_files import open_private

COLUMNS_OF_VERSION_1 = 22  # of an item; a row that was not written again since the migration has no more
_KINDS: dict[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}
_THERE_ALREADY = (
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
)


class Column(NamedTuple):
    name: str
    kinds: tuple[type, ...]
    may_be_null: bool
    is_number: bool  # an alias of the row's number


class Shape(NamedTuple):
    table: str
    columns: tuple[Column, ...]
    columns_min: int

    def values(self, found: Row) -> tuple[Any, ...] | None:
        """The values to insert; None where the row belongs to another table."""
        if not self.columns_min <= len(found.columns) <= len(self.columns):
            return None
        values = []
        for column, value in zip(self.columns, found.columns, strict=False):
            actual = found.number if column.is_number and value is None else value
            fits = column.may_be_null if actual is None else isinstance(actual, column.kinds)
            if not fits:
                return None
            values.append(actual)
        return tuple(values)


@dataclass(slots=True)
class SalvageAccount:
    """What a salvage found."""

    rows: Counter[str] = field(default_factory=Counter)  # by table
    broken: list[dict[str, Any]] = field(default_factory=list)  # rows that are invalid
    strays: dict[str, int] = field(default_factory=dict)  # files whose rows are lost, with their sizes in bytes
    lost: int = 0  # items whose rows are lost
    contents_lost: int = 0  # items whose content is lost or damaged
    lines_lost: int = 0  # of the ledger


def rebuild(damaged: Path, new: Path, held: dict[str, int], loss: Loss, keep: Keep) -> SalvageAccount:
    """Write the new database `new`, durable on return. `held` are the spool's files with their sizes in bytes; `keep`
    takes contents without an item. Raises OSError, sqlite3.Error."""
    new.unlink(missing_ok=True)
    os.close(open_private(new, os.O_WRONLY | os.O_EXCL))
    account = SalvageAccount()
    with Pages(damaged) as pages:
        database = sqlite3.connect(new, isolation_level=None)
        try:
            database.execute(GIVES_SPACE_BACK)
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(f"BEGIN IMMEDIATE;\n{script('schema.sql')}\nCOMMIT;")
            database.execute("BEGIN IMMEDIATE")
            _fill(database, pages, held, loss, account, keep)
            database.execute("COMMIT")
        finally:
            database.close()
    return account


def _fill(
    database: sqlite3.Connection, pages: Pages, held: dict[str, int], loss: Loss, account: SalvageAccount, keep: Keep
) -> None:
    delivered_before = _copy(database, pages, account)
    _leave_out_broken_items(database, account)
    account.contents_lost = match_contents(database, keep)
    _forget_broken_server_states(database, account)
    # The row may be an earlier state of the item, so its next attempt checks the server first.
    database.execute("UPDATE items SET effect = 'unseen' WHERE effect = 'none' AND token IS NOT NULL")
    account.lines_lost = _mark_gaps(database, delivered_before, loss.at_s)
    account.strays = strays(database, held.items())
    account.lost, _ = balance_accounts(database, account.strays, loss, all_accepted=True)
    database.execute("DELETE FROM traces WHERE id NOT IN (SELECT id FROM items)")


def _shapes(database: sqlite3.Connection) -> dict[str, Shape]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    shapes = {}
    for table in tables:
        columns = tuple(
            Column(name, _KINDS[kind], not needed and not key, bool(key) and kind == "INTEGER")
            for _, name, kind, needed, _, key in database.execute(f"PRAGMA table_info({table})")
        )
        shapes[table] = Shape(table, columns, COLUMNS_OF_VERSION_1 if table == "items" else len(columns))
    return shapes


def _copy(database: sqlite3.Connection, pages: Pages, account: SalvageAccount) -> int | None:
    """Copy every row that fits a table; how many deliveries the old tally had, if that could be read."""
    shapes, delivered = _shapes(database), None
    for found in rows(pages):
        for shape in shapes.values():
            values = shape.values(found)
            if values is None:
                continue
            if shape.table == "tally":
                delivered = values[1] if values[0] == "delivered" and delivered is None else delivered
            elif shape.table == "counter":
                database.execute("UPDATE counter SET last_sequence = ? WHERE last_sequence < ?", values * 2)
            else:
                _insert(database, shape, values, account)
            break
    return delivered


def _insert(database: sqlite3.Connection, shape: Shape, values: tuple[Any, ...], account: SalvageAccount) -> None:
    names = ", ".join(column.name for column in shape.columns[: len(values)])
    marks = ", ".join("?" * len(values))
    try:
        database.execute(f"INSERT INTO {shape.table} ({names}) VALUES ({marks})", values)  # noqa: S608 - our own names
        account.rows[shape.table] += 1
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode not in _THERE_ALREADY:
            account.broken.append(_report(shape.table, values, str(error)))


def _report(table: str, values: tuple[Any, ...], why: str) -> dict[str, Any]:
    """A row that was left out, for people and JSON."""
    columns = [os.fsdecode(value) if isinstance(value, bytes) else value for value in values]
    return {"table": table, "why": why, "columns": columns}


def _leave_out_broken_items(database: sqlite3.Connection, account: SalvageAccount) -> None:
    broken = [(values, why) for values in database.execute("SELECT * FROM items") if (why := _wrong(values))]
    for values, why in broken:
        account.broken.append(_report("items", values, why))
        # Its content stays, as one without an item.
        database.execute("UPDATE items SET in_store = 0 WHERE sequence = ?", values[:1])
        database.execute("DELETE FROM items WHERE sequence = ?", values[:1])
        account.rows["items"] -= 1


def _wrong(values: row.Row) -> str:
    """Why a row of `items` is invalid; empty where it is valid."""
    try:
        item = row.item(values)
    except (ValueError, TypeError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if FILE_NAME.fullmatch(item.id) else "its id is none"


def _forget_broken_server_states(database: sqlite3.Connection, account: SalvageAccount) -> None:
    for values in database.execute("SELECT * FROM server_states WHERE breaker IS NOT NULL").fetchall():
        try:
            why = "" if isinstance(json.loads(values[2]), dict) else "no object"
        except ValueError as error:
            why = str(error)
        if why:
            account.broken.append(_report("server_states", values, why))
            database.execute("UPDATE server_states SET breaker = NULL WHERE server_key = ?", values[:1])


def _mark_gaps(database: sqlite3.Connection, delivered_before: int | None, at_s: float) -> int:
    """Mark the gaps; how many lines are newly lost, as far as their numbers or the old tally show."""
    lost = 0
    for before, number, line in _places(database):
        marked = database.execute("SELECT 1 FROM gaps WHERE before_sequence = ?", (number,)).fetchone()
        if marked is None:
            facts = (number, number - before - 1, at_s, ledger.anchor(line))
            database.execute("INSERT INTO gaps VALUES (?, ?, ?, ?)", facts)
            lost += number - before - 1
    found, last = database.execute("SELECT count(*), coalesce(max(sequence), 0) FROM ledger").fetchone()
    at_the_end = (delivered_before or 0) - found - lost
    if at_the_end > 0:
        database.execute("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, NULL)", (last + 1, at_the_end, at_s))
        lost += at_the_end
    return lost


def _places(database: sqlite3.Connection) -> Iterator[tuple[int, int, ledger.Line]]:
    """Where numbers are missing and the chain breaks: the numbers before and after, and the line after. A chain that
    breaks where no number is missing was altered; it gets no mark, so that the audit still finds it."""
    first = (0, "", ledger.GENESIS)
    lines = database.execute("SELECT sequence, line, hash FROM ledger ORDER BY sequence")
    for (before, _, previous), (number, text, found) in pairwise(chain([first], lines)):
        if number != before + 1 and ledger.line_hash(previous, text) != found:
            yield before, number, ledger.Line(text, found)
