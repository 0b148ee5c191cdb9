"""One upload as a conversation: temp name, bytes, close, rename; and the look back after a lost answer.

Rules.
- A file is written under a name nobody can guess and appears under its final name only by a rename, after the server
  has acknowledged every WRITE and the CLOSE. So a reader never sees a part of it. `publish` has what comes after.
- After an attempt of unknown outcome the server is asked before anything is sent again. Its temp name decides: nobody
  else knows it, so whoever finds it gone, though its folder is still there, knows that a rename of ours took it.
  So a temp file may be removed only while no rename of it is left unanswered.
- Files that replace what is there go in the order in which they were begun, one after the other for each name.

What goes wrong. A dead session's late writes touch only its own handle. A late OPEN leaves an empty temp file behind,
never a visible one. A file that is tried again later replaces one that was accepted after it and arrived first.
"""

import posixpath

from iris_communication.alternative_name import NAME_MAX_BYTES
from iris_communication.errors import Effect, IrisError, RemoteNameRefused, Scope
from iris_communication.sftp import marker, wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.look import discard, exists, holds, reason, remove
from iris_communication.sftp.publish import look_first, publish
from iris_communication.sftp.replacing import clear_aside, settle
from iris_communication.sftp.session import Answer, Talk, Turn
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.upload import Upload
from iris_communication.sftp.wire import CREATE, EXCLUSIVE, FX_FAILURE, FX_NO_SUCH_FILE, WRITE


def put(upload: Upload, capabilities: Capabilities) -> Talk:
    """Returns the path under which the file lies now, as bytes. Raises IrisError; its `effect` says what this attempt
    may have left behind."""
    try:
        _check_name(upload)
        if upload.conflict == "overwrite":
            yield Turn(upload.final_path)
        if not upload.finished:
            landed = yield from _already_there(upload, capabilities)
            if landed is not None:
                return landed
            yield from _send(upload, capabilities)
        landed = yield from publish(upload, capabilities)
        if upload.marker:
            landed = yield from marker.mark(upload, landed, capabilities)
        yield from clear_aside(upload, capabilities)
    except IrisError as error:
        error.effect = upload.effect
        if error.scope is Scope.ITEM and upload.begin_anew:
            error.effect = Effect.UNSEEN  # the next attempt is a new one; it clears the temp file away first
        raise
    return landed


def clear_away(upload: Upload, temp: bytes, capabilities: Capabilities) -> Talk:
    """What an attempt under `temp`, earlier than the latest, may have left. Whether it had arrived needs no question:
    then the same bytes are found under the final name."""
    yield from settle(upload, temp, capabilities)
    yield tuple(map(wire.Remove, (temp, *upload.marker_temps(temp))))


def _check_name(upload: Upload) -> None:
    """Before anything is sent: a file whose marker has no room for its name would lie there for ever without one."""
    name = posixpath.basename(upload.final_path)
    room = NAME_MAX_BYTES - len(upload.marker)
    if upload.marker and len(name) > room:
        shown = name.decode("utf-8", "backslashreplace")
        raise RemoteNameRefused(
            f"{shown!r} has {len(name)} bytes, and with {upload.marker!r} behind them over {NAME_MAX_BYTES}"
        )


def _already_there(upload: Upload, capabilities: Capabilities) -> Talk:
    """The path where the file lies, so that it need not be sent; its marker lies there then too. Raises IrisError
    where it would be sent in vain."""
    landed = None
    if upload.earlier_temp is not None:
        landed = yield from _look_back(upload, upload.earlier_temp, capabilities)
    if landed is None:
        landed = yield from look_first(upload)
    if landed is not None and upload.marker:
        yield from marker.write(upload, landed, capabilities)
    return landed


def _look_back(upload: Upload, temp: bytes, capabilities: Capabilities) -> Talk:
    """The path where the earlier attempt turns out to have delivered, or None when it certainly will not any more:
    removing its temp file is the one step that cannot be overtaken by a late rename."""
    yield from settle(upload, temp, capabilities)
    gone = not (yield from remove(temp)) and not (yield from exists(temp))
    if upload.marker:
        yield tuple(map(wire.Remove, upload.marker_temps(temp)))
    if gone:
        for path in upload.paths:
            if (yield from holds(path, upload.size_bytes, upload.sha256)):
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
            failure = yield from reason(refused, "write", upload, capabilities)
            yield from discard(upload)
            raise failure from (None if failure is refused.__cause__ else refused)
    try:
        upload.confirm_source()
    except IrisError:
        yield from discard(upload)
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
                raise (yield from reason(refused, "create", upload, capabilities)) from refused
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
