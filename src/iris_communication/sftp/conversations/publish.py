"""From the temp name to the final one: what becomes of a name that is taken, and of an unanswered rename.

Rules.
- A final name that holds the same bytes is a delivery whose answer was lost (or the same file queued twice), and
  counts as delivered, whatever the policy. So does a temp file that only an earlier rename of ours can have taken.
- A final name that holds something else is treated as the server's `conflict` says. `rename`: the file takes an
  alternative name that is derived from its content, so that a repeated attempt arrives at the same name. `overwrite`:
  it replaces what is there, see `replacing`. `fail` and `keep`: what is there stays and ours is not delivered; with
  `fail` a person has to decide, with `keep` nobody has to.
- Where a server may overwrite without an error, the name is checked first, by a STAT behind the CLOSE. The carrier
  sends files for one name in turn, or two of ours that both find it free would overwrite one another. Which names are
  the same depends on the server's disk, so names that may be the same on some disk count as the same (`same_name`).
- A temp file whose rename was once left unanswered is not removed: were this process killed before that is recorded,
  its absence would look like that rename's success.

What goes wrong. A dead session may go on on the server's side: its late rename then competes with ours for the same
temp file, and one of the two finds it gone. A server that comes back with another disk has neither the temp file nor
its folder, and is sent the file anew; that another upload has made the folder again meanwhile is remembered for as long
as the connection lives.
"""

import posixpath

from iris_communication.errors import IrisError, RemoteNameKept, RemoteNameTaken
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations import marker
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import (
    MAY_NOT_LOOK,
    discard,
    exists,
    holds,
    is_file,
    is_missing,
    means_missing,
    reason,
)
from iris_communication.sftp.conversations.replacing import rename_over, replace
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.status import StatusError, blame, shown
from iris_communication.sftp.wire import FX_FAILURE, FX_FILE_ALREADY_EXISTS, FX_OP_UNSUPPORTED, FX_PERMISSION_DENIED

_TAKEN_AWAY = (
    "the server, or a pick-up job, took the hidden file away before it had its name: let it leave alone what begins "
    "with .iris-, or set in_place = true"
)
_NO_RENAME = "permit renaming in that folder; for a server that cannot rename at all, set in_place = true"


