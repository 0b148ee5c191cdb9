"""SFTP version 3 as bytes: requests encode themselves, replies are decoded from whole packets.

Sources: draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL, section 4. A packet is `uint32 length | byte type |
uint32 request id | ...`; strings are `uint32 length | bytes`, and paths are bytes without any charset.

What is never sent, each because a real server breaks on it: SIZE or UIDGID attributes (one server truncates the file,
most refuse the owner), APPEND, an open for reading and writing at once, packet types the draft does not know (OpenSSH
answers those with silence), and handles of our own invention.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from iris_communication.errors import ProtocolViolation
from iris_communication.plain_text import PEER_NAME_MAX, PEER_TEXT_MAX, of_bytes

VERSION = 3

FXP_INIT, FXP_VERSION, FXP_OPEN, FXP_CLOSE, FXP_READ, FXP_WRITE = 1, 2, 3, 4, 5, 6
FXP_SETSTAT, FXP_REMOVE, FXP_MKDIR, FXP_RMDIR, FXP_STAT, FXP_RENAME = 9, 13, 14, 15, 17, 18
FXP_STATUS, FXP_HANDLE, FXP_DATA, FXP_ATTRS = 101, 102, 103, 105
FXP_EXTENDED, FXP_EXTENDED_REPLY = 200, 201

FX_OK, FX_EOF, FX_NO_SUCH_FILE, FX_PERMISSION_DENIED, FX_FAILURE, FX_BAD_MESSAGE = 0, 1, 2, 3, 4, 5
FX_OP_UNSUPPORTED, FX_NO_SUCH_PATH, FX_FILE_ALREADY_EXISTS, FX_NO_SPACE, FX_QUOTA = 8, 10, 11, 14, 15

READ, WRITE, CREATE, TRUNCATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x10, 0x20
_HAS_SIZE, _HAS_OWNER, _HAS_PERMISSIONS, _HAS_TIMES = 0x01, 0x02, 0x04, 0x08

POSIX_RENAME = b"posix-rename@openssh.com"

# OpenSSH's sftp-server ends the connection at a longer packet, and so do most that learned from it.
PACKET_MAX = 256 * 1024
# OpenSSH's client ends the connection at a longer answer too; none that we ask for comes near.
REPLY_MAX = 256 * 1024
SOME_REPLY_MAX = 16 * 1024 * 1024  # text from a login shell decodes as the length of a far larger one
HANDLE_MAX = 256  # bytes, by the draft; each request about the file carries it back
WRITE_OVERHEAD = 21 + HANDLE_MAX  # all of a WRITE that is not data
EXTENSIONS_MAX = 64  # OpenSSH offers a dozen

_HEAD = struct.Struct(">IBI")
_HEAD_AND_STRING = struct.Struct(">IBII")  # and the length of the string that follows
_WRITE_END = struct.Struct(">QI")
_OPEN_END = struct.Struct(">II")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


def _string(value: bytes) -> bytes:
    return _U32.pack(len(value)) + value


def _packet(kind: int, request_id: int, body: bytes) -> bytes:
    return _HEAD.pack(5 + len(body), kind, request_id) + body


def _one_string(kind: int, request_id: int, value: bytes, end: bytes = b"") -> bytes:
    length = len(value)
    return _HEAD_AND_STRING.pack(9 + length + len(end), kind, request_id, length) + value + end


def init() -> bytes:
    return _HEAD.pack(5, FXP_INIT, VERSION)


class Open(NamedTuple):
    """Answered by a handle. Permissions are left to the server's umask: no attribute is sent."""

    path: bytes
    flags: int

    def encode(self, request_id: int) -> bytes:
        return _one_string(FXP_OPEN, request_id, self.path, _OPEN_END.pack(self.flags, 0))


class Close(NamedTuple):
    handle: bytes

    def encode(self, request_id: int) -> bytes:
        return _one_string(FXP_CLOSE, request_id, self.handle)


class Read(NamedTuple):
    handle: bytes
    offset: int
    size_bytes: int

    def encode(self, request_id: int) -> bytes:
        body = _string(self.handle) + struct.pack(">QI", self.offset, self.size_bytes)
        return _packet(FXP_READ, request_id, body)


