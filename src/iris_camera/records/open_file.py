"""A file that is being written is locked, so that a second process that clears up by mistake leaves it alone. The lock
dies with the process, however it dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def open_locked(path: Path, flags: int) -> int:
    """A descriptor of `path`, opened with `flags`. Raises OSError; not for the lock, which some network file systems
    do not know."""
    descriptor = os.open(path, flags, 0o666)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor
