"""One health check as a conversation: does the server answer, is there room, and could a file be delivered now?

Idea. A server that lets us in may still be of no use: its disk is full or mounted read-only, the folder is closed to
us, renaming is forbidden. A check finds that out before a file has to. Looking costs one exchange; the round trip, if
configured, does what a delivery does, under hidden names nobody can guess.

Rules.
- What a check finds is a value, not an error: a server that answers is up, whatever it refuses. Only a full disk is
  raised, because then every file would fail and no file is to blame; and so is, by the session, a lost link.
- Nothing is made but the one file of the round trip. A missing folder is no trouble: the first delivery makes it.
- That file is removed whatever happened to it before. What could not be removed is remembered by name and removed
  first by the next check; until that succeeds there is no other round trip, so that a server which forbids removing
  holds one such file and not one more each minute.

What goes wrong. A link that breaks in the middle leaves the file until the next check on this server. A process that
dies in that moment leaves it for good: a few bytes under a hidden name. A pick-up job that takes hidden files away
would take unfinished uploads as well, and is reported.
"""

import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from iris_communication.errors import IrisError, RemoteDiskFull, RemoteFailure, RemoteRefused
from iris_communication.runtime.amounts import size
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import READ_ONLY, means_missing, open_created, was_missing
from iris_communication.sftp.conversations.upload import TEMP_PREFIX, Quirks
from iris_communication.sftp.status import StatusError, blame, hint_at_hidden_names, shown

