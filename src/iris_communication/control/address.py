"""The address of the control socket: a Unix socket in the outbox's folder.

A socket's address holds 107 bytes, and a folder's path may be longer. So the folder is opened, and the socket is
named through the descriptor: as short as that, however deep the folder lies.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SOCKET_NAME = "control.sock"
_DESCRIPTORS = "/proc/self/fd"


@contextlib.contextmanager
def short_name(folder: Path) -> Iterator[str]:
    """A name of the folder that fits into a socket's address, good within the block. Raises OSError."""
    if not os.path.isdir(_DESCRIPTORS):  # not Linux: the system refuses a path that is too long
        yield os.fspath(folder)
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}"
    finally:
        os.close(descriptor)
