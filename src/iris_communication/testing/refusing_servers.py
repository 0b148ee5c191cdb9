"""Servers that refuse in the middle of an upload, or refuse some names. The class's docstring is the fault."""

import posixpath
import re
from typing import Any

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer, MemorySession
from iris_communication.testing.server_wire import Asked, Reply, WriteData

CHANGES = (wire.Open, WriteData, wire.Rename, wire.PosixRename, wire.Remove, wire.MakeDirectory)


class QuotaReached(MemoryServer):
    """The account may keep no more than this; the disk has room, and the refusal says which it is."""

    def __init__(self, quota_bytes: int, **manners: Any) -> None:
        super().__init__(**manners)
        self.quota_bytes = quota_bytes

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, WriteData):
            used = sum(map(len, self.files.values()))
            if used + len(request.data) > self.quota_bytes:
                return wire.Status(wire.FX_FAILURE, "Disk quota exceeded")
        return super().answer(session, request)


class PermissionLostInTheMiddle(MemoryServer):
    """After so many WRITEs somebody takes the right to change anything away, until `given_back`."""

    def __init__(self, writes: int, **manners: Any) -> None:
        super().__init__(**manners)
        self.left = writes
        self.given_back = False

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, CHANGES) and self.left <= 0 and not self.given_back:
            return DENIED
        self.left -= isinstance(request, WriteData)
        return super().answer(session, request)


class PromisesLargerWritesThanItTakes(MemoryServer):
    """Announces WRITEs of 255 KiB, and refuses those over 32 KiB."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, WriteData) and len(request.data) > 32 * 1024:
            return FAILURE
        return super().answer(session, request)


class OneHandle(MemoryServer):
    """Holds one file open for each connection, says so nowhere, and refuses a second one with FAILURE."""

    def __init__(self, **manners: Any) -> None:
        super().__init__(announces_limits=False, **manners)

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open) and session.handles:
            return FAILURE
        return super().answer(session, request)


class SomeNamesOnly(MemoryServer):
    """The account may create files whose names match a pattern, and no others; renaming to another is denied, too."""

    def __init__(self, pattern: bytes, refusal: wire.Status = DENIED, **manners: Any) -> None:
        super().__init__(**manners)
        self.pattern = re.compile(pattern)
        self.refusal = refusal

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        path = b""
        if isinstance(request, wire.Open) and request.flags & wire.CREATE:
            path = request.path
        elif isinstance(request, (wire.Rename, wire.PosixRename)):
            path = request.new
        if path and not self.pattern.fullmatch(posixpath.basename(path)):
            return self.refusal
        return super().answer(session, request)


class KnowsNoExclusive(MemoryServer):
    """Refuses an OPEN with the flag EXCL, which it does not know, with this code, and grants it without."""

    def __init__(self, code: int = wire.FX_OP_UNSUPPORTED, **manners: Any) -> None:
        super().__init__(**manners)
        self.code = code

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open) and request.flags & wire.EXCLUSIVE:
            return wire.Status(self.code, "")
        return super().answer(session, request)


class OverlooksExclusive(MemoryServer):
    """Opens a file that is there as if it was new, whatever the flag EXCL says."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open):
            request = request._replace(flags=request.flags & ~wire.EXCLUSIVE)
        return super().answer(session, request)
