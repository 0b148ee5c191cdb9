"""Reads an outbox's database beside its owner, and leaves no trace.

Idea. A WAL database is read through its log and the log's index. While an owner runs, or after one was killed, both
exist, and SQLite reads through them without writing (`mode=ro`, `readonly_shm`). After an orderly end both are gone,
and opening the file read-only would create them. So the file is read as it is (`immutable`), and the result counts only
if the file is unchanged afterwards and still has no log. An owner that starts meanwhile writes its log before it
touches the file; then the reader reads again, through the log.

Rules.
- One snapshot, one connection, closed right after: an open connection keeps an ending owner from emptying its log, and
  an open transaction lets that log grow.
- Only SQLite opens the database: in the owner's process, closing any other descriptor would drop the locks that SQLite
  has on it (`database_guard` stands in for those that matter most).

What goes wrong. A copy that was made without the log's index cannot be read without creating one: the error says so.
"""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.outbox.store.sqlite import DATABASE, LOG, SCHEMA_VERSION
from iris_communication.outbox.store.statements import named_queries

AT_ONCE = 500  # rows of one snapshot: bounds memory, and how long the owner cannot empty its log
BEFORE_THE_FIRST = -(2**63)
QUERIES = named_queries("audit.sql", "listing.sql")
TRIES = 20  # an owner that is just starting or ending blocks for some milliseconds
PAUSE_S = 0.05
BUSY_TIMEOUT_S = 5.0
_IN_BETWEEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY}
_DAMAGE = re.compile("malformed|not a database|no such table|no such column|Could not decode")

Answer = TypeVar("Answer")
Mark = tuple[int, int, int]  # of a database at rest: inode, size in bytes, time of the last change


class NoOutbox(OutboxStorageError):
    """The folder holds no outbox, or does not exist."""

    default_hint = "give the folder of an outbox (outbox.db lies in it)"

    @classmethod
    def in_folder(cls, folder: Path) -> "NoOutbox":
        return cls(f"{folder} {'holds no outbox' if folder.is_dir() else 'does not exist or is no folder'}")


class ReadTransaction:
    """The database at one moment: every query sees the same commit."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def all(self, name: str, *values: Any) -> list[Any]:
        return self._database.execute(QUERIES[name], values).fetchall()

    def one(self, name: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self._database.execute(QUERIES[name], values).fetchone()
        return row[0] if row else None


class Reader:
    """Constructing opens nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / DATABASE
        self._log_path = folder / LOG

    def read(self, ask: Callable[[ReadTransaction], Answer]) -> Answer:
        """What `ask` returns for one snapshot; it may be called more than once, so it must change nothing. Raises
        NoOutbox, OutboxDamaged (a newer schema included), OutboxStorageError."""
        failed: sqlite3.Error | None = None
        for _ in range(TRIES):
            before = self._at_rest()
            try:
                answer = self._ask(ask, at_rest=before is not None)
            except sqlite3.Error as error:
                failed = error
                if not _is_in_between(error) and self._at_rest() == before:
                    raise self._storage_error(error) from error
            else:
                if before is None or self._at_rest() == before:
                    return answer
            time.sleep(PAUSE_S)
        if failed is None:
            raise OutboxStorageError(f"the owner of the outbox {self.folder} keeps changing", hint="try again")
        raise self._storage_error(failed) from failed

    def rows(self, name: str, *values: Any) -> Iterator[Any]:
        """The rows of a query whose first parameter is the first column of the row before, and whose last is the limit.
        They are read in pages, each from a separate snapshot."""
        after = BEFORE_THE_FIRST
        while page := self._page(name, after, *values, AT_ONCE):
            yield from page
            after = page[-1][0]

    def _page(self, name: str, *values: Any) -> list[Any]:
        return self.read(lambda snapshot: snapshot.all(name, *values))

    def _at_rest(self) -> Mark | None:
        """The mark of a database without a log; None where a log belongs to it."""
        try:
            if os.stat(self._log_path).st_size > 0:
                return None
        except FileNotFoundError:
            pass  # as after every orderly end
        except OSError as error:
            raise OutboxStorageError(f"cannot examine {self._log_path}: {error.strerror}") from error
        try:
            facts = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise NoOutbox.in_folder(self.folder) from None
        except OSError as error:
            raise OutboxStorageError(f"cannot examine {self._path}: {error.strerror}") from error
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def _ask(self, ask: Callable[[ReadTransaction], Answer], *, at_rest: bool) -> Answer:
        how = "immutable=1" if at_rest else "readonly_shm=1"
        address = f"file:{quote(os.fsencode(os.path.abspath(self._path)))}?mode=ro&{how}"
        database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            database.execute("BEGIN")
            self._check_version(database.execute("PRAGMA user_version").fetchone()[0])
            return ask(ReadTransaction(database))
        finally:
            database.close()

    def _check_version(self, found: int) -> None:
        if found == 0:
            raise NoOutbox(f"{self._path} is not an outbox: nothing was ever written to it")
        if found != SCHEMA_VERSION:
            newer = found > SCHEMA_VERSION
            raise OutboxDamaged(
                f"the outbox database {self._path} has schema version {found}, but this program reads {SCHEMA_VERSION}",
                hint="use the program that wrote it" if newer else "start the uploader on it once, then try again",
            )

    def _storage_error(self, error: sqlite3.Error) -> OutboxStorageError:
        if isinstance(error, sqlite3.DatabaseError) and _DAMAGE.search(str(error)):
            return OutboxDamaged(f"the outbox database {self._path} is damaged: {error}")
        hint = "correct the permissions of the folder, or run the command as the outbox's user"
        if self._log_path.exists() and not self.folder.joinpath("outbox.db-shm").exists():
            hint = "outbox.db-wal lies there without outbox.db-shm: copy the whole folder, or start the uploader on it"
        return OutboxStorageError(f"cannot read the outbox database {self._path}: {error}", hint=hint)


def _is_in_between(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _IN_BETWEEN
