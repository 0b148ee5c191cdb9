"""A look at one file: what it is, and whether somebody writes to it.

The kernel grants a read lease only on a file that nobody has open for writing, in whatever process, which answers the
question without a guess. It is given back at once; a writer who opens the file in that moment waits for it, some
milliseconds at most. Leases are for a file's owner or root, and for file systems of this machine: elsewhere nobody can
say, and quiet and events have to do.
"""

import errno
import fcntl
import os
import signal
import stat

from iris_camera.watch.completion import Look, Version

_F_SETSIG = 10  # linux/fcntl.h; the module fcntl has no name for it
_STORED_BITS = 2**63 - 1  # a few network disks use all 64 bits, which SQLite's integers have not
_UNKNOWN = {errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def version_of(facts: os.stat_result) -> Version:
    return Version(facts.st_ino & _STORED_BITS, facts.st_size, facts.st_mtime_ns)


def look_at(path: str, *, leases: bool) -> Look | None:
    """None for what is gone or no regular file. Without `leases` nobody is asked who writes. Raises OSError where
    reading it is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):  # no file, a link, a socket
            return None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return None
        is_open = _is_open_for_writing(descriptor) if leases else None
        # Once more: what was written before the lease was asked for belongs to the version that is judged.
        return Look(version_of(os.fstat(descriptor)), is_open)
    finally:
        os.close(descriptor)


def _is_open_for_writing(descriptor: int) -> bool | None:
    try:
        # A writer who comes now has the kernel send us a signal, by default one that ends the process.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        if error.errno in _UNKNOWN:
            return None
        raise
    return False
