"""Keeps the database's log in place while the database is open here, whatever this process and others do.

Idea. SQLite's own locks are record locks: the kernel drops them as soon as any code in this process closes any
descriptor of the file (see `file_lock`). Then the next program that closes the database takes itself for the last user,
and removes the log that we go on writing into. So the guard locks the same parts of the files a second time, on its own
descriptors: the bytes that a program has to lock exclusively to remove the log, and the byte that marks the log's index
as in use. Other programs can read as before.

What goes wrong. The kernel has no such locks, or somebody removes files by hand: `lost` shows it, and the store asks it
before any caller hears that something is durable.

Sources: "File Locking And Concurrency" (the shared bytes) and "WAL-mode File Format" (the index's locks) of SQLite.
"""

import os
import time
from pathlib import Path

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.files.file_lock import FileLock
from iris_communication.runtime.safe_files import open_no_follow, open_private

SHARED_FIRST, SHARED_BYTES = 0x40000002, 510  # of the database: to remove the log a program locks them exclusively
IN_USE_BYTE = 128  # of the index
_FORMAT_AT, _LOGGED = 18, b"\2\2"  # in the database's header: written and read through a log
PATIENCE_S = 5.0  # the longest wait for a program that is closing the database; the same as SQLite's
PAUSE_S = 0.01


class DatabaseGuard:
    """Made before SQLite opens `path`, and closed after it has closed it: closing drops SQLite's own locks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = FileLock(open_private(path, os.O_RDWR))
        self._files = {"": self._database}  # by suffix

    @property
    def is_logged(self) -> bool:
        """Whether the database is in log (WAL) mode already: turning that on needs the bytes that `hold` locks."""
        return os.pread(self._database.descriptor, 2, _FORMAT_AT) == _LOGGED

    def hold(self) -> None:
        """From here on no program removes the log. Raises OutboxStorageError."""
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
        """To be called once SQLite has opened the log and its index: guard these too."""
        for suffix in ("-wal", "-shm"):
            self._files[suffix] = FileLock(open_no_follow(self._at(suffix), os.O_RDONLY))
        self._files["-shm"].share(IN_USE_BYTE, 1)

    def _at(self, suffix: str) -> str:
        return f"{self._path}{suffix}"

    @property
    def lost(self) -> set[str]:
        """The suffixes of those files (database, log, index) that are not at their paths any more. Raises OSError."""
        return {suffix for suffix, file in self._files.items() if not (file.is_open and file.names(self._at(suffix)))}

    @property
    def are_named(self) -> bool:
        """Whether all these files are at their paths, even if our descriptors are closed (`os.closerange`). Raises
        OSError."""
        return all(file.is_at(self._at(suffix)) for suffix, file in self._files.items())

    def unlock(self) -> None:
        """Unlock, for an orderly close: the last program to close writes the log into the database and removes it."""
        for file in self._files.values():
            file.unlock()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
