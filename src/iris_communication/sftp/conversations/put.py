"""One upload as a conversation: temp name, bytes, close, rename; and the check after a lost answer.

Rules.
- A file is written under a name nobody can guess and appears under its final name only by a rename, after the server
  has acknowledged every WRITE and the CLOSE. So a reader never sees a part of it. `publish` has what comes after.
- After an attempt of unknown outcome the server is asked before anything is sent again. Its temp name decides: nobody
  else knows it, so if it is gone, though its folder is still there, a rename of ours took it.
  So a temp file may be removed only while no rename of it is left unanswered.
- Files that replace what is there go one after the other for each name: the carrier lets them take turns.
- Permissions and times are set before the rename. Where the server refuses them the file is delivered all the same.

What goes wrong. A dead session's late writes touch only its own handle. A late OPEN leaves an empty temp file behind,
never a visible one. A file that is tried again later replaces one that was accepted after it and arrived first.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from iris_communication.errors import Effect, IrisError, RemoteFailure, RemoteNameRefused, Scope
from iris_communication.naming.alternative_name import NAME_MAX_BYTES
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations import marker
from iris_communication.sftp.conversations.conversation import Answer, Talk
from iris_communication.sftp.conversations.look import (
    discard,
    exists,
    holds,
    new_file_flags,
    reason,
    remove,
    without_exclusive,
)
from iris_communication.sftp.conversations.publish import look_first, may_replace_unseen, publish
from iris_communication.sftp.conversations.replacing import clear_aside, clear_up
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.status import StatusError, hint_at_hidden_names, not_made, shown
from iris_communication.sftp.wire import FX_FAILURE


def put(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """Returns the path under which the file lies now, as bytes. Raises IrisError; its `effect` says what this attempt
    may have left behind."""
    try:
        check_name(upload, capabilities)
        if not upload.finished:
            landed = yield from _already_there(upload, capabilities)
            if landed is not None:
                return landed
            yield from _send(upload, capabilities)
        return (yield from _finish(upload, capabilities))
    except IrisError as error:
        error.effect = _effect(upload, error)
        raise


def clear_away(upload: SftpUpload, temps: Iterable[bytes], capabilities: Capabilities) -> Talk:
    """Remove what attempts under these temp names, earlier than the latest, may have left. Whether one had arrived need
    not be asked: then the same bytes are found under the final name."""
    for temp in temps:
        yield from clear_up(upload, temp, capabilities)
        yield tuple(map(wire.Remove, (temp, *upload.marker_temps(temp))))


def after_clearing(upload: SftpUpload, temps: Sequence[bytes], capabilities: Capabilities, then: Talk) -> Talk:
    """`then`, once that is cleared away."""
    return _cleared(upload, temps, capabilities, then) if temps else then


def _cleared(upload: SftpUpload, temps: Sequence[bytes], capabilities: Capabilities, then: Talk) -> Talk:
    yield from clear_away(upload, temps, capabilities)
    return (yield from then)


def create(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """The beginning of an upload in several parts: an empty file under the temp name. Returns the path where the file
    lies already, or None: now it is to be written, see `parts`. Raises IrisError like `put`."""
    try:
        check_name(upload, capabilities)
        landed = yield from _already_there(upload, capabilities)
        if landed is None:
            handle = yield from open_new(upload.temp_path, upload, capabilities)
            yield (wire.Close(handle),)
    except IrisError as error:
        error.effect = _effect(upload, error)
        raise
    return landed


def finish(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """The end of an upload in several parts, every byte acknowledged and every handle closed: like that of `put`."""
    try:
        *attributes, kept = yield after_close(upload, upload.temp_path)
        note_attributes(upload, attributes)
        cut_short = yield from cut_short_by(upload, upload.temp_path, kept)
        if cut_short is not None:
            upload.cut_short = True
            yield from discard(upload)
            raise (yield from reason(cut_short, "write", upload, capabilities))
        return (yield from _finish(upload, capabilities))
    except IrisError as error:
        error.effect = _effect(upload, error)
        raise


def after_close(upload: SftpUpload, path: bytes, *, look: bool = True) -> tuple[wire.Request, ...]:
    """The requests that travel behind the CLOSE, and so cost no round trip: attributes, and a STAT for the size. Not
    before it: a server that handles several requests at once keeps order only there."""
    looking = (wire.Stat(path),) if look else ()
    if upload.file_mode is None and upload.mtime_s is None:
        return looking
    return wire.SetStat(path, upload.file_mode, upload.mtime_s), *looking


def note_attributes(upload: SftpUpload, answers: Sequence[Answer]) -> None:
    for answer in answers:
        if isinstance(answer, StatusError):
            upload.attributes_refused = str(answer)


def _finish(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    landed = yield from publish(upload, capabilities)
    if upload.marker:
        landed = yield from marker.mark(upload, landed, capabilities)
    yield from clear_aside(upload, capabilities)
    return landed


def _effect(upload: SftpUpload, error: IrisError) -> Effect:
    if error.scope is Scope.ITEM and upload.begin_anew:
        return Effect.UNSEEN  # the next attempt is a new one; it clears the temp file away first
    return upload.effect


def check_name(upload: SftpUpload, capabilities: Capabilities) -> None:
    """Before anything is sent: a file whose marker has no room for its name would lie there for ever without one, and a
    name at which the server hangs up would end the connection each time, and nothing else would be delivered."""
    if capabilities.ends_at_names_that_are_no_text and not _is_text(upload.final_path):
        path = shown(upload.final_path)
        raise RemoteNameRefused(f"{path} is not UTF-8, and this server closes the connection at such a name")
    name = posixpath.basename(upload.final_path)
    room = NAME_MAX_BYTES - len(upload.marker)
    if upload.marker and len(name) > room:
        raise RemoteNameRefused(
            f"{shown(name)} has {len(name)} bytes, and with {upload.marker!r} behind them over {NAME_MAX_BYTES}"
        )


def _is_text(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _already_there(upload: SftpUpload, capabilities: Capabilities) -> Talk:
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


def _look_back(upload: SftpUpload, temp: bytes, capabilities: Capabilities) -> Talk:
    """The path where the earlier attempt turns out to have delivered, or None when it certainly will not any more:
    once its temp file is removed, a late rename of it finds nothing."""
    yield from clear_up(upload, temp, capabilities)
    gone = not (yield from remove(temp)) and not (yield from exists(temp))
    if upload.marker:
        yield tuple(map(wire.Remove, upload.marker_temps(temp)))
    if gone:
        for path in upload.paths:
            if (yield from holds(path, upload.size_bytes, upload.sha256)):
                return path
    upload.earlier_temp = None
    return None


def _send(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """Write the bytes under the temp name: every one acknowledged, the handle closed, the size checked where that can
    show anything."""
    handle = yield from open_new(upload.temp_path, upload, capabilities)
    look, cut_short = not capabilities.says_what_it_kept, None
    looks_at_name = may_replace_unseen(upload, capabilities)
    written, closed, *attributes = yield (
        wire.Write(handle, 0, upload.size_bytes),
        wire.Close(handle),
        *after_close(upload, upload.temp_path, look=look),
        *((wire.Stat(upload.final_path),) if looks_at_name else ()),
    )
    if looks_at_name:
        upload.final_look = attributes.pop()
    if look:
        cut_short = yield from cut_short_by(upload, upload.temp_path, attributes.pop())
    note_attributes(upload, attributes)
    for refused in (written, closed, cut_short):
        if isinstance(refused, StatusError):
            # `reason` checks the disk before the temp file, which fills it, is removed.
            failure = yield from reason(refused, "write", upload, capabilities)
            upload.write_refused = refused is written and isinstance(failure, (RemoteFailure, RemoteNameRefused))
            upload.cut_short = refused is not written and refused is not closed
            yield from discard(upload)
            raise failure from (None if failure is refused.__cause__ else refused)
    try:
        upload.confirm_source()
    except IrisError:
        yield from discard(upload)
        raise


def cut_short_by(upload: SftpUpload, path: bytes, kept: Answer) -> Talk:
    """A StatusError where the server kept another size than ours, `kept` being its answer behind the CLOSE. Some
    servers acknowledge a WRITE of which their disk took a part. And some know the size only once the CLOSE is complete,
    so another size than ours counts only when a second STAT, with nothing else under way, repeats it."""
    refused = _another_size(upload, kept)
    if refused is not None:
        (kept,) = yield (wire.Stat(path),)
        refused = _another_size(upload, kept)
    return refused


def _another_size(upload: SftpUpload, kept: Answer) -> StatusError | None:
    """The STAT costs no round trip, because it travels behind the CLOSE; where it is forbidden, the acknowledgements
    have to do."""
    if not isinstance(kept, wire.Attributes) or kept.size_bytes in (None, upload.size_bytes):
        return None
    return StatusError(FX_FAILURE, f"the server kept {kept.size_bytes} of {upload.size_bytes} bytes")


def open_new(path: bytes, upload: SftpUpload, capabilities: Capabilities, *, or_none_if_taken: bool = False) -> Talk:
    """A handle on a new file; missing folders are made, but only once the server says that one is missing. Whether they
    could be is not checked (one may exist, or an upper one may be closed to us): the next OPEN shows it."""
    if or_none_if_taken and upload.quirks.refuses_exclusive and (yield from exists(path)):
        return None
    refused = closed = None
    for making in _before_each_open(posixpath.dirname(path), upload, capabilities):
        together = making if capabilities.keeps_order else ()
        if not together:
            for request in making:
                (made,) = yield (request,)
                closed = _closed(request, made) or closed
        upload.opened = True
        *all_made, reply = yield (*together, wire.Open(path, new_file_flags(upload.quirks)))
        for request, made in zip(together, all_made, strict=True):
            closed = _closed(request, made) or closed
        if not isinstance(reply, StatusError):
            return reply.handle
        upload.opened = False
        if or_none_if_taken and (yield from exists(path)):
            return None
        refused = reply
        if not (yield from _may_lack_its_folder(refused, path)):
            break
    assert refused is not None, "there is at least one OPEN"
    upload.opened = True
    reply = yield from without_exclusive(path, upload.quirks, refused)
    if not isinstance(reply, StatusError):
        return reply.handle
    upload.opened = False
    if refused.says_missing and closed is not None:
        raise not_made(closed[1], closed[0].path, upload.final_path) from refused
    failure = yield from reason(refused, "create", upload, capabilities, path)
    if path == upload.temp_path and not refused.says_missing:
        hint_at_hidden_names(failure)
    raise failure from refused


def _closed(request: wire.MakeDirectory, made: Answer) -> tuple[wire.MakeDirectory, StatusError] | None:
    """A folder that the server forbids us to make; its refusal of one that is there is no trouble."""
    return (request, made) if isinstance(made, StatusError) and made.says_forbidden else None


def _may_lack_its_folder(refused: StatusError, path: bytes) -> Talk:
    """The server says so, or a STAT finds it: a server may have any code for an OPEN in a folder that is not there.
    Where STAT is forbidden the folder may be missing, and trying to make it does no harm."""
    if refused.says_missing or refused.says_disk_full or isinstance(refused.__cause__, IrisError):
        return refused.says_missing
    return not (yield from exists(posixpath.dirname(path) or b"."))


def _before_each_open(
    folder: bytes, upload: SftpUpload, capabilities: Capabilities
) -> Iterator[Sequence[wire.MakeDirectory]]:
    """The MKDIRs ahead of each OPEN, while the OPEN before says that something is missing."""
    yield ()
    if capabilities.keeps_order and folder in upload.missing_folders:
        yield ()  # another upload missed it: its MKDIRs are done before our next OPEN
    upload.missing_folders.add(folder)
    parts = folder.split(b"/")
    paths = (b"/".join(parts[:count]) for count in range(1, len(parts) + 1))
    yield [wire.MakeDirectory(path) for path in paths if path not in (b"", b".")]
