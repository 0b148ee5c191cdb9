"""Reading a file from an untrusted program: only a regular one, at most so many bytes, and without ever blocking."""

import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoRegularFile(Exception):
    """The file is not regular; the text says what it is."""


def about_regular(path: Path) -> os.stat_result:
    """Raises OSError, and NoRegularFile."""
    return _checked(path.stat())


def read_regular(path: Path, bytes_max: int) -> bytes:
    """Its bytes, one more than `bytes_max` when it has more. Raises OSError, and NoRegularFile."""
    about_regular(path)  # before it is opened: opening alone affects a device, or the writer of a FIFO
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        _checked(os.fstat(descriptor))
        return file.read(bytes_max + 1)


def _checked(about: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(about.st_mode):
        raise NoRegularFile(f"it is {_KINDS.get(stat.S_IFMT(about.st_mode), 'no regular file')}")
    return about
