"""Writes a database anew under its name when its files lost their names while it was open.

What was committed lies in files without a name, and would be gone with this process. The open connection still reads
all of it, so it is copied whole. Files that lie under the names now are not ours: they are kept in the quarantine.

Order, each step harmless when it is repeated: copy, synced -> decision, by a rename -> log, index and foreign files
moved away or removed -> the copy takes the name. A log that kept its name holds commits that callers were answered for,
so no log is removed before the decision. If the process is killed after the decision, the next start carries it out
(`Salvage.finish`).
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from iris_communication.outbox.files.quarantine import Quarantine
from iris_communication.runtime.safe_files import open_private, sync_folder

DECIDED = "salvaged-"  # prefix of a database that is to take the place of `outbox.db`


def put_back(connection: sqlite3.Connection, path: Path, lost: set[str]) -> None:
    """`lost`: the suffixes of the files that lost their names. Raises OSError, sqlite3.Error; then as much can be found
    under the names as before."""
    copy = path.with_name("put-back.db")
    with contextlib.suppress(FileNotFoundError):
        copy.unlink()
    descriptor = open_private(copy, os.O_WRONLY | os.O_EXCL)
    try:
        with contextlib.closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
        os.fsync(descriptor)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    decided = path.with_name(f"{DECIDED}put-back.db")
    os.rename(copy, decided)
    sync_folder(path.parent)
    _clear_away(path, lost)
    sync_folder(path.parent)
    os.rename(decided, path)
    sync_folder(path.parent)


def _clear_away(path: Path, lost: set[str]) -> None:
    quarantine = Quarantine(path.parent)
    for suffix in ("-shm", "-wal", ""):
        there = path.with_name(f"{path.name}{suffix}")
        if not os.path.lexists(there):
            continue
        if suffix != "-shm" and suffix in lost and there.stat().st_size:
            quarantine.move(there)
        elif suffix:
            there.unlink()
