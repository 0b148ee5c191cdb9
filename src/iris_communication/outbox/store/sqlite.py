"""The store in one SQLite file.

Rules. One connection in one thread writes and checkpoints: SQLite before 3.51.3 can lose committed pages when two
connections checkpoint the same WAL, and most installed Pythons carry such a version. It does so in `tidy`, between two
groups: a commit that somebody waits for never carries a checkpoint. `synchronous=FULL`, so that a commit that returned
survives a power cut. Every transaction of several statements is BEGIN IMMEDIATE. After an error
the connection is not trusted any more: the writer closes this store and opens a new one.

What goes wrong. The files may lose their names while they are open (`database_guard`): the store puts the committed
content back under them before `commit` returns. Some file systems (NFS, CIFS) do not keep WAL's promises. The quick
check at opening finds a damaged file; the store leaves it untouched (see `recovery.salvage`).
"""

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.item import Item
from iris_communication.outbox.store import item_row as row
from iris_communication.outbox.store.contract import (
    Backlog,
    Change,
    Insert,
    QueueKey,
    ServerState,
    Tally,
)
from iris_communication.outbox.store.database_guard import DatabaseGuard
from iris_communication.outbox.store.ledger import GENESIS, Line
from iris_communication.outbox.store.packed_rows import packed, unpacked
from iris_communication.outbox.store.put_back import put_back
from iris_communication.outbox.store.statements import named_queries, script, statements
from iris_communication.runtime.system_trouble import storage_trouble

log = logging.getLogger(__name__)

DATABASE = "outbox.db"
LOG = "outbox.db-wal"
SCHEMA_VERSION = 3
HISTORY_MAX = 200_000  # lines kept of all
LOG_KEPT_BYTES = 4 * 1024 * 1024
COMMIT_BYTES, CHANGE_BYTES = 24 * 1024, 2 * 1024  # what a commit, and each change, adds to the log besides contents
GIVES_SPACE_BACK = "PRAGMA auto_vacuum = INCREMENTAL"
VACUUM_MAX_BYTES = 256 * 1024 * 1024  # an older file up to this size is written anew when it is migrated
PAGE_BYTES = 4096
VACUUM_PAGES = 256  # in one step: a millisecond or two
PRAGMAS = f"""
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;  -- see `tidy`
PRAGMA journal_size_limit = {LOG_KEPT_BYTES};  -- after a reader had let the log grow
PRAGMA secure_delete = fast;  -- to overwrite what small files held takes longer than all the rest of a delivery
"""
CONTENTS_AT_ONCE = 256  # read by one statement; SQLite takes at most 2000 columns
MIGRATIONS = {1: "from_1_to_2.sql", 2: "from_2_to_3.sql"}  # by the version each begins with


QUERIES = named_queries("queries.sql")


# Errors that a disk or another process causes: no damage, whatever the statement was.
_SURROUNDINGS = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


class NewerSchema(OutboxDamaged):
    """Written by a newer program: the database is whole, and this program must not change it."""

    default_hint = "run the newer program that wrote it"


