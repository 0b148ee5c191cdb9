"""What a server does for this user in this folder, found out by doing it: every step of a delivery, and what is only
needed now and then.

Everything is made under hidden names nobody can guess, and removed again whatever happened; what could not be removed
is told. A refusal is a finding and not an error: a trial goes on to the next step. Only a lost link ends it.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.session import Talk
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.wire import CREATE, EXCLUSIVE, FX_NO_SUCH_FILE, READ, WRITE

CONTENT = b"iris: what does this server do for us?\n"
MODE, MTIME_S = 0o640, 1_000_000_000
OPEN_FILES = 64  # at once; more are hardly ever of use


@dataclass(slots=True)
class Findings:
    """`refused`: the server's words for each step that it did not do; what is not in it, it did. `replaces`: a plain
    rename onto a taken name does so, None: not found out. `open_files`: at once, as far as was tried; 0: it was not."""

    folder: bytes
    made_folder: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    replaces: bool | None = None
    open_files: int = 0
    free_bytes: int | None = None
    left: list[bytes] = field(default_factory=list)


class TrialContent:
    """The bytes of what a trial writes: the source of its conversation. Longer ones are zeros."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        return CONTENT[offset : offset + size_bytes].ljust(size_bytes, b"\0")


class _Trial:
    def __init__(self, folder: bytes, token: bytes, capabilities: Capabilities) -> None:
        self.found = Findings(folder)
        self.capabilities = capabilities
        self.first, self.second = (posixpath.join(folder, b".iris-" + token + end) for end in (b"-a", b"-b"))
        self.below = posixpath.join(folder, b".iris-" + token + b"-d")
        self.files: list[bytes] = []  # that may be there, to be removed
        self.folders: list[bytes] = []  # likewise, lowest last

    def does(self, step: str, *requests: wire.Request) -> Talk:
        """Whether it did all of them; the answers are in `self.answers`."""
        self.answers = yield requests
        for answer in self.answers:
            if isinstance(answer, StatusError):
                self.found.refused.setdefault(step, str(answer))
                return False
        return True

    def finding(self, step: str, words: str) -> None:
        self.found.refused.setdefault(step, words)


def trial(folder: bytes, token: bytes, capabilities: Capabilities) -> Talk:
    """Returns Findings. Raises what ends the session. Its source is a `TrialContent`."""
    this = _Trial(folder, token, capabilities)
    yield from _folder(this)
    if (yield from _file(this, "create", "write", this.first)):
        yield from _kept(this)
        yield from _goes_on(this)
        yield from _names(this)
        if (yield from this.does("folders", wire.MakeDirectory(this.below))):
            this.folders.append(this.below)
    yield from _free_space(this)
    yield from _clear_away(this)
    return this.found


def one_of_many(path: bytes) -> Talk:
    """Of conversations that go on at once: how many files were open is known to whoever counts their handles."""
    (opened,) = yield (wire.Open(path, WRITE | CREATE | EXCLUSIVE),)
    if not isinstance(opened, StatusError):
        yield wire.Close(opened.handle), wire.Remove(path)


def _folder(this: _Trial) -> Talk:
    """The folder itself, made with all above it where it is missing, as the first delivery would."""
    (there,) = yield (wire.Stat(this.found.folder),)
    if not isinstance(there, StatusError) or there.code != FX_NO_SUCH_FILE:
        return
    for path in _paths(this.found.folder):
        (made,) = yield (wire.MakeDirectory(path),)
        if not isinstance(made, StatusError):
            this.folders.append(path)
            this.found.made_folder = True


def _paths(folder: bytes) -> Iterator[bytes]:
    """Each folder on the way, from above."""
    parts = folder.split(b"/")
    return (path for count in range(1, len(parts) + 1) if (path := b"/".join(parts[:count])) not in (b"", b"."))


def _file(this: _Trial, opens: str, writes: str, path: bytes) -> Talk:
    if not (yield from this.does(opens, wire.Open(path, WRITE | CREATE | EXCLUSIVE))):
        return False
    this.files.append(path)
    handle = this.answers[0].handle
    return (yield from this.does(writes, wire.Write(handle, 0, len(CONTENT)), wire.Close(handle)))


def _kept(this: _Trial) -> Talk:
    """What was written, as it can be seen: its size, its bytes, and what may be set."""
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
    """Whether a file that is there can be written on, as after a cut. Some servers empty it first."""
    if not (yield from this.does("resume", wire.Open(this.first, WRITE))):
        return
    handle = this.answers[0].handle
    on = wire.Write(handle, len(CONTENT), len(CONTENT))
    if not (yield from this.does("resume", on, wire.Close(handle))):
        return
    (opened,) = yield (wire.Open(this.first, READ),)
    if not isinstance(opened, StatusError):
        read, _ = yield wire.Read(opened.handle, 0, len(CONTENT)), wire.Close(opened.handle)
        if read != wire.Data(CONTENT):
            this.finding("resume", "what was there before is gone")


def _names(this: _Trial) -> Talk:
    this.files.append(this.second)
    if not (yield from this.does("rename", wire.Rename(this.first, this.second))):
        return
    this.files.remove(this.first)
    if not (yield from _file(this, "create", "write", this.first)):
        return
    (plain,) = yield (wire.Rename(this.first, this.second),)
    this.found.replaces = not isinstance(plain, StatusError)
    if this.found.replaces:
        this.files.remove(this.first)
        yield from _file(this, "create", "write", this.first)
    if not this.capabilities.replaces_in_one_step:
        this.finding("replace in one step", "not offered")
    elif (yield from this.does("replace in one step", wire.PosixRename(this.first, this.second))):
        this.files.remove(this.first)


def _free_space(this: _Trial) -> Talk:
    if not this.capabilities.tells_free_space:
        this.finding("free space", "not offered")
    elif (yield from this.does("free space", wire.free_space(this.found.folder))):
        _, fragment_bytes, _, _, free, *_ = this.answers[0].numbers(11)
        this.found.free_bytes = free * fragment_bytes


def _clear_away(this: _Trial) -> Talk:
    requests: list[wire.Remove | wire.RemoveDirectory] = [*map(wire.Remove, this.files)]
    requests += map(wire.RemoveDirectory, reversed(this.folders))
    for request in requests:  # one after the other: a folder is removed once it is empty
        (answer,) = yield (request,)
        if isinstance(answer, StatusError) and answer.code != FX_NO_SUCH_FILE:
            this.finding("remove", str(answer))
            this.found.left.append(request.path)
