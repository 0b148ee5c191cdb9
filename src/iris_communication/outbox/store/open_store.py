"""Opens the store of an outbox: the one place that picks which kind of store it is."""

from pathlib import Path

from iris_communication.clock import Clock
from iris_communication.errors import OutboxDamaged
from iris_communication.outbox.files.spool import spooled_files
from iris_communication.outbox.store.sqlite import DATABASE, LOG, SqliteStore


def open_store(folder: Path, clock: Clock) -> SqliteStore:
    """Raises OutboxDamaged also where the database is gone, and its log or files in the spool are not."""
    path = folder / DATABASE
    if not _size_bytes(path) and (_size_bytes(folder / LOG) or spooled_files(folder)):
        raise OutboxDamaged(f"the outbox database {path} is gone, but what was accepted lies in {folder / 'spool'}")
    return SqliteStore(path, clock.boot_id, clock.boot_s(), clock.wall_s())


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
