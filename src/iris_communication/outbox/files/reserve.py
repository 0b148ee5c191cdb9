"""Disk space held back for deliveries.

Idea. The spool fills the disk that the database is on. On a full disk no claim and no delivery could be recorded, so
nothing would be sent and nothing freed: the outbox would be stuck by its own contents. So a file holds a part of the
disk, and its only use is to be given back in that moment.

Rules.
- While the reserve is given back nothing is accepted: the rest of the disk is for what was accepted before.
- The reserve is taken again only when as much again would stay free. Otherwise a flood of acceptances would take the
  space from the deliveries that it was given back for.

What goes wrong. Another program may fill the room that was given back; then the operator has to make some.
"""

import contextlib
import os
from pathlib import Path

from iris_communication.runtime.safe_files import open_private

RESERVE_BYTES = 1024 * 1024  # several commits of a whole group each
RESERVE_MIN_BYTES = 64 * 1024  # less would not hold one commit
DISK_SHARE = 4  # on a small disk at most this part (a quarter) of the free space


class Reserve:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"
        self._folder = folder
        self.size_bytes = _size_bytes(self._path)
        self.held = self.size_bytes > 0 or self._take_at_first()

    def _take_at_first(self) -> bool:
        self.held = self._hold(min(RESERVE_BYTES, (self.free_bytes() or 0) // DISK_SHARE))
        return self.held

    def take(self) -> bool:
        """Hold it, if it is not held yet; whether it is held now."""
        if self.held:
            return True
        if self.size_bytes == 0:
            return self._take_at_first()
        self.held = (self.free_bytes() or 0) >= 2 * self.size_bytes and self._hold(self.size_bytes)
        return self.held

    def give_back(self) -> bool:
        """Free the space for deliveries; whether there was any to give back."""
        if not self.held:
            return False
        self.held = False
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
        return True

    def _hold(self, size_bytes: int) -> bool:
        if size_bytes < RESERVE_MIN_BYTES:
            return False
        try:
            descriptor = open_private(self._path, os.O_WRONLY)
            try:
                os.posix_fallocate(descriptor, 0, size_bytes)
            except OSError:
                os.ftruncate(descriptor, 0)
                raise
            finally:
                os.close(descriptor)
        except OSError:
            return False
        self.size_bytes = size_bytes
        return True

    def free_bytes(self) -> int | None:
        """Free space of its disk; None where the system does not report it."""
        try:
            facts = os.statvfs(self._folder)
        except OSError:
            return None
        return facts.f_bavail * facts.f_frsize


def _size_bytes(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
