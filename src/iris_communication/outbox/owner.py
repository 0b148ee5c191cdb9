"""One process owns an outbox, shown by a record lock that the kernel drops when the process ends, however it ends.

A record lock belongs to the process, so it does not stop a second uploader within the same one: a set does that. The
file says who holds it, for the message the other one gets.
"""

import fcntl
import json
import os
import threading
from pathlib import Path

from iris_communication.errors import OutboxInUse, OutboxStorageError

_held: set[tuple[int, int]] = set()  # (device, inode) of the lock files this process holds
_held_lock = threading.Lock()


class Owner:
    """Raises OutboxInUse, naming process and start time, when another one holds the outbox."""

    def __init__(self, folder: Path, now_s: float) -> None:
        path = folder / "owner.lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxStorageError(f"cannot open {path}: {error.strerror}") from error
        facts = os.fstat(self._descriptor)
        self._mark = (facts.st_dev, facts.st_ino)
        with _held_lock:
            if self._mark in _held:
                # The descriptor stays open: closing any descriptor of the file would drop the lock of the first.
                raise OutboxInUse(f"the outbox {folder} is in use by another uploader of this process")
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(self._descriptor)
                os.close(self._descriptor)
                raise OutboxInUse(f"the outbox {folder} is in use by {holder}") from error
            _held.add(self._mark)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "since_s": now_s}).encode(), 0)

    def release(self) -> None:
        with _held_lock:
            _held.discard(self._mark)
            os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    try:
        facts = json.loads(os.pread(descriptor, 200, 0))
        return f"process {int(facts['pid'])}, started at {float(facts['since_s']):.0f} (Unix time)"
    except (ValueError, KeyError, TypeError):
        return "another process"
