"""One process owns an outbox, shown by a lock that the kernel drops when the process ends, however it ends.

The lock is on our open file description of `owner.lock` and not on the process, so that nothing else the process does
drops it (see `file_lock`). The file says who holds it, for the error message in another process, and how many items
were accepted at the last orderly end. The committer confirms ownership before each commit: somebody may have removed or
replaced the file, and then a second process can lock it.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxInUse
from iris_communication.outbox.files import private
from iris_communication.outbox.files.file_lock import FileLock, is_locked
from iris_communication.runtime.safe_files import open_no_follow, open_private
from iris_communication.runtime.system_trouble import storage_trouble

log = logging.getLogger(__name__)

LOCK_NAME = "owner.lock"
FACTS_BYTES = 128
TRIES = 5  # to lock the file at the path, while another process keeps replacing it


class Owner:
    """Raises OutboxInUse, naming process and start time, when another process holds the outbox; OutboxStorageError,
    also for a folder that belongs to another user or that others may write into."""

    def __init__(self, folder: Path, now_s: float) -> None:
        self._folder = folder
        self._path = folder / LOCK_NAME
        self._facts = {"pid": os.getpid(), "since_s": now_s}
        with self._errors():
            private.check_folder(folder)
            self._lock, before = self._taken()
            self.last_sequence = _number(before.get("sequence"))  # at its last release
            try:
                self.found_open = private.close_to_others(folder)  # what others could read, with its mode
                self._write(held=True)
            except BaseException:
                self._lock.close()
                raise
            self.found_facts = bool(before)  # False: the number of items before is unknown
            self.found_in_order = not before.get("held")  # the process before released it, or there was none

    def release(self, last_sequence: int | None = None) -> None:
        """`last_sequence`: of all items so far, so that the next start notices an older database."""
        self.last_sequence = self.last_sequence if last_sequence is None else last_sequence
        with contextlib.suppress(OSError):  # then the next owner treats this process as killed
            if self._lock.is_open:
                self._write(held=False)
        self._lock.close()

    def confirm(self) -> bool:
        """Whether this process had the outbox all the time. False: another process had it meanwhile, and it is ours
        again. Raises OutboxInUse where another process has it now; OutboxStorageError."""
        with self._errors():
            if self._lock.is_open and self._lock.names(self._path):
                with contextlib.suppress(BlockingIOError):
                    self._lock.take_all()
                    return True
            return self._take_again()

    def _take_again(self) -> bool:
        lock, found = self._taken()
        self._lock.close()
        self._lock = lock
        self._write(held=True)
        between = bool(found) and any(found.get(name) != fact for name, fact in self._facts.items())
        log.warning(
            "%s was removed or replaced while this process had it locked%s; it is locked again",
            self._path,
            f", and process {found.get('pid')} had the outbox meanwhile" if between else "",
        )
        return not between

    def _taken(self) -> tuple[FileLock, dict[str, Any]]:
        """The lock on the file at the path, and what its last holder wrote there."""
        for _ in range(TRIES):
            lock = FileLock(open_private(self._path, os.O_RDWR))
            try:
                self._take(lock)
                if lock.names(self._path):
                    return lock, _read(lock.descriptor)
            except BaseException:
                lock.close()
                raise
            lock.close()
        raise OutboxInUse(f"{self._path} keeps being replaced")

    def _take(self, lock: FileLock) -> None:
        try:
            lock.take_all()
        except BlockingIOError as error:
            raise OutboxInUse(f"the outbox {self._folder} is in use by {_holder(lock)}") from error

    def _write(self, *, held: bool) -> None:
        # Always the same length, written over the old content: that needs no room on a full disk.
        facts = json.dumps({**self._facts, "sequence": self.last_sequence, "held": held}).ljust(FACTS_BYTES)
        os.pwrite(self._lock.descriptor, facts.encode(), 0)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_trouble(f"cannot lock {self._path}", error) from error


def holder_of(folder: Path) -> str | None:
    """Who has the outbox now, as text, for a command that is not its owner; None: no process, as far as this user can
    see."""
    try:
        descriptor = open_no_follow(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _description_of(descriptor) if is_locked(descriptor) else None
    finally:
        os.close(descriptor)


def _holder(lock: FileLock) -> str:
    return "another uploader of this process" if lock.is_second else _description_of(lock.descriptor)


def _description_of(descriptor: int) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
        facts = _read(descriptor)
        since = datetime.fromtimestamp(facts["since_s"], UTC)
        return f"process {int(facts['pid'])}, since {since:%Y-%m-%d %H:%M:%S} UTC"
    return "another process"


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _read(descriptor: int) -> dict[str, Any]:
    """Who holds the lock or held it last; empty where the file does not say. Raises OSError: a file that cannot be read
    now may say that the process before did not end in good order."""
    try:
        facts = json.loads(os.pread(descriptor, FACTS_BYTES, 0))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
