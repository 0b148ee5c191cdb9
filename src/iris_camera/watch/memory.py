"""Which version of each file was accepted by the outbox, kept over restarts, so that none is sent again after one.

One small SQLite file for a watched folder. It is written after the outbox has accepted: a crash in between repeats a
file, and loses none. The files that are there before the first watch are noted in one commit with the fact that
watching has begun: from then on every file that is not noted is new, also one that came while no watcher ran.

What goes wrong. Another watcher has the folder: SQLite's lock refuses the second. The database is damaged: it is put
aside and everything that lies in the folder is new, so it is delivered again. The disk is full: what could not be
noted is kept in memory, and tried again with the next.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from iris_camera.watch.completion import Version
from iris_communication.runtime.safe_files import open_private

log = logging.getLogger(__name__)

PAGE = 1000  # names per query
_SCHEMA = """
CREATE TABLE IF NOT EXISTS begun (folder BLOB PRIMARY KEY);
CREATE TABLE IF NOT EXISTS accepted (
    path BLOB PRIMARY KEY, inode INTEGER NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""


class CannotRemember(Exception):
    """Nothing could be kept over a restart, so watching does not begin. The text says what to do."""


class Memory:
    """Of the watched `folder`, in a file beside the outbox. Raises CannotRemember. Used by one thread."""

    def __init__(self, beside: Path, folder: Path) -> None:
        self._folder = os.fsencode(folder.resolve())
        self.path = beside / f"watched-{hashlib.sha256(self._folder).hexdigest()[:16]}.db"
        self._unwritten: dict[str, Version | None] = {}  # None: to be forgotten
        _make(self.path)
        try:
            self._database = self._open(folder)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise CannotRemember(f"{self.path} cannot be used: {error}; correct the folder's permissions") from None
            self._put_aside(error)
            self._database = self._open(folder)
            self.begin(())  # better twice than never: what lies there counts as new

    @property
    def begun(self) -> bool:
        """Whether this folder was watched before."""
        return self._database.execute("SELECT 1 FROM begun").fetchone() is not None

    def begin(self, there: Iterable[tuple[str, Version]]) -> None:
        """What lies `there` is noted as if it had been accepted; all or nothing, and a power cut does not undo it."""
        self._database.execute("PRAGMA synchronous = FULL")
        with self._database:
            self._database.execute("BEGIN")
            self._note((path, version) for path, version in there)
            self._database.execute("INSERT OR REPLACE INTO begun VALUES (?)", (self._folder,))
        self._database.execute("PRAGMA synchronous = NORMAL")

    def get(self, path: str) -> Version | None:
        if path in self._unwritten:
            return self._unwritten[path]
        query = "SELECT inode, size_bytes, mtime_ns FROM accepted WHERE path = ?"
        row = self._database.execute(query, (os.fsencode(path),)).fetchone()
        return None if row is None else Version(*row)

    def change(self, changes: Mapping[str, Version | None]) -> None:
        """Note what was accepted, and forget what is gone (None), in one commit."""
        self._unwritten |= changes
        if not self._unwritten:
            return
        try:
            with self._database:
                self._database.execute("BEGIN")
                self._note((path, version) for path, version in self._unwritten.items() if version is not None)
                gone = [(os.fsencode(path),) for path, version in self._unwritten.items() if version is None]
                self._database.executemany("DELETE FROM accepted WHERE path = ?", gone)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s; files may be delivered again after a restart", self.path, error)
        else:
            self._unwritten.clear()

    def paths(self) -> Iterator[str]:
        """Every path noted, in pages, so that some may be forgotten meanwhile."""
        after = b""
        query = "SELECT path FROM accepted WHERE path > ? ORDER BY path LIMIT ?"
        while rows := self._database.execute(query, (after, PAGE)).fetchall():
            yield from (os.fsdecode(path) for (path,) in rows)
            after = rows[-1][0]

    def close(self) -> None:
        self.change({})
        self._database.close()

    def _open(self, folder: Path) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None, timeout=0.5, check_same_thread=False)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            database.close()
            if "locked" in str(error):
                raise CannotRemember(
                    f"{folder} is watched by another process already; give this one its own outbox (--outbox)"
                ) from None
            raise
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _note(self, versions: Iterable[tuple[str, Version]]) -> None:
        rows = ((os.fsencode(path), v.inode, v.size_bytes, v.mtime_ns) for path, v in versions)
        self._database.executemany("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?)", rows)

    def _put_aside(self, error: sqlite3.Error) -> None:
        aside = self.path.with_suffix(".damaged")
        log.error(
            "%s is damaged (%s) and was moved to %s: the files in the folder are sent again", self.path, error, aside
        )
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def _make(path: Path) -> None:
    """For this user alone, and only in this user's folder: else the folder's owner could not open it later."""
    try:
        user = path.parent.stat().st_uid
        if user != os.geteuid():
            raise CannotRemember(
                f"{path.parent} belongs to user {user}: watch as that user (sudo -u '#{user}' iris watch ...), or give "
                "this one its own outbox (--outbox)"
            )
        os.close(open_private(path, os.O_RDWR | os.O_EXCL))
    except FileExistsError:
        pass
    except OSError as error:
        raise CannotRemember(f"{path} cannot be used: {error.strerror}; correct the folder's permissions") from None