class SqliteStore:
    """Raises OutboxDamaged for a file that is no sound outbox, OutboxStorageError when the disk refuses."""

    def __init__(self, path: Path, boot_id: str, boot_s: float = 0.0, wall_s: float = 0.0) -> None:
        """`boot_s` and `wall_s` are now: what is left of a time to live from another boot is computed with them."""
        self._path = path
        self._open()
        try:
            with self._errors("open"):
                self._prepare()
                self._prepare_connection()
                self._forget_other_boots(boot_id, boot_s, wall_s)
                self._db.execute(QUERIES["trim_all_history"], (HISTORY_MAX,))
        except BaseException:
            self._release()
            raise

    def _open(self) -> None:
        with self._errors("open"):
            guard = DatabaseGuard(self._path)
            try:
                self._logged = guard.is_logged or self._begin_log()
                if self._logged:
                    guard.hold()
                self._db = self._connected()
                try:
                    self._db.executescript(PRAGMAS)
                    self._db.execute("SELECT 1 FROM sqlite_schema").fetchone()  # opens the log
                    if self._logged:
                        guard.opened()
                except BaseException:
                    self._db.close()
                    raise
            except BaseException:
                guard.close()
                raise
            self._guard = guard
            self._is_open = True
            self._logged_bytes = 0  # since the last checkpoint, about

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=5.0)

    def _begin_log(self) -> bool:
        """Turn on the log (WAL); False where the file system cannot have one."""
        with contextlib.closing(self._connected()) as database:
            database.execute(GIVES_SPACE_BACK)  # counts for a new file only
            return bool(database.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal")

    def _prepare(self) -> None:
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise OutboxDamaged(f"the outbox database {self._path} is damaged: {found}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise NewerSchema(
                f"the outbox database {self._path} has schema version {version}, "
                f"but this program knows {SCHEMA_VERSION} at most"
            )
        if version == 0:
            self._run("schema.sql")
        for older in range(max(1, version), SCHEMA_VERSION if version else 0):
            self._run(MIGRATIONS[older])
        if 0 < version < SCHEMA_VERSION and self._path.stat().st_size <= VACUUM_MAX_BYTES:
            self._write_anew()

    def _prepare_connection(self) -> None:
        """Of each connection."""
        self._db.executescript(script("connection.sql"))

    def _write_anew(self) -> None:
        """Where the disk has no room for that, the file keeps its largest size."""
        try:
            self._db.executescript(f"{GIVES_SPACE_BACK}; VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise

    def _run(self, name: str) -> None:
        """A script as one transaction: interrupted, it changes nothing."""
        self._db.executescript(f"BEGIN IMMEDIATE;\n{script(name)}\nCOMMIT;")

    def _forget_other_boots(self, boot_id: str, boot_s: float, wall_s: float) -> None:
        self._db.execute(QUERIES["forget_due_of_other_boots"], (boot_id, boot_id))
        for sequence, accepted_s, ttl_s in self._db.execute(QUERIES["expiry_of_other_boots"], (boot_id,)).fetchall():
            left_s = min(ttl_s, max(0.0, accepted_s + ttl_s - wall_s))
            self._db.execute(QUERIES["set_expiry"], (boot_id, boot_s + left_s, sequence))

    def commit(self, changes: Sequence[Change]) -> None:
        self._commit(changes)
        self._keep_in_place()  # before anybody is told
        self._logged_bytes += COMMIT_BYTES + sum(CHANGE_BYTES + _content_bytes(change) for change in changes)

    def tidy(self, log_max_bytes: int, *, urgent: bool = False) -> None:
        if self._logged_bytes < log_max_bytes and not urgent:
            return
        self._logged_bytes = 0  # a reader may keep it from writing all: the next time it writes more
        with self._errors("write"):
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if free * PAGE_BYTES > 2 * log_max_bytes or (free and urgent):
                # As a script: of one statement Python's module takes a single step, which frees a single page.
                self._db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _keep_in_place(self) -> None:
        """Make sure that what was committed can be found under the files' names. Raises OutboxStorageError."""
        with self._errors("keep"):
            lost = self._guard.lost
            if not lost:
                return
            try:
                put_back(self._db, self._path, lost)
            except sqlite3.Error:
                if self._guard.are_named:  # only this connection cannot read: a new one can read the files
                    self._release()
                raise
            self._db.close()  # still guarded, so that it changes no file that has the names now
            self._guard.close()
            self._is_open = False
        log.error("files of the database %s were removed or replaced while it was open; Iris restores them", self._path)
        self._open()
        self._prepare_connection()

    def _commit(self, changes: Sequence[Change]) -> None:
        with self._errors("write"):
            to_do = statements(changes)
            if len(to_do) == 1:  # it is a transaction by itself, and cheaper than three
                self._db.execute(*to_do[0])
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in to_do:
                    self._db.execute(statement, values)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def queues_of(self, server_key: str) -> list[QueueKey]:
        with self._errors("read"):
            return [QueueKey(*found) for found in self._db.execute(QUERIES["queues_of"], {"server": server_key})]

    def due(self, server_key: str, queue: QueueKey, boot_s: float, limit: int) -> list[Item]:
        return self._items("due", server_key, *queue, boot_s, limit)

    def fresh(self, server_key: str, queue: QueueKey, after: int, limit: int) -> list[Item]:
        return self._items("fresh", server_key, *queue, after, limit)

    def members(self, batch_id: str) -> list[Item]:
        return self._items("members", batch_id)

    def item(self, item_id: str) -> Item | None:
        found = self._items("item", item_id)
        return found[0] if found else None

    def contents(self, items: Sequence[Item]) -> dict[str, bytes]:
        wanted = [item for item in items if item.in_store]
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), CONTENTS_AT_ONCE):
            part = wanted[start : start + CONTENTS_AT_ONCE]
            # One row with a column for each: after every row this thread would wait for the interpreter lock again.
            columns = ", ".join(["(SELECT content FROM contents WHERE sequence = ?)"] * len(part))
            with self._errors("read"):
                read = self._db.execute(f"SELECT {columns}", [item.sequence for item in part]).fetchone()
            found |= {item.id: content for item, content in zip(part, read, strict=True) if content is not None}
        return found

    def source_actions(self) -> list[str]:
        return [item_id for (item_id,) in self._all("source_actions")]

    def expired(self, boot_s: float, limit: int) -> list[Item]:
        return self._items("expired", boot_s, limit)

    def next_expiry_s(self) -> float | None:
        return self._one("next_expiry")  # type: ignore[no-any-return]  # the column's type

    def oldest_waiting(self, priority_max: int, limit: int) -> list[Item]:
        return self._items("oldest_waiting", priority_max, limit)

    def lowest_waiting(self, limit: int) -> list[Item]:
        return self._items("lowest_waiting", limit)

    def owed_bytes(self) -> int:
        return self._one("owed_bytes")  # type: ignore[no-any-return]  # the column's type

    def backlogs(self) -> dict[str, Backlog]:
        return {key: Backlog(*facts) for key, *facts in self._all("backlogs")}

    def next_due_s(self, server_key: str) -> float | None:
        return self._one("next_due", server_key)  # type: ignore[no-any-return]  # the column's type

    def tally(self) -> Tally:
        return Tally(**dict(self._all("tally")))

    def last_sequence(self) -> int:
        return self._one("last_sequence")  # type: ignore[no-any-return]  # the column's type

    def ledger_head(self) -> str:
        return self._one("ledger_head") or GENESIS

    def ledger(self) -> Iterator[Line]:
        with self._errors("read"):
            for found in self._db.execute(QUERIES["ledger"]):
                yield Line(*found)

    def line_of(self, item_id: str) -> Line | None:
        found = self._all("line_of", item_id)
        return Line(*found[0]) if found else None

    def state(self, item_id: str) -> str | None:
        return self._one("state", item_id)  # type: ignore[no-any-return]  # the column's type

    def unfinished(self) -> Iterator[Item]:
        with self._errors("read"):
            for found in self._db.execute(QUERIES["unfinished"]):
                yield row.item(found)

    def dead(self, limit: int) -> list[Item]:
        return self._items("dead", limit)

    def owed_names(self) -> Iterator[str]:
        with self._errors("read"):
            for (path,) in self._db.execute(QUERIES["owed_paths"]):
                yield os.path.basename(os.fsdecode(path))

    def oldest_accepted_s(self) -> float | None:
        return self._one("oldest_accepted")  # type: ignore[no-any-return]  # the column's type

    def server_states(self) -> dict[str, ServerState]:
        with self._errors("read"):
            return {
                key: ServerState(bool(paused), json.loads(breaker) if breaker else None)
                for key, paused, breaker in self._db.execute(QUERIES["server_states"])
            }

    def close(self) -> None:
        if self._is_open:
            self._keep_in_place()
            self._release()

    def _release(self) -> None:
        self._is_open = False
        self._guard.unlock()
        with contextlib.suppress(sqlite3.Error):  # closing checkpoints; what is committed is safe without that
            self._db.close()
        self._guard.close()

    def _items(self, name: str, *values: Any) -> list[Item]:
        with self._errors("read"):
            (found,) = self._db.execute(_packed_query(name), values).fetchone()
            return [row.item(each) for each in unpacked(found)]

    def _all(self, name: str, *values: Any) -> list[Any]:
        with self._errors("read"):
            return self._db.execute(QUERIES[name], values).fetchall()

    def _one(self, name: str, *values: Any) -> Any:
        with self._errors("read"):
            found = self._db.execute(QUERIES[name], values).fetchone()
            return found[0] if found else None

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            kind = OutboxDamaged if _is_damage(error, doing) else OutboxStorageError
            raise kind(f"cannot {doing} the outbox database {self._path}: {error}") from error
        except OSError as error:
            raise storage_trouble(f"cannot {doing} the outbox database {self._path}", error) from error
        except (ValueError, TypeError, KeyError) as error:
            if doing != "read":
                raise
            what = f"a row of the outbox database {self._path} is not what it should be: {error!r}"
            raise OutboxDamaged(what) from error


@cache
def _packed_query(name: str) -> str:
    return packed(QUERIES[name])


def _content_bytes(change: Change) -> int:
    return len(change.content or b"") if isinstance(change, Insert) else 0


def _is_damage(error: sqlite3.DatabaseError, doing: str) -> bool:
    """While writing only a corrupt file counts, since a constraint may refuse a row. While opening or reading every
    error counts that no disk or other process causes: the file is not what was written."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the binding
        return "Could not decode" in str(error)
    primary = code & 0xFF
    return primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        doing != "write" and primary not in _SURROUNDINGS
    )
