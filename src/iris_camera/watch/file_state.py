"""A look at one file: what it is, and whether a process has it open for writing.

The kernel grants a read lease only on a file that no process has open for writing, which answers the question without a
guess. The lease is given back at once; a process that opens the file in that moment waits some milliseconds at most.
Leases are for a file's owner or root, and for local file systems: elsewhere the answer is unknown, and quiet and events
decide.
"""

import contextlib
import errno
import fcntl
import os
import signal
import stat

from iris_camera.watch.completion import FileState, Version
from iris_camera.watch.opening import identity_of, opened_file

_F_SETSIG = 10  # linux/fcntl.h; the module fcntl has no name for it
_STORED_BITS = 2**63 - 1  # a few network disks use all 64 bits, which SQLite's integers have not
_UNKNOWN = {errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def version_of(facts: os.stat_result) -> Version:
    return Version(facts.st_ino & _STORED_BITS, facts.st_size, facts.st_mtime_ns)


def state_of(path: str, *, leases: bool, root: str = "") -> FileState | None:
    """None for a file that is gone, or is no regular file; below `root` also for a link, and behind one. Without
    `leases`, `is_open` is None. Raises OSError where reading it is refused."""
    folder, name = (root, path) if root else os.path.split(path)
    with contextlib.ExitStack() as opened:
        try:
            descriptor = opened.enter_context(opened_file(folder or ".", name))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):  # no file, a link, a socket
                return None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        is_open = _is_open_for_writing(descriptor) if leases else None
        # Only now: what was written before the lease was asked for belongs to the version that is decided on.
        facts = os.fstat(descriptor)
        return FileState(version_of(facts), is_open, identity_of(facts))


def _is_open_for_writing(descriptor: int) -> bool | None:
    try:
        # If a writer opens the file now, the kernel sends us a signal, by default one that ends the process.
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
