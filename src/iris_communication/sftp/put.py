"""One upload as a conversation: temp name, bytes, close, rename; and the look back after a lost answer.

Rules.
- A file is written under a name nobody can guess and appears under its final name only by a rename, after the server
  has acknowledged every WRITE and the CLOSE. So a reader never sees a part of it.
- A final name that holds something else is not overwritten: the file then takes an alternative name that is derived
  from its content, so that a repeated attempt arrives at the same name. A final name that holds the same bytes is
  a delivery whose answer was lost (or the same file queued twice), and counts as delivered.
- After an attempt of unknown outcome the server is asked before anything is sent again. Its temp name decides: nobody
  else knows it, so whoever finds it gone knows that a rename of ours took it.

What goes wrong. A dead session may go on on the server's side: its late rename then competes with ours for the same
temp file and one of the two finds it gone, which is the look back again; its late writes touch only its own handle.
A late OPEN leaves an empty temp file behind, never a visible one.
"""

import hashlib
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass

from iris_communication.errors import (
    Effect,
    IrisError,
    LinkError,
    ProtocolViolation,
    RemoteDiskFull,
    RemoteNameTaken,
    SourceChanged,
)
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.session import Talk
from iris_communication.sftp.status import StatusError, blame
from iris_communication.sftp.wire import CREATE, EXCLUSIVE, FX_EOF, FX_NO_SUCH_FILE, READ, WRITE

READ_SIZE = 32 * 1024  # every server answers this in one DATA packet
READS_AT_ONCE = 16


@dataclass(slots=True)
class Upload:
    final_path: bytes
    temp_path: bytes
    size_bytes: int
    sha256: str
    confirm_source: Callable[[], None]  # raises SourceChanged when the bytes sent are not those accepted
    finished: bool = False  # an earlier attempt had every byte acknowledged under temp_path and sent its rename
    earlier_temp: bytes | None = None  # an earlier attempt may have written here, and got nobody knows how far
    opened: bool = False  # set as it happens: the temp file may exist from here on
    rename_sent: bool = False  # set as it happens: the final name may exist from here on

    @property
    def alternative_path(self) -> bytes:
        """`report.csv` -> `report.1f2e3d4c.csv`: where it goes when the final name holds something else."""
        folder, name = posixpath.split(self.final_path)
        stem, extension = posixpath.splitext(name)
        mark = b"." + self.sha256[:8].encode("ascii")
        return posixpath.join(folder, stem[: 255 - len(mark) - len(extension)] + mark + extension)

    @property
    def effect(self) -> Effect:
        """What an attempt that is cut off now may leave behind."""
        if self.rename_sent or self.finished:
            return Effect.UNKNOWN
        return Effect.UNSEEN if self.opened or self.earlier_temp is not None else Effect.NONE


def put(upload: Upload, capabilities: Capabilities) -> Talk:
    """Returns the path under which the file lies now, as bytes. Raises IrisError; its `effect` says whether the file
    may have arrived all the same."""
    try:
        if upload.finished:
            return (yield from _publish(upload, capabilities))
        if upload.earlier_temp is not None:
            landed = yield from _look_back(upload, upload.earlier_temp)
            if landed is not None:
                return landed
        yield from _send(upload, capabilities)
        return (yield from _publish(upload, capabilities))
    except (LinkError, ProtocolViolation) as error:
        error.effect = upload.effect
        raise


def _look_back(upload: Upload, temp: bytes) -> Talk:
    """The path where the earlier attempt turns out to have delivered, or None when it certainly will not any more:
    removing its temp file is the one step that cannot be overtaken by a late rename."""
    if not (yield from _remove(temp)):
        for path in (upload.final_path, upload.alternative_path):
            if (yield from _holds(path, upload)):
                return path
    upload.earlier_temp = None
    return None


def _send(upload: Upload, capabilities: Capabilities) -> Talk:
    """The bytes under the temp name, every one acknowledged and the handle closed."""
    handle = yield from _open(upload)
    try:
        refusals = yield (wire.Write(handle, 0, upload.size_bytes), wire.Close(handle))
        for refused in refusals:
            if isinstance(refused, StatusError):
                raise refused
        upload.confirm_source()
    except (StatusError, SourceChanged) as failed:
        yield from _remove(upload.temp_path)
        if isinstance(failed, SourceChanged):
            raise
        if isinstance(failed.__cause__, IrisError):  # it was the source that could not be read
            raise failed.__cause__ from None
        yield from _if_disk_full(upload, capabilities, failed)
        raise blame(failed, "write", upload.final_path) from failed


def _open(upload: Upload) -> Talk:
    """A handle on a new temp file; missing folders are made, but only once the server says that one is missing."""
    for last in (False, True):
        upload.opened = True
        try:
            reply = yield wire.Open(upload.temp_path, WRITE | CREATE | EXCLUSIVE)
        except StatusError as refused:
            if last or refused.code != FX_NO_SUCH_FILE:
                raise blame(refused, "create", upload.final_path) from refused
            yield from _make_folders(posixpath.dirname(upload.final_path))
        else:
            return _handle(reply)
    raise AssertionError("the second refusal raises")