class Write(NamedTuple):
    """Bytes `offset .. offset + size_bytes` of the conversation's source; the session cuts them into WRITE packets."""

    handle: bytes
    offset: int
    size_bytes: int

    def head(self, request_id: int, offset: int, size_bytes: int) -> bytes:
        """All of one WRITE packet but its data, which follows it on the wire."""
        length = len(self.handle)
        head = _HEAD_AND_STRING.pack(21 + length + size_bytes, FXP_WRITE, request_id, length)
        return head + self.handle + _WRITE_END.pack(offset, size_bytes)


class WriteBytes(NamedTuple):
    """A WRITE of a few bytes that are known beforehand and need no source."""

    handle: bytes
    offset: int
    data: bytes

    def encode(self, request_id: int) -> bytes:
        body = _string(self.handle) + _U64.pack(self.offset) + _string(self.data)
        return _packet(FXP_WRITE, request_id, body)


class Rename(NamedTuple):
    old: bytes
    new: bytes

    def encode(self, request_id: int) -> bytes:
        return _packet(FXP_RENAME, request_id, _string(self.old) + _string(self.new))


class PosixRename(NamedTuple):
    """Replaces what the new name holds, in one step: no reader ever finds the name free or half of a file under it."""

    old: bytes
    new: bytes

    def encode(self, request_id: int) -> bytes:
        return _packet(FXP_EXTENDED, request_id, _string(POSIX_RENAME) + _string(self.old) + _string(self.new))


class Remove(NamedTuple):
    path: bytes

    def encode(self, request_id: int) -> bytes:
        return _one_string(FXP_REMOVE, request_id, self.path)


class MakeDirectory(NamedTuple):
    path: bytes

    def encode(self, request_id: int) -> bytes:
        return _packet(FXP_MKDIR, request_id, _string(self.path) + _U32.pack(0))


class RemoveDirectory(NamedTuple):
    path: bytes

    def encode(self, request_id: int) -> bytes:
        return _one_string(FXP_RMDIR, request_id, self.path)


class Stat(NamedTuple):
    path: bytes

    def encode(self, request_id: int) -> bytes:
        return _one_string(FXP_STAT, request_id, self.path)


class SetStat(NamedTuple):
    """Permissions and the time of the last change alone. Never a size or an owner: one server empties the file at a
    size, and a refused owner spoils the rest."""

    path: bytes
    permissions: int | None = None
    mtime_s: int | None = None

    def encode(self, request_id: int) -> bytes:
        flags, values = 0, b""
        if self.permissions is not None:
            flags, values = _HAS_PERMISSIONS, _U32.pack(self.permissions)
        if self.mtime_s is not None:
            flags |= _HAS_TIMES
            values += _U32.pack(self.mtime_s) * 2
        return _packet(FXP_SETSTAT, request_id, _string(self.path) + _U32.pack(flags) + values)


class Extended(NamedTuple):
    name: bytes
    body: bytes = b""

    def encode(self, request_id: int) -> bytes:
        return _packet(FXP_EXTENDED, request_id, _string(self.name) + self.body)


def limits() -> Extended:
    return Extended(b"limits@openssh.com")


def free_space(path: bytes) -> Extended:
    return Extended(b"statvfs@openssh.com", _string(path))


Request = (
    Open
    | Close
    | Read
    | Write
    | WriteBytes
    | Rename
    | PosixRename
    | Remove
    | MakeDirectory
    | RemoveDirectory
    | Stat
    | SetStat
    | Extended
)


class Status(NamedTuple):
    code: int
    message: str = ""


class Handle(NamedTuple):
    handle: bytes


class Data(NamedTuple):
    data: bytes


class Attributes(NamedTuple):
    size_bytes: int | None
    permissions: int | None


class ExtendedReply(NamedTuple):
    body: bytes

    def numbers(self, count: int) -> tuple[int, ...]:
        """The body as `count` uint64 values. Raises ProtocolViolation when it is shorter."""
        if len(self.body) < 8 * count:
            raise ProtocolViolation(f"an extended reply of {len(self.body)} bytes where {8 * count} were due")
        return struct.unpack_from(f">{count}Q", self.body)


Reply = Status | Handle | Data | Attributes | ExtendedReply

OK = Status(FX_OK)
_STATUS_KIND = bytes([FXP_STATUS])


