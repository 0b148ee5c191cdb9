"""What a server does for this user in this folder, found out by doing it: every step of a delivery, and what is only
needed now and then.

Everything is made under hidden names nobody can guess, and removed again whatever happened; what could not be removed
is reported. A refusal is a finding and not an error: a trial goes on to the next step. Only a lost link ends it, and
`broken_off`: then no new step begins, and what is there is removed.
"""

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from iris_communication.errors import IrisError, LinkError, ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Answer, Talk
from iris_communication.sftp.conversations.in_place import put_in_place
from iris_communication.sftp.conversations.look import (
    means_missing,
    new_file_flags,
    open_created,
    was_missing,
    without_exclusive,
)
from iris_communication.sftp.conversations.put import put
from iris_communication.sftp.conversations.upload import TEMP_PREFIX, Quirks, SftpUpload
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.wire import FX_EOF, READ, WRITE

CONTENT = b"iris: what does this server do for us?\n"
MODE, MTIME_S = 0o640, 1_000_000_000
USUAL_ENDS = (b".csv", b".jpg", b".txt", b"")
OPEN_FILES = 64  # at once; more are hardly ever of use


@dataclass(slots=True)
class Findings:
    """`refused`: the server's text for each step that it did not do; what is not in it, it did. `replaces`: a plain
    rename onto a taken name does so, None: not found out. `open_files`: at once, as far as was tried; 0: it was not.

    `files` and `folders` may be there because of the trial: a file is listed from before its OPEN until it is known to
    be gone, so that it can be named whenever the trial ends. `broken_off` is set from outside, to end it early."""

    folder: bytes
    made_folder: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    replaces: bool | None = None
    quirks: Quirks = field(default_factory=Quirks)
    usual_name: bytes = b""  # under which a file could be made, where hidden names are refused
    open_files: int = 0
    free_bytes: int | None = None
    files: list[bytes] = field(default_factory=list)
    folders: list[bytes] = field(default_factory=list)  # lowest last
    broken_off: bool = False

    @property
    def left(self) -> list[bytes]:
        """What the trial has made, or may have, and not removed."""
        return [*self.files, *self.folders]


