"""Keeps the database's log in place while it is open here, whatever else this process and others do.

Idea. SQLite's own locks are record locks: they fall as soon as anybody in this process closes any descriptor of the
file (see `file_lock`). Then the next program that closes the database takes itself for the last one, and removes the
log that we go on writing into. So the same parts of the files are locked a second time, on descriptors of our own: the
bytes that whoever removes the log has to have alone, and the byte that says that the log's index is in use. Others go
on reading as ever.

What goes wrong. A kernel without such locks, or somebody who removes files by hand: `lost` tells, and is asked before
anybody is told that something is durable.

Sources: "File Locking And Concurrency" (the shared bytes) and "WAL-mode File Format" (the index's locks) of SQLite.
"""

import os
import time
from pathlib import Path

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.files.file_lock import FileLock
from iris_communication.runtime.safe_files import open_no_follow, open_private

SHARED_FIRST, SHARED_BYTES = 0x40000002, 510  # of the database: who has them alone may remove the log
IN_USE_BYTE = 128  # of the index
_FORMAT_AT, _LOGGED = 18, b"\2\2"  # of the database's head: written and read through a log
PATIENCE_S = 5.0  # with a program that closes the database just now, as SQLite has
PAUSE_S = 0.01


class DatabaseGuard:
    """Made before SQLite opens `path`, and closed after it has closed it: closing drops SQLite's own locks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = FileLock(open_private(path, os.O_RDWR))
        self._files = {"": self._database}  # by suffix

    @property
    def is_logged(self) -> bool:
        """Whether the database is written through a log already: turning that on takes the bytes that are guarded."""
        return os.pread(self._database.descriptor, 2, _FORMAT_AT) == _LOGGED

    def hold(self) -> None:
        """From here on nobody removes the log. Raises OutboxStorageError."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._database.share(SHARED_FIRST, SHARED_BYTES)
            except BlockingIOError as error:
                if time.monotonic() >= until_s:
                    raise OutboxStorageError(f"another program has locked the database {self._path}") from error
                time.sleep(PAUSE_S)
            else:
                return

    def opened(self) -> None:
        """SQLite has opened the log and its index."""
        for suffix in ("-wal", "-shm"):
            self._files[suffix] = FileLock(open_no_follow(self._at(suffix), os.O_RDONLY))
        self._files["-shm"].share(IN_USE_BYTE, 1)

    def _at(self, suffix: str) -> str:
        return f"{self._path}{suffix}"

    @property
    def lost(self) -> set[str]:
        """Of database, log and index the suffixes of those that are not at their paths any more. Raises OSError."""
        return {suffix for suffix, file in self._files.items() if not (file.is_open and file.names(self._at(suffix)))}

    @property
    def are_named(self) -> bool:
        """Whether all of them are at their paths, though our own descriptors may be gone (`os.closerange`). Raises
        OSError."""
        return all(file.is_at(self._at(suffix)) for suffix, file in self._files.items())

    def let_go(self) -> None:
        """For an orderly close: who closes last writes the log into the database and removes it."""
        for file in self._files.values():
            file.let_go()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
