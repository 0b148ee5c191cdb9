"""Who is to blame when the system refuses to open or read something: the file, or our process or machine.

Few errors are the file's own: it is missing, we have no permission, it is no file. Every other error (descriptors used
up, memory short, a disk or a mount that fails, an interruption) says nothing about the file, which may be sound and is
offered again later.
"""

import errno
import os

from iris_communication.errors import LinkError, OutboxStorageError

_OF_THE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EISDIR,
        errno.ENXIO,  # a socket, or a device without a driver
        errno.EINVAL,  # pseudo-files of the kernel cannot always be read
        errno.ESRCH,
        errno.EOPNOTSUPP,
    }
)
_HINTS = {
    errno.EMFILE: "this process has as many files open as it may: raise its limit (ulimit -n, LimitNOFILE=)",
    errno.ENFILE: "this machine has as many files open as it may: raise fs.file-max, or end what holds them",
    errno.ENOMEM: "memory is short on this machine: end what takes it, or give this process more",
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "raise the user's quota on that disk, or free space",
    errno.EROFS: "mount that disk for writing",
}
_HINTS[errno.ENOBUFS] = _HINTS[errno.ENOMEM]
_OTHER_HINT = "look at the disk or mount it lies on; dmesg has more"


class SystemTrouble(OutboxStorageError):
    """This process or its machine cannot open or read something for now; no file is to blame, and nothing was accepted
    by this call."""


def is_the_files_own(error: OSError) -> bool:
    return error.errno in _OF_THE_FILE


def hint_of(error: BaseException) -> str | None:
    """What to do about a trouble of this machine; None: it is the file's, or has no hint of its own."""
    if not isinstance(error, OSError) or is_the_files_own(error):
        return None
    return _HINTS.get(error.errno or 0)


def storage_trouble(what: str, error: OSError) -> OutboxStorageError:
    """The error for a refusal by the outbox's folder or a file in it: which one, and what to do about it."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    where = f"{name}: " if name and name not in what else ""
    return OutboxStorageError(f"{what}: {where}{error.strerror or error}", hint=hint_of(error))


def link_trouble(what: str, error: BaseException | None) -> LinkError | None:
    """The error for a file that a connection needs and cannot read now: retried later. None: the file is to blame."""
    if not isinstance(error, OSError) or is_the_files_own(error):
        return None
    return LinkError(f"{what}: {error.strerror or error}", hint=hint_of(error) or _OTHER_HINT)


def trouble(what: str, error: OSError) -> SystemTrouble:
    """`what` says what cannot be done because of `error`."""
    return SystemTrouble(f"{what}: {error.strerror}", hint=_HINTS.get(error.errno or 0, _OTHER_HINT))