CONTENT = b"iris: is this server well?\n"


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`: nothing was found that would keep a file from being delivered. `done`: names of what was checked.
    `text` and `hint` say what will not work, or what is worth knowing though it is no trouble. `latency_s`: of one
    request and its answer, whatever else was under way."""

    ok: bool
    done: tuple[str, ...]
    free_bytes: int | None = None
    total_bytes: int | None = None
    text: str = ""
    hint: str = ""
    latency_s: float | None = None


@dataclass(slots=True)
class Probe:
    """`token` makes the names of the round trip, empty: none is made. `leftovers` are the files that earlier checks of
    this server may have left, kept up to date as it happens: all checks of one server share it. `answered` is called
    when the first answer has come: only its owner has a clock."""

    folder: bytes
    token: bytes = b""
    leftovers: set[bytes] = field(default_factory=set)
    answered: Callable[[], None] = lambda: None
    in_place: bool = False  # files get no hidden name, and none is renamed
    hidden_refused: bool = False  # set as it happens

    @property
    def first_path(self) -> bytes:
        return posixpath.join(self.folder, TEMP_PREFIX + self.token)

    @property
    def second_path(self) -> bytes:
        return self.first_path + b"-renamed"


class Finding(NamedTuple):
    ok: bool
    text: str
    hint: str


WELL = Finding(ok=True, text="", hint="")


@dataclass(frozen=True, slots=True)
class Space:
    free_bytes: int
    total_bytes: int
    read_only: bool


class ProbeContent:
    """The bytes of the round trip's file: the source of the conversation."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        return CONTENT[offset : offset + size_bytes]


def probe(check: Probe, capabilities: Capabilities) -> Talk:
    """Returns Health. Raises RemoteDiskFull, and what ends the session. Its source is a `ProbeContent`."""
    (there,) = yield (wire.Stat(check.folder),)
    check.answered()
    missing = yield from means_missing(there, check.folder)
    done, space = ["answers"], None
    if capabilities.tells_free_space:
        space = yield from _space((yield from _nearest_folder(check.folder)) if missing else check.folder)
        if space is not None:
            done.append("free space")
    finding = _seen(there, space, check.folder, missing=missing)
    if finding is WELL and check.token:
        done.append("round trip")
        finding = yield from _round_trip(check)
    free_bytes, total_bytes = (space.free_bytes, space.total_bytes) if space else (None, None)
    return Health(finding.ok, tuple(done), free_bytes, total_bytes, finding.text, finding.hint)


def _nearest_folder(folder: bytes) -> Talk:
    """The lowest folder above a missing one that is there: on its disk the missing one will be made."""
    above = []
    while (upper := posixpath.dirname(folder)) not in (folder, b""):
        above.append(upper)
        folder = upper
    answers = (yield tuple(map(wire.Stat, above))) if above else []
    return next((path for path, answer in zip(above, answers, strict=True) if type(answer) is wire.Attributes), b".")


def _space(folder: bytes) -> Talk:
    """None where the server does not say. Raises RemoteDiskFull when nothing more can be written."""
    (reply,) = yield (wire.free_space(folder),)
    if not isinstance(reply, wire.ExtendedReply) or len(reply.body) < 8 * 11:
        return None
    _, fragment_bytes, fragments, _, free, files, _, free_files, _, flags, _ = reply.numbers(11)
    space = Space(free * fragment_bytes, fragments * fragment_bytes, bool(flags & READ_ONLY))
    where = shown(folder)
    if not space.read_only and space.free_bytes == 0 < space.total_bytes:
        raise RemoteDiskFull(f"the server's disk is full: nothing of {size(space.total_bytes)} is free under {where}")
    if not space.read_only and free_files == 0 < files:
        raise RemoteDiskFull(f"the server's disk takes no more files: 0 of {files} left under {where}")
    return space


def _seen(there: wire.Reply | StatusError, space: Space | None, folder: bytes, *, missing: bool) -> Finding:
    """What STAT and statvfs show. A folder that we may not STAT may still take files."""
    where = shown(folder)
    if space is not None and space.read_only:
        text = f"the disk under {where} is mounted read-only"
        return Finding(ok=False, text=text, hint="remount it for writing on the server")
    if missing:
        text = f"the folder {where} does not exist yet"
        return Finding(ok=True, text=text, hint="the first file creates it, if the server permits that")
    if isinstance(there, wire.Attributes) and stat.S_IFMT(there.permissions or 0) not in (0, stat.S_IFDIR):
        return Finding(ok=False, text=f"{where} is not a folder", hint="correct remote_directory")
    return WELL


def _round_trip(check: Probe) -> Talk:
    yield from _clear_away(check)
    if check.leftovers:
        return _finding(_not_removed(check))
    trouble = yield from _write(check)
    if trouble is None and not check.in_place:
        trouble = yield from _rename(check)
    yield from _clear_away(check)
    if isinstance(trouble, RemoteDiskFull):
        raise trouble
    if trouble is not None and check.in_place and check.hidden_refused:
        text = f"{trouble}, under a hidden name; whether it could be under another is not looked at"
        return Finding(ok=True, text=text, hint="nothing to do while files arrive: Iris writes them in place")
    if trouble is None and check.leftovers:
        trouble = _not_removed(check)
    return _finding(trouble)


def _write(check: Probe) -> Talk:
    """What is wrong, or None: the file is there under its first name, every byte acknowledged."""
    check.leftovers.add(check.first_path)
    opened = yield from open_created(check.first_path, Quirks())
    if isinstance(opened, StatusError):
        check.leftovers.discard(check.first_path)
        failure = blame(opened, "create a file in", check.folder)
        hint_at_hidden_names(failure)
        check.hidden_refused = not opened.says_disk_full
        return failure
    answers = yield wire.Write(opened.handle, 0, len(CONTENT)), wire.Close(opened.handle)
    refused = next((answer for answer in answers if isinstance(answer, StatusError)), None)
    return blame(refused, "write to a file in", check.folder) if refused else None


def _rename(check: Probe) -> Talk:
    """What is wrong, or None: the file is there under its second name, with its size."""
    check.leftovers.add(check.second_path)
    (renamed,) = yield (wire.Rename(check.first_path, check.second_path),)
    if isinstance(renamed, StatusError):
        check.leftovers.discard(check.second_path)
        if (yield from was_missing(renamed, check.first_path)):
            return _taken_away(check)
        return blame(renamed, "rename a file in", check.folder)
    check.leftovers.discard(check.first_path)
    (kept,) = yield (wire.Stat(check.second_path),)
    if isinstance(kept, StatusError):  # any other refusal: STAT is forbidden
        return _taken_away(check) if (yield from means_missing(kept, check.second_path)) else None
    if kept.size_bytes not in (None, len(CONTENT)):
        kept_text = f"the server kept {kept.size_bytes} of {len(CONTENT)} bytes of a file in {shown(check.folder)}"
        return RemoteFailure(f"{kept_text}, and acknowledged all of them")
    return None


def _clear_away(check: Probe) -> Talk:
    """Remove what this check or an earlier one has left. What is gone already counts as removed."""
    paths = sorted(check.leftovers)
    answers = (yield tuple(map(wire.Remove, paths))) if paths else []
    for path, answer in zip(paths, answers, strict=True):
        if not isinstance(answer, StatusError) or (yield from was_missing(answer, path)):
            check.leftovers.discard(path)


def _not_removed(check: Probe) -> IrisError:
    left = shown(min(check.leftovers))
    return RemoteRefused(
        f"cannot remove {left}, which a health check made", hint="permit this user to remove files in that folder"
    )


def _taken_away(check: Probe) -> IrisError:
    text = f"somebody took a hidden file away from {shown(check.folder)} while it was in use"
    return RemoteFailure(
        text, hint="make the pick-up job ignore names that begin with .iris-: those files are unfinished"
    )


def _finding(trouble: IrisError | None) -> Finding:
    return WELL if trouble is None else Finding(ok=False, text=str(trouble), hint=trouble.hint)
