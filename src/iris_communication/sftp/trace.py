"""The latest protocol events of a session, to explain why one of its files was given up.

Idea. Every request and every answer is noted, and hardly any is ever read. So a note is a tuple of existing objects, in
a ring buffer, and becomes text only on demand.

Rules. Of a file's content only place and size are noted. A server's text is cleaned and cut.
"""

from collections import deque
from datetime import UTC, datetime
from typing import Any, NamedTuple

from iris_communication.plain_text import PEER_NAME_MAX, PEER_TEXT_MAX, clean, of_bytes
from iris_communication.sftp import wire
from iris_communication.sftp.status import NAMES, StatusError, shown

EVENTS_MAX = 300
_FLAGS = ((wire.READ, "read"), (wire.WRITE, "write"), (wire.CREATE, "create"), (wire.EXCLUSIVE, "exclusive"))


class TracedGreeting(NamedTuple):
    version: int
    extensions: tuple[bytes, ...]


# (when, request id, what was sent or received); of a part of a Write also its offset and its size in bytes
Event = tuple[float, int, Any] | tuple[float, int, wire.Write, int, int]
Events = deque[Event]


def no_events() -> Events:
    return deque(maxlen=EVENTS_MAX)


def noted(answer: wire.Reply | StatusError) -> Any:
    """What is kept of an answer that may be long."""
    if isinstance(answer, wire.Data):
        return len(answer.data)
    if isinstance(answer, StatusError):  # the exception holds the frames it was raised through, and all objects in them
        return wire.Status(answer.code, answer.message)
    return wire.ExtendedReply(b"") if isinstance(answer, wire.ExtendedReply) else answer


def lines(events: Events, ahead_s: float) -> list[str]:
    """One event a line, oldest first: `2026-11-24T03:14:22.123Z > 17 OPEN '/in/a.csv' write create exclusive`.
    `ahead_s` is by how much UTC as seconds since 1970 is ahead of the events' times."""
    return [f"{_time(at_s + ahead_s)} {_event(request_id, what, part)}" for at_s, request_id, what, *part in events]


def _time(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(request_id: int, what: Any, part: list[int]) -> str:
    match what:
        case wire.Write(handle):
            offset, size_bytes = part
            return f"> {request_id} WRITE {_handle(handle)} offset {offset} size {size_bytes}"
        case TracedGreeting(version, extensions):
            return f"< VERSION {version} {' '.join(map(_text, extensions))}".rstrip()
        case wire.Status(wire.FX_OK):
            return f"< {request_id} OK"
        case wire.Status(code, message):
            return f"< {request_id} {NAMES.get(code, f'status {code}')}{f' ({message})' if message else ''}"
        case str(text):
            return f"! {request_id} {clean(text, PEER_TEXT_MAX)}"
        case wire.Handle(handle):
            return f"< {request_id} HANDLE {_handle(handle)}"
        case int(size_bytes):
            return f"< {request_id} DATA {size_bytes} bytes"
        case wire.Attributes(size_bytes, permissions):
            mode = "" if permissions is None else f" mode {permissions:o}"
            return f"< {request_id} ATTRS{'' if size_bytes is None else f' size {size_bytes}'}{mode}"
        case wire.ExtendedReply():
            return f"< {request_id} EXTENDED_REPLY"
    return f"> {request_id} {_request(what)}"


def _request(request: Any) -> str:
    match request:
        case wire.Open(path, flags):
            return f"OPEN {shown(path)} {' '.join(word for flag, word in _FLAGS if flags & flag)}"
        case wire.Close(handle):
            return f"CLOSE {_handle(handle)}"
        case wire.Read(handle, offset, size_bytes):
            return f"READ {_handle(handle)} offset {offset} size {size_bytes}"
        case wire.WriteBytes(handle, offset, data):
            return f"WRITE {_handle(handle)} offset {offset} size {len(data)}"
        case wire.Rename(old, new) | wire.PosixRename(old, new):
            name = "RENAME" if isinstance(request, wire.Rename) else _text(wire.POSIX_RENAME)
            return f"{name} {shown(old)} {shown(new)}"
        case wire.Remove(path):
            return f"REMOVE {shown(path)}"
        case wire.MakeDirectory(path):
            return f"MKDIR {shown(path)}"
        case wire.Stat(path):
            return f"STAT {shown(path)}"
    return _text(request.name)  # an extension; its arguments are not shown


def _handle(handle: bytes) -> str:
    return handle[:16].hex() + ("..." if len(handle) > 16 else "")


def _text(value: bytes) -> str:
    return of_bytes(value, PEER_NAME_MAX)
