"""One process owns an outbox, shown by a record lock that the kernel drops when the process ends, however it ends.

A record lock belongs to the process, so it does not stop a second uploader within the same one: a set does that. The
file says who holds it, for the message the other one gets.
"""

import contextlib
import fcntl
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxInUse, OutboxStorageError

FACTS_BYTES = 128

_held: set[tuple[int, int]] = set()  # (device, inode) of the lock files this process holds
_held_lock = threading.Lock()


class Owner:
    """Raises OutboxInUse, naming process and start time, when another one holds the outbox; OutboxStorageError."""

    def __init__(self, folder: Path, now_s: float) -> None:
        path = folder / "owner.lock"
        with _held_lock:
            _refuse_if_ours(folder, path)
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    self.found_in_order = self._take(folder, now_s)
                except BaseException:
                    os.close(self._descriptor)
                    raise
            except OSError as error:
                raise OutboxStorageError(f"cannot hold {path}: {error.strerror}") from error
            facts = os.fstat(self._descriptor)
            self._mark = (facts.st_dev, facts.st_ino)
            _held.add(self._mark)

    def release(self) -> None:
        with _held_lock:
            with contextlib.suppress(OSError):  # then the next one takes us for a process that was killed
                self._write(held=False)
            _held.discard(self._mark)
            os.close(self._descriptor)

    def _take(self, folder: Path, now_s: float) -> bool:
        """Whether the process before gave it back, or there was none."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutboxInUse(f"the outbox {folder} is in use by {_holder(self._descriptor)}") from error
        # Always as long, and written over what is there: that needs no room on a disk that is full.
        found_in_order = not _read(self._descriptor).get("held")
        self._facts = {"pid": os.getpid(), "since_s": now_s}
        self._write(held=True)
        return found_in_order

    def _write(self, *, held: bool) -> None:
        os.pwrite(self._descriptor, json.dumps({**self._facts, "held": held}).ljust(FACTS_BYTES).encode(), 0)


def _refuse_if_ours(folder: Path, path: Path) -> None:
    """Asked before the file is opened: closing any descriptor of it would drop the lock this process holds."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)
        if (facts.st_dev, facts.st_ino) in _held:
            raise OutboxInUse(f"the outbox {folder} is in use by another uploader of this process")


def _holder(descriptor: int) -> str:
    try:
        facts = _read(descriptor)
        since = datetime.fromtimestamp(facts["since_s"], UTC)
        return f"process {int(facts['pid'])}, since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, KeyError, TypeError, OverflowError):
        return "another process"


def _read(descriptor: int) -> dict[str, Any]:
    """Who holds it or held it last; empty where that cannot be read."""
    try:
        facts = json.loads(os.pread(descriptor, FACTS_BYTES, 0))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
