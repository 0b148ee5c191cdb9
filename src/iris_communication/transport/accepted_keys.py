"""The file of the keys that were accepted unseen: written whole or not at all, by one process at a time.

Two programs that meet a server at once must not each accept the key they were shown: one of the two may be a
stranger's. So what is known is read, decided on and written under a lock that counts between processes (and between
threads, for each opens the lock's file anew). What is written is on the disk under its final name before a server is
trusted because of it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from iris_communication.runtime import safe_files

NAME = "known_hosts"
LOCK_ENDING = ".lock"
LOCK_WAIT_S = 5.0  # others hold it for a write or two; longer means that one of them hangs
LOCK_LOOK_S = 0.005


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file is ours to read and to replace. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = path.with_name(path.name + LOCK_ENDING)
    descriptor = safe_files.open_no_follow(place, os.O_RDWR | os.O_CREAT)
    try:
        until_s = time.monotonic() + LOCK_WAIT_S
        while not _is_taken(descriptor):
            if time.monotonic() > until_s:
                raise TimeoutError(None, f"another process has locked {place}")
            time.sleep(LOCK_LOOK_S)
        yield
    finally:
        os.close(descriptor)


def add(path: Path, line: str) -> None:
    """To be called under the lock. Raises OSError; then, too, the file is whole."""
    before = path.read_bytes() if path.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    safe_files.replace(path, before + line.encode())


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
