"""How long the log of the outbox's database is, and which other programs keep it so.

A program that reads the database keeps the state it began with (a snapshot): a backup, a shell, a list that waits in a
pager. Until it has ended, nothing that was committed since can move from the log into the database, and the log grows.
Iris does not end other people's programs and goes on committing; it says who it is. SQLite has a reader lock one of
five bytes of the shared-memory file, and Linux lists all locks.

What goes wrong: a reader outside of a container is not in the container's list. Then nobody is named.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from iris_communication.outbox.store.sqlite import DATABASE, LOG
from iris_communication.plain_text import of_bytes

LONG_BYTES = 64 * 1024 * 1024  # while nobody keeps a snapshot, the log is a few of its commits long
READER_BYTES = range(123, 128)  # where readers lock: https://sqlite.org/walformat.html, "WAL locks"
LOCKS = Path("/proc/locks")
NAME_MAX = 40  # a program may name itself as it likes


def log_details(folder: Path) -> dict[str, Any]:
    """`log_bytes` (0 while the outbox is closed) and `log_readers`: the other programs that read the database just now,
    as `sqlite3 (process 4711)`; None while the log is not long."""
    try:
        log_bytes = (folder / LOG).stat().st_size
    except OSError:
        log_bytes = 0
    return {"log_bytes": log_bytes, "log_readers": _readers(folder) if log_bytes > LONG_BYTES else None}


def _readers(folder: Path) -> list[str]:
    try:
        inode = (folder / f"{DATABASE}-shm").stat().st_ino
        locks = LOCKS.read_text()
    except OSError:
        return []
    found = {int(lock[4]) for line in locks.splitlines() if _is_readers(lock := line.split(), inode)}
    return [f"{_name(process)} (process {process})" for process in sorted(found - {os.getpid()})]


def _is_readers(lock: list[str], inode: int) -> bool:
    """`1: POSIX ADVISORY READ 4711 08:01:131 124 124`; one that waits for another has an arrow in front."""
    if "->" in lock or len(lock) != 8 or lock[3] != "READ" or lock[5].rpartition(":")[2] != str(inode):
        return False
    return int(lock[6]) in READER_BYTES


def _name(process: int) -> str:
    with contextlib.suppress(OSError):
        return of_bytes(Path(f"/proc/{process}/comm").read_bytes().strip(), NAME_MAX)
    return "a program"
