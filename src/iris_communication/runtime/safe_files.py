"""Files opened, written and named so that neither another user's link nor a power cut changes what is in them.

A user who may write into a folder can put a link there between a check and an open, and a path that is followed then
leads wherever that user wants, with our rights: so links are not followed. Nor does opening wait: a named pipe would
block it for ever. A file's name is durable once its folder is synced.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

StrPath: TypeAlias = "str | os.PathLike[str]"

FILE_MODE = 0o600  # of what is its owner's alone
# A hard link to another disk, or on a file system without them; the file is not ours, or has too many links.
CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_FOLLOW = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_no_follow(path: StrPath, flags: int, *, inside: int | None = None) -> int:
    """A descriptor of what is at `path`, or at that name in the folder that is open as `inside`. Raises OSError, also
    for a link."""
    return os.open(path, flags | _NO_FOLLOW, FILE_MODE, dir_fd=inside)


def open_private(path: StrPath, flags: int) -> int:
    """A descriptor of a file that is its owner's alone whatever the umask, made if need be. Raises OSError, also for a
    link."""
    descriptor = open_no_follow(path, flags | os.O_CREAT)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != FILE_MODE:
            os.fchmod(descriptor, FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_folder(path: StrPath) -> int:
    """A descriptor of the folder that the path leads to. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


@contextlib.contextmanager
def opened_folder(path: StrPath) -> Iterator[int]:
    """The same, within the block."""
    descriptor = open_folder(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder(path: StrPath) -> None:
    """The names in it are durable on return. Raises OSError."""
    with opened_folder(path) as folder:
        os.fsync(folder)


def replace(path: Path, content: bytes) -> None:
    """Write a file anew, its owner's alone: a reader sees the old content or the new one, also after a power cut. The
    caller ensures that nobody else replaces it meanwhile. Raises OSError; then, too, the file is whole."""
    temporary = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of a crash, with any mode; or a link, which is not written through
    try:
        descriptor = open_private(temporary, os.O_WRONLY | os.O_EXCL)
        try:
            left = memoryview(content)
            while left:  # a disk that is nearly full takes a part and says so
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)
