"""The marker beside a delivered file, for pick-up jobs that wait for one: written last.

Rules.
- Its bytes are under a hidden name, whole and closed, before the file is renamed; it takes its own name only after
  the file's rename is confirmed. So the marker is never there before the file, and never in part.
- After a lost answer its temp file shows what happened, as the file's does: if it is still there, the rename is sent
  again; if it is gone, the marker was there. So a job that has taken the file, the marker or both finds neither a
  second time.
- A marker belongs to its file: an older one of that name is replaced, whatever `conflict` says of files.

What goes wrong. After a kill nobody knows whether a rename was sent. If the file is there and its marker is not, the
marker is written. For the moment between the two renames of a file that replaces another, a `.sha256` is still that
of the file before.
"""

import hashlib

from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import holds, is_file, is_missing, open_created, reason, remove
from iris_communication.sftp.conversations.replacing import rename_over, replace
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.status import StatusError, blame


def prepare(upload: SftpUpload, path: bytes, capabilities: Capabilities) -> Talk:
    """Write its bytes under its temp name. Raises IrisError."""
    temp, text = upload.marker_temp(path), upload.marker_text(path)
    upload.marker_opened = True
    opened = yield from open_created(temp, upload.quirks)
    if isinstance(opened, StatusError) and upload.finished:  # the attempt before had written it, or had begun to
        (found,) = yield (wire.Stat(temp),)
        if isinstance(found, wire.Attributes) and found.size_bytes == len(text):
            return
        yield from remove(temp)
        opened = yield from open_created(temp, upload.quirks)
    if isinstance(opened, StatusError):
        raise (yield from reason(opened, "create the marker", upload, capabilities, temp)) from opened
    data = (wire.WriteBytes(opened.handle, 0, text),) if text else ()
    for answer in (yield (*data, wire.Close(opened.handle))):
        if isinstance(answer, StatusError):
            raise (yield from reason(answer, "write the marker of", upload, capabilities)) from answer


def take_back(upload: SftpUpload) -> Talk:
    """Remove what was prepared."""
    if upload.marker_opened:
        answers = yield tuple(map(wire.Remove, upload.marker_temps(upload.temp_path)))
        gone = (not isinstance(answer, StatusError) or answer.says_missing for answer in answers)
        upload.marker_opened = not all(gone)


def mark(upload: SftpUpload, path: bytes, capabilities: Capabilities) -> Talk:
    """Give the prepared marker of the file that lies, or lay, under `path` its name; the path it was prepared for. An
    earlier attempt may have prepared that of another path, or placed it. Raises IrisError."""
    for candidate in (path, *(other for other in upload.paths if other != path)):
        if (yield from _place(upload, candidate, capabilities)):
            return candidate
    if not upload.finished:  # somebody has removed it
        yield from write(upload, path, capabilities)
    return path


def write(upload: SftpUpload, path: bytes, capabilities: Capabilities) -> Talk:
    """The marker of a file that is known to lie under `path`, unless it is there. Raises IrisError."""
    if not (yield from _is_there(upload, path)):
        yield from prepare(upload, path, capabilities)
        yield from _place(upload, path, capabilities)


def _place(upload: SftpUpload, path: bytes, capabilities: Capabilities) -> Talk:
    """False: it has no temp file (any more). Raises IrisError."""
    temp, target = upload.marker_temp(path), upload.marker_path(path)
    try:
        yield from rename_over(temp, target, capabilities)
    except StatusError as refused:
        if refused.says_missing or (yield from is_missing(temp)):
            return False
        if (yield from _is_there(upload, path)):
            yield from remove(temp)
        elif capabilities.replaces_in_one_step or not (yield from is_file(target)):
            raise blame(refused, "name the marker", target) from refused
        else:
            try:
                yield from replace(upload, temp, target)
            except StatusError as again:
                raise blame(again, "name the marker", target) from again
    return True


def _is_there(upload: SftpUpload, path: bytes) -> Talk:
    text = upload.marker_text(path)
    return (yield from holds(upload.marker_path(path), len(text), hashlib.sha256(text).hexdigest()))
