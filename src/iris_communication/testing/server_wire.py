"""The server's side of the wire: requests are decoded, replies encoded. The mirror of `sftp.wire`, for servers that
exist in memory only."""

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from iris_communication.errors import ProtocolViolation
from iris_communication.sftp import wire


class WriteData(NamedTuple):
    """A WRITE as it arrives: with its data."""

    handle: bytes
    offset: int
    data: bytes


Reply = wire.Reply | None  # None: no reply
Asked = (
    wire.Open
    | wire.Close
    | wire.Read
    | WriteData
    | wire.Rename
    | wire.PosixRename
    | wire.Remove
    | wire.MakeDirectory
    | wire.RemoveDirectory
    | wire.Stat
    | wire.SetStat
    | wire.Extended
)


class _Reader:
    def __init__(self, packet: bytes, at: int) -> None:
        self.packet = packet
        self.at = at

    def u32(self) -> int:
        self.at += 4
        return int(struct.unpack_from(">I", self.packet, self.at - 4)[0])

    def u64(self) -> int:
        self.at += 8
        return int(struct.unpack_from(">Q", self.packet, self.at - 8)[0])

    def string(self) -> bytes:
        size = self.u32()
        if self.at + size > len(self.packet):
            raise struct.error("a string runs over the end of its packet")
        self.at += size
        return self.packet[self.at - size : self.at]

    def rest(self) -> bytes:
        rest = self.packet[self.at :]
        self.at = len(self.packet)
        return rest


def decode_request(packet: bytes) -> tuple[int, Asked]:
    """(request id, request) of one packet without its length. Raises ProtocolViolation for what no client of ours
    may send."""
    kind, reader = packet[0], _Reader(packet, 1)
    if kind not in _FORMS:
        raise ProtocolViolation(f"a request of type {kind}, which is never sent")
    make, fields = _FORMS[kind]
    try:
        request_id = reader.u32()
        asked: Asked = make(*(field(reader) for field in fields))
        if isinstance(asked, wire.Extended) and asked.name == wire.POSIX_RENAME:
            names = _Reader(asked.body, 0)
            asked = wire.PosixRename(names.string(), names.string())
        attributes = reader.u32() if kind in _WITH_ATTRIBUTES else 0
    except struct.error as error:
        raise ProtocolViolation(f"a request of type {kind} is cut short: {error}") from None
    if attributes or reader.rest():
        raise ProtocolViolation(f"a request of type {kind} carries attributes or more than it may")
    return request_id, asked


def _set_stat(path: bytes, flags: int, values: bytes) -> wire.SetStat:
    """A client of ours sends permissions (4) and times (8) alone."""
    reader = _Reader(values, 0)
    permissions = reader.u32() if flags & 0x04 else None
    mtime_s = (reader.u32(), reader.u32())[1] if flags & 0x08 else None
    if flags & ~0x0C or reader.rest():
        raise ProtocolViolation("a SETSTAT of more than permissions and times")
    return wire.SetStat(path, permissions, mtime_s)


_FORMS: dict[int, tuple[Callable[..., Any], tuple[Callable[[_Reader], Any], ...]]] = {
    wire.FXP_OPEN: (wire.Open, (_Reader.string, _Reader.u32)),
    wire.FXP_CLOSE: (wire.Close, (_Reader.string,)),
    wire.FXP_READ: (wire.Read, (_Reader.string, _Reader.u64, _Reader.u32)),
    wire.FXP_WRITE: (WriteData, (_Reader.string, _Reader.u64, _Reader.string)),
    wire.FXP_RENAME: (wire.Rename, (_Reader.string, _Reader.string)),
    wire.FXP_REMOVE: (wire.Remove, (_Reader.string,)),
    wire.FXP_MKDIR: (wire.MakeDirectory, (_Reader.string,)),
    wire.FXP_RMDIR: (wire.RemoveDirectory, (_Reader.string,)),
    wire.FXP_STAT: (wire.Stat, (_Reader.string,)),
    wire.FXP_SETSTAT: (_set_stat, (_Reader.string, _Reader.u32, _Reader.rest)),
    wire.FXP_EXTENDED: (wire.Extended, (_Reader.string, _Reader.rest)),
}
_WITH_ATTRIBUTES = (wire.FXP_OPEN, wire.FXP_MKDIR)


def encode_reply(request_id: int, reply: wire.Reply) -> bytes:
    """One packet with its length."""
    if isinstance(reply, wire.Status):
        message = reply.message.encode()
        return packet(wire.FXP_STATUS, request_id, struct.pack(">I", reply.code) + string(message) + string(b"en"))
    if isinstance(reply, wire.Handle):
        return packet(wire.FXP_HANDLE, request_id, string(reply.handle))
    if isinstance(reply, wire.Data):
        return packet(wire.FXP_DATA, request_id, string(reply.data))
    if isinstance(reply, wire.ExtendedReply):
        return packet(wire.FXP_EXTENDED_REPLY, request_id, reply.body)
    flags = (reply.size_bytes is not None) | (reply.permissions is not None) << 2
    body = struct.pack(">I", flags)
    if reply.size_bytes is not None:
        body += struct.pack(">Q", reply.size_bytes)
    if reply.permissions is not None:
        body += struct.pack(">I", reply.permissions)
    return packet(wire.FXP_ATTRS, request_id, body)


def encode_version(version: int, extensions: Mapping[bytes, bytes]) -> bytes:
    pairs = b"".join(string(name) + string(data) for name, data in extensions.items())
    return packet(wire.FXP_VERSION, version, pairs)


def packet(kind: int, request_id: int, body: bytes) -> bytes:
    return struct.pack(">IBI", 5 + len(body), kind, request_id) + body


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value
