"""One upload as a conversation: temp name, bytes, close, rename; and the look back after a lost answer.

Rules.
- A file is written under a name nobody can guess and appears under its final name only by a rename, after the server
  has acknowledged every WRITE and the CLOSE. So a reader never sees a part of it.
- A final name that holds something else is not overwritten: the file then takes an alternative name that is derived
  from its content, so that a repeated attempt arrives at the same name. A final name that holds the same bytes is
  a delivery whose answer was lost (or the same file queued twice), and counts as delivered.
- After an attempt of unknown outcome the server is asked before anything is sent again. Its temp name decides: nobody
  else knows it, so whoever finds it gone, though its folder is still there, knows that a rename of ours took it.
  So a temp file may be removed only while no rename of it is left unanswered.
- Whether a final name holds the same bytes is read back. Where that is forbidden it counts as something else: a file
  that arrives twice is better than one that is lost.

What goes wrong. A dead session may go on on the server's side: its late rename then competes with ours for the same
temp file and one of the two finds it gone, which is the look back again; its late writes touch only its own handle.
A late OPEN leaves an empty temp file behind, never a visible one. A server that comes back with another disk has
neither the temp file nor its folder, and is sent the file anew; that a neighbour has made the folder again meanwhile
is remembered for as long as the connection lives.
"""

import hashlib
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from iris_communication.errors import (
    Effect,
    IrisError,
    RemoteDiskFull,
    RemoteNameTaken,
    Scope,
)
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.session import Answer, Talk, Turn
from iris_communication.sftp.status import StatusError, blame
from iris_communication.sftp.wire import (
    CREATE,
    EXCLUSIVE,
    FX_FAILURE,
    FX_NO_SUCH_FILE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
    READ,
    WRITE,
)

NAME_MAX = 255  # bytes of a file name
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
    missing_folders: set[bytes] = field(default_factory=set)  # not there when first used; all uploads of a connection's
    opened: bool = False  # set as it happens: the temp file may exist
    rename_sent: bool = False  # set as it happens: a rename is unanswered, so the final name may exist
    begin_anew: bool = False  # set as it happens: finished, but that rename certainly did not deliver

    @property
    def alternative_path(self) -> bytes:
        """`report.csv` -> `report.1f2e3d4c.csv`: where it goes when the final name holds something else."""
        folder, name = posixpath.split(self.final_path)
        stem, extension = posixpath.splitext(name)
        mark = b"." + self.sha256[:8].encode("ascii")
        room = NAME_MAX - len(mark) - len(extension)
        if room < 1:  # an "extension" as long as that is none
            stem, extension, room = name, b"", NAME_MAX - len(mark)
        if len(stem) > room:
            stem = stem[:room].decode("utf-8", "ignore").encode()  # never half a character
        return posixpath.join(folder, stem + mark + extension)

    @property
    def effect(self) -> Effect:
        """What an attempt that is cut off now may leave behind. NONE: nothing of its own, so what was known before it
        is still what is known."""
        if self.rename_sent or self.finished:
            return Effect.UNKNOWN
        return Effect.UNSEEN if self.opened else Effect.NONE


def put(upload: Upload, capabilities: Capabilities) -> Talk:
    """Returns the path under which the file lies now, as bytes. Raises IrisError; its `effect` says what this attempt
    may have left behind."""
    try:
        if upload.finished:
            return (yield from _publish(upload, capabilities))
        if upload.earlier_temp is not None:
            landed = yield from _look_back(upload, upload.earlier_temp)
            if landed is not None:
                return landed
        yield from _send(upload, capabilities)
        return (yield from _publish(upload, capabilities))
    except IrisError as error:
        error.effect = upload.effect
        if error.scope is Scope.ITEM and upload.begin_anew:
            error.effect = Effect.UNSEEN  # the next attempt is a new one; it clears the temp file away first
        raise


def _look_back(upload: Upload, temp: bytes) -> Talk:
    """The path where the earlier attempt turns out to have delivered, or None when it certainly will not any more:
    removing its temp file is the one step that cannot be overtaken by a late rename."""
    if not (yield from _remove(temp)) and not (yield from _exists(temp)):
        for path in (upload.final_path, upload.alternative_path):
            if (yield from _holds(path, upload)):
                return path
    upload.earlier_temp = None
    return None


def _send(upload: Upload, capabilities: Capabilities) -> Talk:
    """The bytes under the temp name: every one acknowledged, the handle closed, the size looked at."""
    handle = yield from _open(upload, capabilities)
    written, closed, kept = yield (
        wire.Write(handle, 0, upload.size_bytes),
        wire.Close(handle),
        wire.Stat(upload.temp_path),
    )
    for refused in (written, closed, _cut_short(upload, kept)):
        if isinstance(refused, StatusError):
            # The disk is looked at before the temp file, which fills it, is removed.
            failure = yield from _blame(refused, "write", upload, capabilities)
            yield from _discard(upload)
            raise failure from (None if failure is refused.__cause__ else refused)
    try:
        upload.confirm_source()
    except IrisError:
        yield from _discard(upload)
        raise


def _cut_short(upload: Upload, kept: Answer) -> StatusError | None:
    """Some servers acknowledge a WRITE of which their disk took a part. The look costs no round trip, because it
    travels behind the CLOSE; where looking is forbidden, the acknowledgements have to do."""
    if not isinstance(kept, wire.Attributes) or kept.size_bytes in (None, upload.size_bytes):
        return None
    return StatusError(FX_FAILURE, f"the server kept {kept.size_bytes} of {upload.size_bytes} bytes")