def _handle(reply: wire.Reply) -> bytes:
    if not isinstance(reply, wire.Handle):
        raise ProtocolViolation(f"OPEN was answered by {type(reply).__name__}")
    return reply.handle


def _make_folders(folder: bytes) -> Talk:
    """Make each missing folder on the way. Refusals are ignored (it may exist, or an upper one may be closed to us):
    the next OPEN judges."""
    parts = folder.split(b"/")
    for count in range(1, len(parts) + 1):
        path = b"/".join(parts[:count])
        if path not in (b"", b"."):
            yield (wire.MakeDirectory(path),)


def _publish(upload: Upload, capabilities: Capabilities) -> Talk:
    """Rename the temp file to the final name, or to the alternative one where the final name holds something else."""
    for path in (upload.final_path, upload.alternative_path):
        if not capabilities.rename_refuses_existing and (yield from _exists(path)):
            if (yield from _holds(path, upload)):
                yield from _remove(upload.temp_path)
                return path
            continue
        upload.rename_sent = True
        try:
            yield wire.Rename(upload.temp_path, path)
        except StatusError as refused:
            if upload.finished and refused.code == FX_NO_SUCH_FILE:
                return (yield from _landed(upload))
            if (yield from _holds(path, upload)):
                yield from _remove(upload.temp_path)
                return path
            if not (yield from _exists(path)):
                yield from _give_up(upload)
                raise blame(refused, "rename the finished file to", path) from refused
        else:
            return path
    yield from _give_up(upload)
    name = upload.final_path.decode("utf-8", "backslashreplace")
    raise RemoteNameTaken(f"{name!r} on the server holds other content, and so does its alternative name")


def _landed(upload: Upload) -> Talk:
    """The temp file is gone after a rename of it was sent: delivered. Where it lies now is only worth a look; it may
    have been collected already."""
    alternative = upload.alternative_path
    return alternative if (yield from _holds(alternative, upload)) else upload.final_path


def _give_up(upload: Upload) -> Talk:
    """The rename is refused for good. A temp file whose rename was once left unanswered stays: were it removed and
    this process killed before that is recorded, its absence would look like that rename's success."""
    if not upload.finished:
        yield from _remove(upload.temp_path)


def _remove(path: bytes) -> Talk:
    """True: it was there and is gone. False: there was none, or it stays, which harms nobody."""
    (answer,) = yield (wire.Remove(path),)
    return not isinstance(answer, StatusError)


def _exists(path: bytes) -> Talk:
    (answer,) = yield (wire.Stat(path),)
    return not isinstance(answer, StatusError)


def _holds(path: bytes, upload: Upload) -> Talk:
    """Whether `path` is a file with exactly the upload's bytes: size first, then its content read back. Where reading
    is forbidden, the size has to do if an attempt of ours may have put it there."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, wire.Attributes) or found.size_bytes != upload.size_bytes:
        return False
    if found.permissions is not None and stat.S_IFMT(found.permissions) not in (0, stat.S_IFREG):
        return False
    digest = yield from _sha256(path, upload.size_bytes)
    if digest is None:
        return upload.finished or upload.earlier_temp is not None
    return digest == upload.sha256


def _sha256(path: bytes, size_bytes: int) -> Talk:
    """Hex digest of the first `size_bytes`; "" when there are fewer; None when they may not be read."""
    (opened,) = yield (wire.Open(path, READ),)
    if isinstance(opened, StatusError):
        return None
    handle, digest = _handle(opened), hashlib.sha256()
    result: str | None = ""
    for start in range(0, size_bytes, READS_AT_ONCE * READ_SIZE):
        end = min(size_bytes, start + READS_AT_ONCE * READ_SIZE)
        answers = yield tuple(wire.Read(handle, at, min(READ_SIZE, end - at)) for at in range(start, end, READ_SIZE))
        data = [answer.data for answer in answers if isinstance(answer, wire.Data)]
        if sum(map(len, data)) < end - start:
            refused = any(isinstance(answer, StatusError) and answer.code != FX_EOF for answer in answers)
            result = None if refused else ""
            break
        for part in data:
            digest.update(part)
    else:
        result = digest.hexdigest()
    yield (wire.Close(handle),)
    return result


def _if_disk_full(upload: Upload, capabilities: Capabilities, refused: StatusError) -> Talk:
    """OpenSSH says no more than "Failure" when its disk is full: ask how much is free before blaming the file."""
    if refused.says_disk_full or not capabilities.tells_free_space:
        return
    folder = posixpath.dirname(upload.temp_path) or b"."
    (reply,) = yield (wire.free_space(folder),)
    if isinstance(reply, wire.ExtendedReply):
        _, fragment_bytes, _, _, free_fragments, *_ = reply.numbers(11)
        free_bytes = fragment_bytes * free_fragments
        if free_bytes < upload.size_bytes:
            where = folder.decode("utf-8", "backslashreplace")
            raise RemoteDiskFull(
                f"the server's disk is full: {free_bytes} bytes free under {where!r}, {upload.size_bytes} needed"
            ) from refused
