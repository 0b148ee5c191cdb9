"""Locks on a file that nothing else in this process can take away.

Idea. A record lock (`lockf`, F_SETLK) belongs to the process. The kernel drops it as soon as any code in the process
closes any descriptor of the file: a backup that copies the folder is enough. A lock of an open file description
(F_OFD_SETLK) is dropped only when that description is closed, and still excludes record locks of other programs.

What goes wrong. Some kernels and file systems know no such lock: then the whole file is locked with `flock`, and a part
of a file is not locked. A forked child shares our file description and would hold the lock after us: the child closes
it at once.
"""

import contextlib
import errno
import fcntl
import os
import struct

_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_opened: "dict[int, FileLock]" = {}  # by descriptor: the locks of this process


class FileLock:
    """A lock on the file that is open as `descriptor`; the lock owns the descriptor from now on. Methods raise OSError,
    and BlockingIOError where another lock excludes this one."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        facts = os.fstat(descriptor)
        self.mark = (facts.st_dev, facts.st_ino)
        _opened[descriptor] = self

    def take_all(self) -> None:
        """Lock the whole file exclusively. Harmless when it is held already: success shows that it still is."""
        if not self._set(fcntl.F_WRLCK, 0, 0):
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def share(self, start: int, size_bytes: int) -> bool:
        """Take a shared lock on a part of the file, so that no other program can lock it exclusively; False where such
        locks are unknown."""
        return self._set(fcntl.F_RDLCK, start, size_bytes)

    def unlock(self) -> None:
        """Unlock and stay open: closing would drop the record locks that this process has on the file."""
        with contextlib.suppress(OSError):
            if self.is_open:
                self._set(fcntl.F_UNLCK, 0, 0)

    @property
    def is_open(self) -> bool:
        """Whether the descriptor is still open on our file: after a `closerange` it may be closed, or reused."""
        if _opened.get(self.descriptor) is not self:
            return False
        try:
            facts = os.fstat(self.descriptor)
        except OSError:
            return False
        return (facts.st_dev, facts.st_ino) == self.mark

    @property
    def is_second(self) -> bool:
        """Whether this process has another lock on the same file."""
        return any(other.mark == self.mark for other in list(_opened.values()) if other is not self)

    def names(self, path: "str | os.PathLike[str]") -> bool:
        """Whether our file is the one at `path`."""
        try:
            there = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        # Our file's present numbers: some file systems give a file a new inode number once no process has it open.
        return os.path.samestat(there, os.fstat(self.descriptor))

    def is_at(self, path: "str | os.PathLike[str]") -> bool:
        """Whether the file at `path` is ours, even if our descriptor is closed by now."""
        try:
            there = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == self.mark

    def close(self) -> None:
        if self.is_open:
            os.close(self.descriptor)
        if _opened.get(self.descriptor) is self:
            del _opened[self.descriptor]

    def _set(self, kind: int, start: int, size_bytes: int) -> bool:
        asked = struct.pack("hhqqi0q", kind, os.SEEK_SET, start, size_bytes, 0)  # struct flock
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, asked)
        except OSError as error:
            if error.errno in _UNKNOWN:
                return False
            raise
        return True


def is_locked(descriptor: int) -> bool:
    """Whether any process has the whole file locked, without taking a lock; False where such locks are unknown."""
    asked = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    except OSError:
        return False
    (kind,) = struct.unpack_from("h", found)
    return bool(kind != fcntl.F_UNLCK)


def _close_in_child() -> None:
    for lock in list(_opened.values()):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