def _open(upload: Upload, capabilities: Capabilities) -> Talk:
    """A handle on a new temp file; missing folders are made, but only once the server says that one is missing."""
    for last in (False, True):
        upload.opened = True
        try:
            reply = yield wire.Open(upload.temp_path, WRITE | CREATE | EXCLUSIVE)
        except StatusError as refused:
            upload.opened = False
            if last or refused.code != FX_NO_SUCH_FILE:
                raise (yield from _blame(refused, "create", upload, capabilities)) from refused
            folder = posixpath.dirname(upload.final_path)
            upload.missing_folders.add(folder)
            yield from _make_folders(folder)
        else:
            return reply.handle
    raise AssertionError("the second refusal raises")


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
    if not capabilities.rename_refuses_existing:
        yield Turn(upload.final_path)  # two of ours that both find the name free would overwrite one another
    for path in (upload.final_path, upload.alternative_path):
        if not capabilities.rename_refuses_existing and (yield from _is_taken(path, upload)):
            if upload.finished and (yield from _went_through(upload)):
                return (yield from _landed(upload))
            if (yield from _holds(path, upload)):
                yield from _discard(upload)
                return path
            continue
        upload.rename_sent = True
        try:
            yield wire.Rename(upload.temp_path, path)
        except StatusError as refused:
            upload.rename_sent = False
            if upload.finished and (yield from _went_through(upload, refused)):
                return (yield from _landed(upload))
            if (yield from _holds(path, upload)):
                yield from _discard(upload)
                return path
            if not (yield from _exists(path)):
                yield from _give_up(upload)
                raise blame(refused, "rename the finished file to", path) from refused
        else:
            return path
    yield from _give_up(upload)
    name = upload.final_path.decode("utf-8", "backslashreplace")
    raise RemoteNameTaken(f"{name!r} on the server holds other content, and so does its alternative name")


def _is_taken(path: bytes, upload: Upload) -> Talk:
    """Asked of a server that would overwrite. An account that may not look at all is spared the question: such a server
    keeps its own watch. Any other refusal leaves it open, and then nothing may be renamed."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, StatusError):
        return True
    if found.code not in (FX_NO_SUCH_FILE, FX_PERMISSION_DENIED, FX_OP_UNSUPPORTED):
        yield from _give_up(upload)
        raise blame(found, "look at", path) from found
    return False


def _went_through(upload: Upload, refused: StatusError | None = None) -> Talk:
    """Whether it was the earlier rename that took the temp file: it is gone, and its folder is not. Where that cannot
    be found out for now, the attempt stays finished and is asked about again. A folder that is there only because a
    neighbour had to make it tells nothing: the file is sent anew, at the worst a second time."""
    folder = posixpath.dirname(upload.temp_path)
    (found,) = yield (wire.Stat(upload.temp_path),)
    if isinstance(found, StatusError):
        if FX_NO_SUCH_FILE not in (found.code, refused.code if refused else None):
            return False
        if folder not in upload.missing_folders and not (yield from _is_missing(folder or b".")):
            return True
    upload.begin_anew = True
    return False


def _landed(upload: Upload) -> Talk:
    """Delivered by the earlier rename. Where it lies now is only worth a look; it may have been collected already."""
    alternative = upload.alternative_path
    return alternative if (yield from _holds(alternative, upload)) else upload.final_path


def _give_up(upload: Upload) -> Talk:
    """The rename is refused for good. A temp file whose rename was once left unanswered stays: were it removed and
    this process killed before that is recorded, its absence would look like that rename's success."""
    if not upload.finished:
        yield from _discard(upload)


def _discard(upload: Upload) -> Talk:
    """Remove this attempt's own temp file."""
    if (yield from _remove(upload.temp_path)):
        upload.opened = False


def _remove(path: bytes) -> Talk:
    """True: it was there and is gone. False: there was none, or it stays, which harms nobody."""
    (answer,) = yield (wire.Remove(path),)
    return not isinstance(answer, StatusError)


def _exists(path: bytes) -> Talk:
    (answer,) = yield (wire.Stat(path),)
    return not isinstance(answer, StatusError)


def _is_missing(path: bytes) -> Talk:
    """Certainly: the server says so in these words."""
    (answer,) = yield (wire.Stat(path),)
    return isinstance(answer, StatusError) and answer.code == FX_NO_SUCH_FILE


def _holds(path: bytes, upload: Upload) -> Talk:
    """Whether `path` is a file with exactly the upload's bytes: size first, then its content read back."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, wire.Attributes) or found.size_bytes != upload.size_bytes:
        return False
    if found.permissions is not None and stat.S_IFMT(found.permissions) not in (0, stat.S_IFREG):
        return False
    return (yield from _sha256(path, upload.size_bytes)) == upload.sha256


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


def _blame(refused: StatusError, doing: str, upload: Upload, capabilities: Capabilities) -> Talk:
    """The error to raise. OpenSSH says no more than "Failure" when its disk is full, so ask how much is free before
    blaming the file."""
    if isinstance(refused.__cause__, IrisError):  # it was the source that could not be read
        return refused.__cause__
    if refused.code == FX_FAILURE and not refused.says_disk_full and capabilities.tells_free_space:
        folder = posixpath.dirname(upload.temp_path) or b"."
        (reply,) = yield (wire.free_space(folder),)
        if isinstance(reply, wire.ExtendedReply):
            _, fragment_bytes, _, _, free_fragments, *_ = reply.numbers(11)
            free_bytes = fragment_bytes * free_fragments
            if free_bytes < max(1, upload.size_bytes):
                where = folder.decode("utf-8", "backslashreplace")
                needed = f"{free_bytes} bytes free under {where!r}, {upload.size_bytes} needed"
                return RemoteDiskFull(f"the server's disk is full: {needed}")
    return blame(refused, doing, upload.final_path)
