"""One upload straight under its final name, for a server that cannot rename. By choice: it gives up a promise.

Rules.
- A free name is taken with an exclusive OPEN, so what is there is never touched unseen; on a server that does not know
  such OPENs the name is checked first. The server's `conflict` says what becomes of a name that holds something else.
- After an attempt of unknown outcome a file that is just the beginning of ours counts as what that attempt left, and is
  written anew. Its first and its last bytes are compared, not all of them. It is not emptied first: that might reach
  the server late. Where writing over it is forbidden, it is removed and made anew.
- A marker is removed before its file is touched and written after the file is complete and its size was checked. A
  pick-up job that waits for markers never finds a part.
- Files for one name take turns, whatever the server is: the carrier sees to that.

What goes wrong. Without a marker, a reader may find a part of a file. If a job takes a file away before its CLOSE is
answered, and the link is lost then, the file is delivered twice. A shorter file of somebody else with the same
beginning, there since before a cut-off attempt, is written over. A request of a dead session that is carried out late
finds the next attempt's file under the same name: a REMOVE (of a part that could not be finished) deletes it, an OPEN
that was to write over somebody else's file (conflict = "overwrite") empties it, and one of a marker empties that.
Without a name of each attempt's own nothing prevents that. A part stays under its name for good when its file is given
up before it could be finished, when its source is gone or changed by the next attempt, or where reading is forbidden:
then nothing shows whose it is.
"""

from collections.abc import Callable

from iris_communication.errors import Effect, IrisError
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import holds, reason, remove
from iris_communication.sftp.conversations.parts import SAMPLE_BYTES
from iris_communication.sftp.conversations.publish import refusal
from iris_communication.sftp.conversations.put import after_close, check_name, cut_short_by, note_attributes, open_new
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.wire import CREATE, READ, TRUNCATE, WRITE

Peek = Callable[[int, int], bytes]  # (offset, size in bytes)


def put_in_place(upload: SftpUpload, capabilities: Capabilities, peek: Peek) -> Talk:
    """Returns the path under which the file lies now, as bytes. Raises IrisError; its `effect` says what this attempt
    may have left behind. `peek` gives bytes of the source, to compare them."""
    try:
        check_name(upload, capabilities)
        for path in upload.paths:
            if (yield from _deliver(path, upload, capabilities, peek)):
                return path
        raise refusal(upload)
    except IrisError as error:
        # What an earlier attempt has left, and this one did not get to, has to count as ours for the next.
        error.effect = Effect.UNSEEN if upload.opened or upload.earlier_temp is not None else Effect.NONE
        raise


def _deliver(path: bytes, upload: SftpUpload, capabilities: Capabilities, peek: Peek) -> Talk:
    """False: `path` holds something else, which is to stay."""
    handle = yield from open_new(path, upload, capabilities, or_none_if_taken=True)
    left_by_us = False
    if handle is not None and not capabilities.says_what_it_kept and (yield from _was_there(path)):
        yield (wire.Close(handle),)
        handle, upload.opened = None, False
    if handle is None:
        if (yield from holds(path, upload.size_bytes, upload.sha256)):
            yield from _mark(path, upload, capabilities)
            return True
        left_by_us = upload.earlier_temp is not None and (yield from _is_beginning(path, upload, peek))
        if not left_by_us and upload.conflict != "overwrite":
            return False
    if upload.marker:
        yield from remove(upload.marker_path(path))
    if handle is None:
        handle = yield from (_open_part if left_by_us else _open_emptied)(path, upload, capabilities)
    upload.earlier_temp = None
    yield from _write(path, handle, upload, capabilities)
    yield from _mark(path, upload, capabilities)
    return True


def _was_there(path: bytes) -> Talk:
    """Although it was opened as a new file: some servers ignore the flag that says so."""
    (found,) = yield (wire.Stat(path),)
    return isinstance(found, wire.Attributes) and bool(found.size_bytes)


def _is_beginning(path: bytes, upload: SftpUpload, peek: Peek) -> Talk:
    """Whether what lies there may be the part that an attempt of ours has left."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, wire.Attributes) or found.size_bytes is None or found.size_bytes > upload.size_bytes:
        return False
    sample_bytes = min(SAMPLE_BYTES, found.size_bytes)
    if not sample_bytes:
        return True
    (opened,) = yield (wire.Open(path, READ),)
    if isinstance(opened, StatusError):
        return False
    places = (0, found.size_bytes - sample_bytes)
    reads = (wire.Read(opened.handle, offset, sample_bytes) for offset in places)
    *answers, _ = yield (*reads, wire.Close(opened.handle))
    return answers == [wire.Data(peek(offset, sample_bytes)) for offset in places]


def _open_part(path: bytes, upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """Open what an attempt of ours has left: it is no longer than the file, so nothing of it is left afterwards."""
    upload.opened = True
    (opened,) = yield (wire.Open(path, WRITE),)
    if isinstance(opened, StatusError):
        yield from remove(path)
        return (yield from open_new(path, upload, capabilities))
    return opened.handle


def _open_emptied(path: bytes, upload: SftpUpload, capabilities: Capabilities) -> Talk:
    upload.opened = True
    (opened,) = yield (wire.Open(path, WRITE | CREATE | TRUNCATE),)
    if isinstance(opened, StatusError):
        raise (yield from reason(opened, "write over", upload, capabilities)) from opened
    return opened.handle


def _write(path: bytes, handle: bytes, upload: SftpUpload, capabilities: Capabilities) -> Talk:
    written, closed, *attributes, kept = yield (
        wire.Write(handle, 0, upload.size_bytes),
        wire.Close(handle),
        *after_close(upload, path),
    )
    note_attributes(upload, attributes)
    cut_short = yield from cut_short_by(upload, path, kept)
    try:
        for refused in (written, closed, cut_short):
            if isinstance(refused, StatusError):
                upload.cut_short = refused is not written and refused is not closed
                raise (yield from reason(refused, "write", upload, capabilities))
        upload.confirm_source()
    except IrisError:
        if (yield from remove(path)):
            upload.opened = False
        raise


def _mark(path: bytes, upload: SftpUpload, capabilities: Capabilities) -> Talk:
    if not upload.marker:
        return
    marker_path, text = upload.marker_path(path), upload.marker_text(path)
    (opened,) = yield (wire.Open(marker_path, WRITE | CREATE | TRUNCATE),)
    if isinstance(opened, StatusError):
        raise (yield from reason(opened, "create the marker of", upload, capabilities)) from opened
    data = (wire.WriteBytes(opened.handle, 0, text),) if text else ()
    for answer in (yield (*data, wire.Close(opened.handle))):
        if isinstance(answer, StatusError):
            raise (yield from reason(answer, "write the marker of", upload, capabilities)) from answer
