"""An SFTP version 3 server without any I/O: bytes in, bytes out; its disk is a dictionary.

It behaves as OpenSSH's does unless set otherwise. `MemoryServer` is the disk and the options, which outlive
connections; `MemorySession` is one connection's open files, which end with it. A server with a fault is a subclass
that overrides `answer` (what it does and replies), `arrange` (the order of replies) or `encode` (their bytes).
"""

import itertools
import posixpath
import stat
import struct

from iris_communication.errors import ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.testing.server_wire import Asked, Reply, WriteData, decode_request, encode_reply, encode_version

HOME = b"/login"
WRITE_MAX = 261_120


class ServerDies(Exception):
    """Raised by `MemoryServer.answer`: the connection ends here, without a reply to this request."""


class OpenFile:
    """A handle keeps its file after the name was removed, as on a real disk."""

    def __init__(self, place: bytes, content: bytearray, flags: int) -> None:
        self.place = place
        self.content = content
        self.flags = flags


class MemoryServer:
    """`files` maps absolute paths to contents, `asked` is every request in order. Relative paths begin at /login.

    rename_overwrites: a RENAME onto an existing name replaces it silently, as several servers do.
    capacity_bytes:    of the disk; beyond it a WRITE is refused with FAILURE, after what still fits was written.
    handles_max:       more open files on one connection are refused with FAILURE.
    announces_limits:  offers limits@openssh.com.
    replaces:          offers posix-rename@openssh.com.
    """

    software = "OpenSSH_9.9"
    host_key = "SHA256:memory"
    version = wire.VERSION

    def __init__(
        self,
        *,
        rename_overwrites: bool = False,
        capacity_bytes: int | None = None,
        handles_max: int | None = None,
        announces_limits: bool = True,
        replaces: bool = True,
    ) -> None:
        self.files: dict[bytes, bytearray] = {}
        self.folders: set[bytes] = {b"/", HOME, b"/in"}
        self.asked: list[Asked] = []
        self.attributes: dict[int, tuple[int | None, int | None]] = {}  # (permissions, mtime) set, by a content's id
        self.rename_overwrites = rename_overwrites
        self.capacity_bytes = capacity_bytes
        self.handles_max = handles_max
        self.extensions = {b"statvfs@openssh.com": b"2"}
        if replaces:
            self.extensions[wire.POSIX_RENAME] = b"1"
        if rename_overwrites:
            self.software = "Go"
        else:
            self.extensions[b"fsync@openssh.com"] = b"1"
        if announces_limits:
            self.extensions[b"limits@openssh.com"] = b"1"
        self.busy_s = 0.0  # for the requests since `take_busy_s()`; a channel that has a clock waits so long
        self._tokens = itertools.count(1)

    def session(self) -> "MemorySession":
        """One more connection."""
        return MemorySession(self)

    def take_busy_s(self) -> float:
        """How long the requests since the last call take."""
        busy_s, self.busy_s = self.busy_s, 0.0
        return busy_s

    def content(self, path: bytes) -> bytes | None:
        """What lies under a path, or None."""
        found = self.files.get(self.place(path))
        return None if found is None else bytes(found)

    def attributes_of(self, path: bytes) -> tuple[int | None, int | None]:
        """(permissions, mtime) as they were set."""
        return self.attributes.get(id(self.files[self.place(path)]), (None, None))

    def names(self, folder: bytes = b"/in") -> list[bytes]:
        """The files of a folder, temporary ones included, sorted."""
        return sorted(posixpath.basename(path) for path in self.files if posixpath.dirname(path) == folder)

    @property
    def free_bytes(self) -> int:
        used = sum(map(len, self.files.values()))
        return 1 << 40 if self.capacity_bytes is None else max(0, self.capacity_bytes - used)

    # What a fault may change.

    def greeting(self) -> bytes:
        return encode_version(self.version, self.extensions)

    def answer(self, session: "MemorySession", request: Asked) -> Reply:
        """Carry the request out; returns the reply, None: no reply. Raises ServerDies."""
        match request:
            case wire.Open():
                return self._open(session, request)
            case wire.Close():
                return OK if session.handles.pop(request.handle, None) else FAILURE
            case wire.Read():
                return self._read(session, request)
            case WriteData():
                return self._write(session, request)
            case wire.Rename():
                return self._rename(self.place(request.old), self.place(request.new), replacing=self.rename_overwrites)
            case wire.PosixRename():
                return self._posix_rename(request)
            case wire.Remove():
                return OK if self.files.pop(self.place(request.path), None) is not None else NO_SUCH_FILE
            case wire.MakeDirectory() | wire.RemoveDirectory():
                return self._folder(self.place(request.path), make=isinstance(request, wire.MakeDirectory))
            case wire.Stat() | wire.SetStat():
                return self._attributes(request)
            case wire.Extended():
                return self._extended(request)

    def arrange(self, replies: list[bytes]) -> list[bytes]:
        """The order of the replies to requests that came in one piece."""
        return replies

    def encode(self, request_id: int, reply: wire.Reply) -> bytes:
        return encode_reply(request_id, reply)

    def place(self, path: bytes) -> bytes:
        """The absolute path."""
        return posixpath.normpath(posixpath.join(HOME, path))

    def _open(self, session: "MemorySession", request: wire.Open) -> wire.Reply:
        place = self.place(request.path)
        if self.handles_max is not None and len(session.handles) >= self.handles_max:
            return FAILURE
        if place in self.folders:
            return FAILURE
        if len(posixpath.basename(place)) > 255:
            return wire.Status(wire.FX_BAD_MESSAGE, "Bad message")
        if request.flags & wire.CREATE:
            if posixpath.dirname(place) not in self.folders:
                return NO_SUCH_FILE
            if request.flags & wire.EXCLUSIVE and place in self.files:
                return FAILURE
            content = self.files.setdefault(place, bytearray())
            if request.flags & wire.TRUNCATE:
                content.clear()
        elif place in self.files:
            content = self.files[place]
        else:
            return NO_SUCH_FILE
        handle = struct.pack(">I", next(self._tokens))
        session.handles[handle] = OpenFile(place, content, request.flags)
        session.opened += 1
        return wire.Handle(handle)

    def _read(self, session: "MemorySession", request: wire.Read) -> wire.Reply:
        opened = session.handles.get(request.handle)
        if opened is None or not opened.flags & wire.READ:
            return FAILURE
        data = opened.content[request.offset : request.offset + request.size_bytes]
        return wire.Data(bytes(data)) if data else wire.Status(wire.FX_EOF, "End of file")

    def _write(self, session: "MemorySession", request: WriteData) -> wire.Reply:
        opened = session.handles.get(request.handle)
        if opened is None or not opened.flags & wire.WRITE:
            return FAILURE
        content, end = opened.content, request.offset + len(request.data)
        fits = min(len(request.data), self.free_bytes + max(0, len(content) - request.offset))
        content.extend(bytes(max(0, request.offset + fits - len(content))))
        content[request.offset : request.offset + fits] = request.data[:fits]
        return OK if request.offset + fits == end else FAILURE

    def _rename(self, old: bytes, new: bytes, *, replacing: bool) -> wire.Reply:
        if old not in self.files or posixpath.dirname(new) not in self.folders:
            return NO_SUCH_FILE
        if new in self.folders or (new in self.files and not replacing):
            return FAILURE
        if len(posixpath.basename(new)) > 255:
            return wire.Status(wire.FX_BAD_MESSAGE, "Bad message")
        self.files[new] = self.files.pop(old)
        return OK

    def _posix_rename(self, request: wire.PosixRename) -> wire.Reply:
        if wire.POSIX_RENAME not in self.extensions:
            return UNSUPPORTED
        return self._rename(self.place(request.old), self.place(request.new), replacing=True)

    def _folder(self, place: bytes, *, make: bool) -> wire.Reply:
        return self._make_folder(place) if make else self._remove_folder(place)

    def _make_folder(self, place: bytes) -> wire.Reply:
        if place in self.folders or place in self.files:
            return FAILURE
        if posixpath.dirname(place) not in self.folders:
            return NO_SUCH_FILE
        self.folders.add(place)
        return OK

    def _remove_folder(self, place: bytes) -> wire.Reply:
        if place not in self.folders:
            return NO_SUCH_FILE
        if any(posixpath.dirname(path) == place for path in (*self.files, *self.folders)):
            return FAILURE
        self.folders.remove(place)
        return OK

    def _attributes(self, request: wire.Stat | wire.SetStat) -> wire.Reply:
        place = self.place(request.path)
        if place in self.folders:
            return FAILURE if isinstance(request, wire.SetStat) else wire.Attributes(4096, stat.S_IFDIR | 0o755)
        if place in self.files:
            if isinstance(request, wire.SetStat):
                self.attributes[id(self.files[place])] = request.permissions, request.mtime_s
                return OK
            permissions = self.attributes_of(place)[0]
            mode = 0o644 if permissions is None else permissions
            return wire.Attributes(len(self.files[place]), stat.S_IFREG | mode)
        return NO_SUCH_FILE

    def _extended(self, request: wire.Extended) -> wire.Reply:
        if request.name not in self.extensions:
            return UNSUPPORTED
        if request.name == b"limits@openssh.com":
            return wire.ExtendedReply(struct.pack(">4Q", *self.limits()))
        free = self.free_bytes // 512
        return wire.ExtendedReply(struct.pack(">11Q", 4096, 512, free, free, free, 1000, 900, 900, 7, 0, 255))

    def limits(self) -> tuple[int, int, int, int]:
        """Of a packet, a READ, a WRITE, and of open handles; 0: not stated."""
        return wire.PACKET_MAX, WRITE_MAX, WRITE_MAX, self.handles_max or 1019


