"""Room on the disk that is kept back for delivering.

Idea. The spool fills the disk that the database is on. Once it is full, no claim and no delivery could be recorded any
more, so nothing would be sent, so nothing would ever be freed: the outbox would be stuck by its own contents. So a
part of the disk is held by a file that has no other use than to be given back in that moment.

Rules.
- While the reserve is given back nothing is accepted: what is left of the disk belongs to what was accepted before.
- It is taken again only when as much again would stay free, or a flood of acceptances would take it from the
  deliveries that it was given back for.

What goes wrong. Another program may fill the room that was given back; then the operator has to make some.
"""

import contextlib
import os
from pathlib import Path

from iris_communication.runtime.safe_files import open_private

RESERVE_BYTES = 1024 * 1024  # several commits of a whole group each
RESERVE_MIN_BYTES = 64 * 1024  # less would not hold one commit
DISK_SHARE = 4  # of a disk that is small, not more than this part of what is free


class Reserve:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"
        self._folder = folder
        self._size_bytes = _size_bytes(self._path)
        self.held = self._size_bytes > 0 or self._take_at_first()

    def _take_at_first(self) -> bool:
        self.held = self._hold(min(RESERVE_BYTES, (self.free_bytes() or 0) // DISK_SHARE))
        return self.held

    def take(self) -> bool:
        """Whether it is held, again if need be."""
        if self.held:
            return True
        if self._size_bytes == 0:
            return self._take_at_first()
        self.held = (self.free_bytes() or 0) >= 2 * self._size_bytes and self._hold(self._size_bytes)
        return self.held

    def give_back(self) -> bool:
        """Whether there was anything to give back."""
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
        self._size_bytes = size_bytes
        return True

    def free_bytes(self) -> int | None:
        """Of its disk; None where that does not tell."""
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