def publish(upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """Give the finished temp file its name; returns the path under which the file lies now, or lay until it was
    collected. Its marker, if there is to be one, is prepared. Raises IrisError."""
    if upload.finished and upload.marker and (yield from _has_landed(upload)):
        return (yield from _landed(upload))
    for path in upload.paths:
        if upload.marker:
            try:
                yield from marker.prepare(upload, path, capabilities)
            except IrisError:
                yield from _give_up(upload)
                raise
        landed = yield from _take_name(path, upload, capabilities)
        if landed is not None:
            return landed
        yield from marker.take_back(upload)
    yield from _give_up(upload)
    raise refusal(upload)


def may_replace_unseen(upload: SftpUpload, capabilities: Capabilities) -> bool:
    """Whether the name has to be checked before the rename."""
    return upload.conflict != "overwrite" and not capabilities.rename_refuses_existing


def look_first(upload: SftpUpload) -> Talk:
    """Check the name before the bytes are sent, where they might be sent for nothing. The final path if it holds them;
    None if it is free, for now. Raises IrisError."""
    if upload.conflict not in ("fail", "keep") or not (yield from exists(upload.final_path)):
        return None
    if (yield from holds(upload.final_path, upload.size_bytes, upload.sha256)):
        return upload.final_path
    raise refusal(upload)


def _take_name(path: bytes, upload: SftpUpload, capabilities: Capabilities) -> Talk:
    """Where the file landed; None: `path` holds something else, which is to stay."""
    replacing = upload.conflict == "overwrite"
    if may_replace_unseen(upload, capabilities) and (yield from _is_taken(path, upload)):
        if upload.finished and (yield from _went_through(upload)):
            return (yield from _landed(upload))
        return (yield from _same_bytes(path, upload))
    upload.rename_sent = True
    try:
        if replacing:
            yield from rename_over(upload.temp_path, path, capabilities)
        else:
            yield wire.Rename(upload.temp_path, path)
    except StatusError as refused:
        upload.rename_sent = False
        if upload.finished and (yield from _went_through(upload, refused)):
            return (yield from _landed(upload))
        if (yield from _same_bytes(path, upload)) is not None:
            return path
        if replacing and not capabilities.replaces_in_one_step and (yield from is_file(path)):
            return (yield from _replace(path, upload))
        if not (yield from _may_be_taken(path, upload, refused)):
            failure = yield from reason(  # before anything is removed: that makes room
                refused, "rename the finished file to", upload, capabilities, path, needed_bytes=0
            )
            yield from _give_up(upload)
            if refused.code in (FX_OP_UNSUPPORTED, FX_PERMISSION_DENIED):
                failure.hint = _NO_RENAME
            elif refused.says_missing:
                failure.hint = _TAKEN_AWAY
            raise failure from refused
        return None
    return path


def _replace(path: bytes, upload: SftpUpload) -> Talk:
    upload.rename_sent = True
    try:
        yield from replace(upload, upload.temp_path, path)
    except StatusError as refused:
        upload.rename_sent = False
        yield from _give_up(upload)
        raise blame(refused, "replace", path) from refused
    return path


def _same_bytes(path: bytes, upload: SftpUpload) -> Talk:
    """`path`, if it holds them: then the temp file is not needed."""
    if not (yield from holds(path, upload.size_bytes, upload.sha256)):
        return None
    yield from discard(upload)
    return path


def _is_taken(path: bytes, upload: SftpUpload) -> Talk:
    """For a server that would overwrite. Where the account may not STAT at all the name counts as free: such a server
    guards its names itself. After any other refusal it is not known, and then nothing may be renamed."""
    found, upload.final_look = upload.final_look if path == upload.final_path else None, None
    if found is None:
        (found,) = yield (wire.Stat(path),)
    if not isinstance(found, StatusError):
        return True
    if found.code not in MAY_NOT_LOOK and not (yield from means_missing(found, path)):
        yield from _give_up(upload)
        raise blame(found, "look at", path) from found
    return False


def _may_be_taken(path: bytes, upload: SftpUpload, refused: StatusError) -> Talk:
    """For a name to which a rename was refused. A drop box that forbids STAT says no more than FAILURE of a name that
    is taken: where there is an alternative name, that may be free."""
    (found,) = yield (wire.Stat(path),)
    if not isinstance(found, StatusError):
        return True
    return (
        found.code in MAY_NOT_LOOK
        and refused.code in (FX_FAILURE, FX_FILE_ALREADY_EXISTS)
        and path != [*upload.paths][-1]
    )


def _has_landed(upload: SftpUpload) -> Talk:
    """Checked before its marker is prepared: a file that has landed has one, which may have been collected as well."""
    return not (yield from exists(upload.temp_path)) and (yield from _went_through(upload))


def _went_through(upload: SftpUpload, refused: StatusError | None = None) -> Talk:
    """Whether it was the earlier rename that took the temp file: it is gone, and its folder is not. Where that cannot
    be found out for now, the attempt stays finished and the next one checks again. A folder that is there only because
    another upload had to make it proves nothing: the file is sent anew, at the worst a second time."""
    folder = posixpath.dirname(upload.temp_path)
    (found,) = yield (wire.Stat(upload.temp_path),)
    if isinstance(found, StatusError):
        says_so = refused is not None and refused.says_missing
        if not says_so and not (yield from means_missing(found, upload.temp_path)):
            return False
        if folder not in upload.missing_folders and not (yield from is_missing(folder or b".")):
            return True
    upload.begin_anew = True
    return False


def _landed(upload: SftpUpload) -> Talk:
    """Delivered by the earlier rename. Where it lies now is only checked; it may have been collected already."""
    for other in list(upload.paths)[1:]:
        if (yield from holds(other, upload.size_bytes, upload.sha256)):
            return other
    return upload.final_path


def _give_up(upload: SftpUpload) -> Talk:
    """It is refused for good: remove what is ours, as far as possible."""
    if not upload.finished:
        yield from discard(upload)
        yield from marker.take_back(upload)


def refusal(upload: SftpUpload) -> IrisError:
    name = shown(upload.final_path)
    taken = f"{name} on the server holds other content"
    if upload.conflict == "keep":
        return RemoteNameKept(f"{taken}, which is kept")
    if upload.conflict == "rename":
        return RemoteNameTaken(f"{taken}, and so does its alternative name")
    if upload.conflict == "overwrite":
        return RemoteNameTaken(f"{name} on the server is not a file and cannot be replaced", hint="move it away")
    return RemoteNameTaken(taken, hint="conflict is fail: move the existing file away, then retry")