class MemorySession:
    """One connection to a MemoryServer. After `ended` it takes nothing more."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.handles: dict[bytes, OpenFile] = {}
        self.opened = 0  # files, since it began
        self.ended = False
        self._greeted = False
        self._buffer = bytearray()

    def receive(self, data: bytes) -> bytes:
        """What the server sends back. A request that cannot be read ends the connection, as with OpenSSH."""
        self._buffer += data
        replies: list[bytes] = []
        try:
            for packet in wire.packets(self._buffer):
                if self.ended:
                    break
                replies += self._replies(packet)
        except (ServerDies, ProtocolViolation):
            self.ended = True
        return b"".join(self.server.arrange(replies))

    def _replies(self, packet: bytes) -> list[bytes]:
        if len(packet) > wire.PACKET_MAX:
            raise ServerDies
        if not self._greeted:
            self._greeted = True
            return [self.server.greeting()]
        request_id, request = decode_request(packet)
        self.server.asked.append(request)
        reply = self.server.answer(self, request)
        return [] if reply is None else [self.server.encode(request_id, reply)]


OK = wire.Status(wire.FX_OK, "Success")
NO_SUCH_FILE = wire.Status(wire.FX_NO_SUCH_FILE, "No such file")
FAILURE = wire.Status(wire.FX_FAILURE, "Failure")
UNSUPPORTED = wire.Status(wire.FX_OP_UNSUPPORTED, "Operation unsupported")
DENIED = wire.Status(wire.FX_PERMISSION_DENIED, "Permission denied")
