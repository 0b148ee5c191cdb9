"""Looking at what lies on the server, and saying why it refused: the small steps that uploads are made of.

To see whether a name holds the same bytes, they are read back. Where that is forbidden it counts as something else: a
file that arrives twice is better than one that is lost.
"""

import hashlib
import posixpath
import stat
from collections.abc import Sequence
from enum import Enum

from iris_communication.errors import IrisError, RemoteDiskFull
from iris_communication.runtime.amounts import size
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Answer, Talk
from iris_communication.sftp.conversations.upload import Quirks, SftpUpload
from iris_communication.sftp.status import StatusError, blame
from iris_communication.sftp.wire import (
    CREATE,
    EXCLUSIVE,
    FX_FAILURE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
    READ,
    WRITE,
)

READ_SIZE = 32 * 1024  # every server answers this in one DATA packet
READS_AT_ONCE = 16
MAY_NOT_LOOK = (FX_PERMISSION_DENIED, FX_OP_UNSUPPORTED)  # to a STAT: they say nothing of what is there
READ_ONLY = 0x1  # statvfs@openssh.com, f_flag: SSH_FXE_STATVFS_ST_RDONLY
_NOBODYS = b".iris-is-there-nothing"


def remove(path: bytes) -> Talk:
    """True: it was there and is gone. False: there was none, or it stays, which does no harm."""
    (answer,) = yield (wire.Remove(path),)
    return not isinstance(answer, StatusError)


def exists(path: bytes) -> Talk:
    (answer,) = yield (wire.Stat(path),)
    return not isinstance(answer, StatusError)


def is_missing(path: bytes) -> Talk:
    """Whether the server says for certain that nothing is there."""
    (answer,) = yield (wire.Stat(path),)
    return (yield from means_missing(answer, path))


def means_missing(answer: Answer, path: bytes) -> Talk:
    """Whether `answer`, to a STAT of `path`, says for certain that nothing is there.

    Where a server says FAILURE, or what SFTP version 3 does not know, it is asked for a name that nobody has: if it
    says the same of that, this is its answer for whatever is missing, unless it forbids STAT altogether."""
    if not isinstance(answer, StatusError) or answer.says_missing:
        return isinstance(answer, StatusError)
    if answer.code in MAY_NOT_LOOK:
        return False
    nothing, something = yield wire.Stat(posixpath.join(posixpath.dirname(path), _NOBODYS)), wire.Stat(b".")
    same = isinstance(nothing, StatusError) and nothing.code == answer.code
    return same and isinstance(something, wire.Attributes)


def was_missing(removed: Answer, path: bytes) -> Talk:
    """Whether a REMOVE or RENAME of `path` was refused because it is not there."""
    if not isinstance(removed, StatusError) or removed.says_missing:
        return isinstance(removed, StatusError)
    return removed.code not in MAY_NOT_LOOK and (yield from is_missing(path))


def is_file(path: bytes) -> Talk:
    """Whether something is there that is no folder, as far as the server says."""
    (found,) = yield (wire.Stat(path),)
    return isinstance(found, wire.Attributes) and _may_be_a_file(found)


def new_file_flags(quirks: Quirks) -> int:
    return WRITE | CREATE if quirks.refuses_exclusive else WRITE | CREATE | EXCLUSIVE


def open_created(path: bytes, quirks: Quirks) -> Talk:
    """The answer to an OPEN of a new file: handle or refusal."""
    (opened,) = yield (wire.Open(path, new_file_flags(quirks)),)
    return (yield from without_exclusive(path, quirks, opened))


def without_exclusive(path: bytes, quirks: Quirks, opened: Answer) -> Talk:
    """`opened`, or the answer to a second OPEN without EXCL, where the server may have refused that flag: nothing is
    there that could be the reason."""
    if not isinstance(opened, StatusError) or quirks.refuses_exclusive or not _may_not_know_exclusive(opened):
        return opened
    if not (yield from is_missing(path)):
        return opened
    (again,) = yield (wire.Open(path, WRITE | CREATE),)
    if isinstance(again, StatusError):
        return opened
    quirks.refuses_exclusive = True
    return again


def _may_not_know_exclusive(refused: StatusError) -> bool:
    known = refused.says_missing or refused.says_disk_full or isinstance(refused.__cause__, IrisError)
    return not known and refused.code != FX_PERMISSION_DENIED