def packets(buffer: bytearray) -> Iterator[bytes]:
    """Take whole packets (without their length) off the front of `buffer`, leaving what is incomplete.

    Raises ProtocolViolation for a length no server sends, showing what came instead: most often the greeting of a
    login shell.
    """
    start, size = 0, len(buffer)
    if size < 4 or size < 4 + _U32.unpack_from(buffer)[0] <= 4 + REPLY_MAX:
        return  # a long packet comes in thousands of pieces: those before are not copied for each
    data = bytes(buffer)
    try:
        while size - start >= 4:
            (length,) = _U32.unpack_from(data, start)
            if REPLY_MAX < length <= SOME_REPLY_MAX:
                text_at = start + (17 if data[start + 4 : start + 5] == _STATUS_KIND else 4)  # may not have come yet
                beginning = of_bytes(data[text_at : text_at + 60], PEER_NAME_MAX)
                raise ProtocolViolation(f"an answer of {length:,} bytes, of at most {REPLY_MAX:,}: {beginning}")
            if not 5 <= length <= SOME_REPLY_MAX:
                text = data[start : start + 60].decode("ascii", "replace")
                raise ProtocolViolation(
                    f"not an SFTP packet: {text!r}",
                    hint="the account's shell start-up files must print nothing in a session without a terminal",
                )
            end = start + 4 + length
            if end > size:
                return
            packet, start = data[start + 4 : end], end
            yield packet
    finally:
        del buffer[:start]


def decode(packet: bytes) -> tuple[int, Reply]:
    """(request id, reply) of one packet. Raises ProtocolViolation when it is not well formed."""
    kind = packet[0]
    request_id = int.from_bytes(packet[1:5], "big")
    try:
        if kind == FXP_STATUS:
            return request_id, _status(packet)
        if kind == FXP_HANDLE:
            return request_id, Handle(_handle(packet))
        if kind == FXP_DATA:
            return request_id, Data(_get_string(packet, 5)[0])
        if kind == FXP_ATTRS:
            return request_id, _attributes(packet)
        if kind == FXP_EXTENDED_REPLY:
            return request_id, ExtendedReply(packet[5:])
    except (struct.error, IndexError) as error:
        raise ProtocolViolation(f"a packet of type {kind} is cut short: {error}") from None
    raise ProtocolViolation(f"an unexpected packet of type {kind}")


def decode_version(packet: bytes) -> tuple[int, dict[bytes, bytes]]:
    """(version, extensions: name -> data) of the server's first packet; extensions longer or more than any that we
    know are left out."""
    if packet[0] != FXP_VERSION:
        raise ProtocolViolation(f"the first packet is of type {packet[0]}, not VERSION")
    extensions: dict[bytes, bytes] = {}
    at = 5
    try:
        while at < len(packet):
            name, at = _get_string(packet, at)
            data, at = _get_string(packet, at)
            if len(name) <= PEER_NAME_MAX and len(data) <= PEER_TEXT_MAX and len(extensions) < EXTENSIONS_MAX:
                extensions[name] = data
    except struct.error as error:
        raise ProtocolViolation(f"the VERSION packet is cut short: {error}") from None
    return int.from_bytes(packet[1:5], "big"), extensions


def _get_string(packet: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + _U32.unpack_from(packet, at)[0]
    if end > len(packet):
        raise struct.error(f"a string of {end - at - 4} bytes in {len(packet) - at - 4}")
    return packet[at + 4 : end], end


def _handle(packet: bytes) -> bytes:
    handle = _get_string(packet, 5)[0]
    if len(handle) > HANDLE_MAX:
        raise ProtocolViolation(f"a handle of {len(handle)} bytes, where {HANDLE_MAX} are allowed")
    return handle


def _status(packet: bytes) -> Status:
    code = _U32.unpack_from(packet, 5)[0]
    if code == FX_OK:
        return OK
    # Some servers leave out the message and the language.
    message = _get_string(packet, 9)[0] if len(packet) > 9 else b""
    return Status(code, of_bytes(message, PEER_TEXT_MAX))


def _attributes(packet: bytes) -> Attributes:
    flags, at = _U32.unpack_from(packet, 5)[0], 9
    size_bytes = permissions = None
    if flags & _HAS_SIZE:
        size_bytes, at = _U64.unpack_from(packet, at)[0], at + 8
    if flags & _HAS_OWNER:
        at += 8
    if flags & _HAS_PERMISSIONS:
        permissions = _U32.unpack_from(packet, at)[0]
    return Attributes(size_bytes, permissions)