class TrialContent:
    """The bytes of what a trial writes: the source of its conversation. Longer ones are zeros."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        return CONTENT[offset : offset + size_bytes].ljust(size_bytes, b"\0")


class _BrokenOff(Exception):
    """Raised where the next request would have been asked."""


class _Trial:
    def __init__(self, found: Findings, token: bytes, capabilities: Capabilities) -> None:
        self.found = found
        self.files = found.files
        self.capabilities = capabilities
        self.token = token
        self.named(TEMP_PREFIX, b"")

    def named(self, begin: bytes, end: bytes) -> None:
        """Set the names of its files from now on."""
        self.first, self.second, self.below = (
            posixpath.join(self.found.folder, begin + self.token + part) for part in (b"-a" + end, b"-b" + end, b"-d")
        )
        self.end = end

    def ask(self, *requests: wire.Request) -> Talk:
        if self.found.broken_off:
            raise _BrokenOff
        return (yield requests)

    def does(self, step: str, *requests: wire.Request) -> Talk:
        """Whether the server did all of them; the answers are in `self.answers`."""
        self.answers = yield from self.ask(*requests)
        for answer in self.answers:
            if isinstance(answer, StatusError):
                self.found.refused.setdefault(step, str(answer))
                return False
        return True

    def finding(self, step: str, text: str) -> None:
        self.found.refused.setdefault(step, text)


def trial(found: Findings, token: bytes, capabilities: Capabilities) -> Talk:
    """Fills `found`. Raises what ends the session. Its source is a `TrialContent`."""
    this = _Trial(found, token, capabilities)
    try:
        yield from _folder(this)
        if (yield from _first_file(this)):
            yield from _kept(this)
            yield from _goes_on(this)
            yield from _names(this)
            yield from _folder_below(this)
        yield from _free_space(this)
    except _BrokenOff:
        pass  # only the clearing away is left to do
    yield from clear_away(found)


def one_of_many(found: Findings, path: bytes) -> Talk:
    """One of several conversations at once: the connection counts how many files were open. The file is there until it
    is cleared away."""
    handle = yield from open_new(found, path)
    if handle is not None:
        yield (wire.Close(handle),)


def open_new(found: Findings, path: bytes) -> Talk:
    """The handle, or None where it was refused. The file is there until it is cleared away."""
    found.files.append(path)
    opened = yield from open_created(path, found.quirks)
    if isinstance(opened, StatusError):
        found.files.remove(path)
        return None
    return opened.handle


def clear_away(found: Findings) -> Talk:
    """Remove what may be there. What is refused is a finding, and stays in `found.left`."""
    files = tuple(found.files)
    answers = (yield tuple(map(wire.Remove, files))) if files else []
    for path, answer in zip(files, answers, strict=True):
        if (yield from _is_gone(found, path, answer)):
            found.files.remove(path)
    for path in found.folders[::-1]:  # one after the other: a folder is removed once it is empty
        (answer,) = yield (wire.RemoveDirectory(path),)
        if (yield from _is_gone(found, path, answer)):
            found.folders.remove(path)


def _is_gone(found: Findings, path: bytes, answer: Answer) -> Talk:
    if not isinstance(answer, StatusError) or (yield from was_missing(answer, path)):
        return True
    found.refused.setdefault("remove", str(answer))
    return False


def _folder(this: _Trial) -> Talk:
    """The folder itself, made with all above it where it is missing, as the first delivery would."""
    (there,) = yield from this.ask(wire.Stat(this.found.folder))
    if not (yield from means_missing(there, this.found.folder)):
        return
    for path in _paths(this.found.folder):
        (made,) = yield from this.ask(wire.MakeDirectory(path))
        if not isinstance(made, StatusError):
            this.found.folders.append(path)
            this.found.made_folder = True


def _paths(folder: bytes) -> Iterator[bytes]:
    """Each folder of the path, from the top."""
    parts = folder.split(b"/")
    return (path for count in range(1, len(parts) + 1) if (path := b"/".join(parts[:count])) not in (b"", b"."))


def _first_file(this: _Trial) -> Talk:
    """Whether a file can be made, under a hidden name, or else under a name like those of delivered files: some
    accounts may use no others."""
    if (yield from _file(this, "create", "write", this.first)):
        return True
    if "create" not in this.found.refused:
        return False
    text = this.found.refused["create"]
    for end in USUAL_ENDS:
        this.named(b"iris-", end)
        if (yield from _file(this, "create", "write", this.first)):
            del this.found.refused["create"]
            this.finding("hidden names", text)
            this.found.usual_name = this.first
            return True
    return False


def _file(this: _Trial, opens: str, writes: str, path: bytes) -> Talk:
    this.files.append(path)
    (opened,) = yield from this.ask(wire.Open(path, new_file_flags(this.found.quirks)))
    opened = yield from without_exclusive(path, this.found.quirks, opened)
    if isinstance(opened, StatusError):
        this.finding(opens, str(opened))
        this.files.remove(path)
        return False
    handle = opened.handle
    return (yield from this.does(writes, wire.Write(handle, 0, len(CONTENT)), wire.Close(handle)))


def _kept(this: _Trial) -> Talk:
    """Check what was written: its size, its bytes, and which attributes may be set."""
    if (yield from this.does("look", wire.Stat(this.first))):
        (seen,) = this.answers
        if seen.size_bytes not in (None, len(CONTENT)):
            this.finding("write", f"it says it has all {len(CONTENT)} bytes of a file, and shows {seen.size_bytes}")
    if (yield from this.does("read", wire.Open(this.first, READ))):
        handle = this.answers[0].handle
        if (yield from this.does("read", wire.Read(handle, 0, 2 * len(CONTENT)), wire.Close(handle))):
            data = this.answers[0].data
            if data != CONTENT:
                this.finding("write", f"of {len(CONTENT)} bytes that were written, others come back")
    if (yield from this.does("attributes", wire.SetStat(this.first, MODE, MTIME_S), wire.Stat(this.first))):
        permissions = this.answers[1].permissions
        if permissions is not None and permissions & 0o777 != MODE:
            this.finding("attributes", "it says yes, and does nothing")


def _goes_on(this: _Trial) -> Talk:
    """Whether a file that is there can be continued, as after a cut. Some servers empty it first."""
    if not (yield from this.does("resume", wire.Open(this.first, WRITE))):
        return
    handle = this.answers[0].handle
    on = wire.Write(handle, len(CONTENT), len(CONTENT))
    if not (yield from this.does("resume", on, wire.Close(handle))):
        return
    if not (yield from this.does("read", wire.Open(this.first, READ))):
        return
    handle = this.answers[0].handle
    read, _ = yield from this.ask(wire.Read(handle, 0, len(CONTENT)), wire.Close(handle))
    if isinstance(read, StatusError) and read.code != FX_EOF:
        this.finding("read", str(read))
    elif read != wire.Data(CONTENT):
        this.finding("resume", "what was there before is gone")


def _names(this: _Trial) -> Talk:
    this.files.append(this.second)
    if not (yield from this.does("rename", wire.Rename(this.first, this.second))):
        this.files.remove(this.second)
        return
    this.files.remove(this.first)
    if not (yield from _file(this, "create", "write", this.first)):
        return
    (plain,) = yield from this.ask(wire.Rename(this.first, this.second))
    this.found.replaces = not isinstance(plain, StatusError)
    if this.found.replaces:
        this.files.remove(this.first)
        if not (yield from _file(this, "create", "write", this.first)):
            return
    if not this.capabilities.replaces_in_one_step:
        this.finding("replace in one step", "not offered")
    elif (yield from this.does("replace in one step", wire.PosixRename(this.first, this.second))):
        this.files.remove(this.first)


def _folder_below(this: _Trial) -> Talk:
    this.found.folders.append(this.below)
    if not (yield from this.does("folders", wire.MakeDirectory(this.below))):
        this.found.folders.remove(this.below)
        return
    yield from _delivery(this, posixpath.join(this.below, b"new"))


def _delivery(this: _Trial, folder: bytes) -> Talk:
    """A whole delivery, as of any file, into a folder that is not there yet."""
    content = TrialContent()
    upload = SftpUpload(
        final_path=posixpath.join(folder, b"a" + (this.end or USUAL_ENDS[0])),
        temp_path=posixpath.join(folder, TEMP_PREFIX + b"a"),
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        confirm_source=lambda: None,
        quirks=this.found.quirks,
    )
    this.found.folders.append(folder)
    this.files += [upload.temp_path, upload.final_path]
    in_place = bool({"rename", "hidden names"} & this.found.refused.keys())
    talk = put_in_place(upload, this.capabilities, content.read) if in_place else put(upload, this.capabilities)
    try:
        yield from talk
        this.files.remove(upload.temp_path)
    except IrisError as error:
        if isinstance(error, LinkError | ProtocolViolation):
            raise
        this.finding("new folder", str(error))


def _free_space(this: _Trial) -> Talk:
    if not this.capabilities.tells_free_space:
        this.finding("free space", "not offered")
    elif (yield from this.does("free space", wire.free_space(this.found.folder))):
        try:
            _, fragment_bytes, _, _, free, *_ = this.answers[0].numbers(11)
        except ProtocolViolation as error:
            this.finding("free space", str(error))
        else:
            this.found.free_bytes = free * fragment_bytes