def holds(path: bytes, size_bytes: int, sha256: str) -> Talk:
    """Whether `path` is a file with exactly these bytes: size first, then its content read back."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, wire.Attributes) or found.size_bytes != size_bytes or not _may_be_a_file(found):
        return False
    return not size_bytes or (yield from _sha256(path, size_bytes)) == sha256


class Found(Enum):
    THERE = "there"
    GONE = "gone"
    CHANGED = "changed"
    UNKNOWN = "unknown"  # the server does not say


def compare(path: bytes, size_bytes: int, sha256: str | None) -> Talk:
    """What has become of a file: (Found, the server's text where it is UNKNOWN). With `sha256` it is read back."""
    (found,) = yield (wire.Stat(path),)
    if isinstance(found, StatusError):
        return (Found.GONE, "") if (yield from means_missing(found, path)) else (Found.UNKNOWN, str(found))
    if not isinstance(found, wire.Attributes) or found.size_bytes is None:
        return Found.UNKNOWN, "the server reports no size"
    if found.size_bytes != size_bytes or not _may_be_a_file(found):
        return Found.CHANGED, ""
    if sha256 is None or not size_bytes:
        return Found.THERE, ""
    read = yield from _sha256(path, size_bytes)
    if read is None:
        return Found.UNKNOWN, "it cannot be read back"
    return (Found.THERE if read == sha256 else Found.CHANGED), ""


def discard(upload: SftpUpload) -> Talk:
    """Remove this attempt's own temp file."""
    if (yield from remove(upload.temp_path)):
        upload.opened = False


def reason(
    refused: StatusError,
    doing: str,
    upload: SftpUpload,
    capabilities: Capabilities,
    path: bytes | None = None,
    *,
    needed_bytes: int | None = None,
) -> Talk:
    """The error to raise. OpenSSH says no more than "Failure" when its disk is full of bytes or of files, or mounted
    read-only, so ask before blaming the file. `path`: the name that was refused, where it is not the final one;
    `needed_bytes`: by default the size of the file."""
    if isinstance(refused.__cause__, IrisError):  # it was the source that could not be read
        return refused.__cause__
    if refused.code == FX_FAILURE and not refused.says_disk_full and capabilities.tells_free_space:
        folder = posixpath.dirname(upload.temp_path) or b"."
        (reply,) = yield (wire.free_space(folder),)
        if isinstance(reply, wire.ExtendedReply):
            needed_bytes = upload.size_bytes if needed_bytes is None else needed_bytes
            full = _takes_nothing(reply.numbers(11), needed_bytes, folder.decode("utf-8", "backslashreplace"))
            if full is not None:
                return full
    return blame(refused, doing, path or upload.final_path, upload.final_path)


def _takes_nothing(space: Sequence[int], needed_bytes: int, where: str) -> RemoteDiskFull | None:
    """The error by what a server says of the disk behind a folder; None: there is room."""
    _, fragment_bytes, _, _, free_fragments, files, _, free_files, _, flags, _ = space
    if flags & READ_ONLY:
        hint = "remount it for writing on the server; delivery resumes by itself"
        return RemoteDiskFull(f"the server's disk is mounted read-only under {where!r}", hint=hint)
    free_bytes = fragment_bytes * free_fragments
    if free_bytes < max(1, needed_bytes):
        needed = f"{size(free_bytes)} free under {where!r}, {size(needed_bytes)} needed"
        return RemoteDiskFull(f"the server's disk is full: {needed}")
    if free_files == 0 < files:
        hint = "remove files on the server; delivery resumes by itself"
        return RemoteDiskFull(f"the server's disk takes no more files: 0 of {files} left under {where!r}", hint=hint)
    return None


def _may_be_a_file(found: wire.Attributes) -> bool:
    return found.permissions is None or stat.S_IFMT(found.permissions) in (0, stat.S_IFREG)


def _sha256(path: bytes, size_bytes: int) -> Talk:
    """Hex digest of the first `size_bytes`; None when there are fewer, or they may not be read."""
    (opened,) = yield (wire.Open(path, READ),)
    if isinstance(opened, StatusError):
        return None
    handle, digest, read_bytes = opened.handle, hashlib.sha256(), 0
    for start in range(0, size_bytes, READS_AT_ONCE * READ_SIZE):
        end = min(size_bytes, start + READS_AT_ONCE * READ_SIZE)
        answers = yield tuple(wire.Read(handle, at, min(READ_SIZE, end - at)) for at in range(start, end, READ_SIZE))
        for answer in answers:
            if isinstance(answer, wire.Data):
                digest.update(answer.data)
                read_bytes += len(answer.data)
        if read_bytes != end:
            break
    yield (wire.Close(handle),)
    return digest.hexdigest() if read_bytes == size_bytes else None
