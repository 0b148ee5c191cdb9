"""Giving a finished temp file a name that something else has: in one step, or in two where the server cannot.

Rules.
- In one step: posix-rename@openssh.com. A reader finds the old file or the new one, whole.
- A server that does not offer it may still replace with a plain RENAME, as several do. Where it refuses, what is there
  is renamed aside, to a hidden name of this attempt, and then the temp file takes its place. In between there is
  nothing under the name, and never a part of a file. If that RENAME is refused, the old file is renamed back. A folder
  is never replaced.
- It is renamed aside and not removed, because a request may be carried out late: sent to a link that died, it reaches
  the server after the next attempt has delivered. A late REMOVE would delete that delivery. A late rename aside is
  refused where its target exists. So the attempt that follows one that may have sent such a RENAME first checks whether
  it was done (then the old file lies aside, and is removed) and else holds that name with an empty file, which stays.

What goes wrong. Cut off between the two steps, there is nothing under the name until the next attempt, which finds its
temp file whole and renames it. A process that is killed there leaves the same, and the next start sends the file anew.
"""

from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import exists, new_file_flags
from iris_communication.sftp.conversations.upload import SftpUpload, aside
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.wire import FX_OP_UNSUPPORTED


def rename_over(temp: bytes, path: bytes, capabilities: Capabilities) -> Talk:
    """In one step, or not at all: raises StatusError."""
    if capabilities.replaces_in_one_step:
        try:
            yield wire.PosixRename(temp, path)
        except StatusError as refused:
            if refused.code != FX_OP_UNSUPPORTED:
                raise
        else:
            return
    yield wire.Rename(temp, path)


def replace(upload: SftpUpload, temp: bytes, path: bytes) -> Talk:
    """Replace in two steps, after the single step was refused. Raises StatusError when the old file is, or should be,
    back in its place."""
    old = aside(temp)
    (moved,) = yield (wire.Rename(path, old),)
    if upload.finished and isinstance(moved, StatusError):  # an earlier attempt had put one aside
        _, moved = yield (wire.Remove(old), wire.Rename(path, old))
    try:
        yield wire.Rename(temp, path)
    except StatusError:
        if not isinstance(moved, StatusError):
            yield (wire.Rename(old, path),)
        raise
    yield (wire.Remove(old),)
    if upload.finished:
        yield from _fence(upload, old, path)


def clear_up(upload: SftpUpload, temp: bytes, capabilities: Capabilities) -> Talk:
    """After an attempt under `temp` of unknown outcome: remove what it put aside; and if it may yet put something
    aside, prevent that."""
    if capabilities.replaces_in_one_step:
        return
    for each, path, size_bytes in upload.replacements(temp):
        removed, whole, taken = yield (wire.Remove(aside(each)), wire.Stat(each), wire.Stat(path))
        was_whole = isinstance(whole, wire.Attributes) and whole.size_bytes == size_bytes
        if isinstance(removed, StatusError) and was_whole and not isinstance(taken, StatusError):
            yield from _fence(upload, aside(each), path)


def clear_aside(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """After an attempt that went on with an earlier one has delivered: remove what that one had put aside."""
    if upload.finished and not capabilities.replaces_in_one_step:
        asides = {aside(temp) for temp, _, _ in upload.replacements(upload.temp_path)} - upload.fences
        if asides:
            yield tuple(map(wire.Remove, sorted(asides)))


def _fence(upload: SftpUpload, old: bytes, path: bytes) -> Talk:
    """Hold the name `old` with an empty file, so that nothing can be renamed to it any more. If just that has happened,
    undo it."""
    opened = None
    if not upload.quirks.refuses_exclusive or not (yield from exists(old)):
        (opened,) = yield (wire.Open(old, new_file_flags(upload.quirks)),)
    if opened is None or isinstance(opened, StatusError):
        yield (wire.Rename(old, path),)
        return
    yield (wire.Close(opened.handle),)
    upload.fences.add(old)
