"""Servers with one fault each. The class's docstring is the fault.

Most of them were met in the field. A server that dies, dies once: it answers the next connection soundly, as a real
one does after its restart.
"""

import posixpath
import struct
from typing import Any

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import (
    DENIED,
    FAILURE,
    NO_SUCH_FILE,
    MemoryServer,
    MemorySession,
    ServerDies,
)
from iris_communication.testing.server_wire import Asked, Reply, WriteData

RENAMES = (wire.Rename, wire.PosixRename)


# -- how it speaks ------------------------------------------------------------------------------------------------


class AnswersOutOfOrder(MemoryServer):
    """Answers whatever came in one piece last to first."""

    def arrange(self, replies: list[bytes]) -> list[bytes]:
        return replies[::-1]


class ShellNoise(MemoryServer):
    """The account's login script prints a greeting before the server speaks."""

    def greeting(self) -> bytes:
        return b"Welcome to the plant!\n" + super().greeting()


class OldVersion(MemoryServer):
    """Speaks SFTP version 2."""

    version = 2


class AnswersWhatNobodyAsked(MemoryServer):
    """Answers under an id that is not open."""

    def encode(self, request_id: int, reply: wire.Reply) -> bytes:
        return super().encode(request_id + 1000, reply)


class CutsHandlesShort(MemoryServer):
    """Its HANDLE packets end within the handle."""

    def encode(self, request_id: int, reply: wire.Reply) -> bytes:
        if isinstance(reply, wire.Handle):
            return struct.pack(">IBII", 9, wire.FXP_HANDLE, request_id, 4)
        return super().encode(request_id, reply)


class AnnouncesAHugePacket(MemoryServer):
    """Answers an OPEN with the length of a packet no server sends."""

    def encode(self, request_id: int, reply: wire.Reply) -> bytes:
        if isinstance(reply, wire.Handle):
            return struct.pack(">IB", 0x7FFF_FFFF, wire.FXP_HANDLE)
        return super().encode(request_id, reply)


class StatusWithoutText(MemoryServer):
    """Leaves the message and the language out of each STATUS, as servers before version 3 did."""

    def encode(self, request_id: int, reply: wire.Reply) -> bytes:
        if isinstance(reply, wire.Status):
            return struct.pack(">IBII", 9, wire.FXP_STATUS, request_id, reply.code)
        return super().encode(request_id, reply)


class SpeaksLaterCodes(MemoryServer):
    """Refuses with codes of protocol versions beyond 3: 11 for a name that is taken, 14 for a full disk."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        if reply == FAILURE and isinstance(request, RENAMES):
            return wire.Status(wire.FX_FILE_ALREADY_EXISTS, "File already exists")
        if reply == FAILURE and isinstance(request, WriteData):
            return wire.Status(wire.FX_NO_SPACE, "")
        return reply


class AnswersOpenWithOk(MemoryServer):
    """Answers OPEN with a STATUS that says OK, and gives no handle."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        return wire.OK if isinstance(request, wire.Open) and isinstance(reply, wire.Handle) else reply


class AnswersWritesWithHandles(MemoryServer):
    """Answers each WRITE with a HANDLE, and writes nothing."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        return wire.Handle(b"?") if isinstance(request, WriteData) else super().answer(session, request)


class SilentAfterOpen(MemoryServer):
    """Opens files and says nothing more on a connection that has opened one."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        had_opened = session.opened > 0
        reply = super().answer(session, request)
        return None if had_opened and not isinstance(request, wire.Open) else reply


class NeverGreets(MemoryServer):
    """Takes the connection and says nothing at all."""

    def greeting(self) -> bytes:
        return b""


class RefusesItsOwnLimits(MemoryServer):
    """Announces limits@openssh.com and refuses it."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Extended) and request.name == b"limits@openssh.com":
            return wire.Status(wire.FX_OP_UNSUPPORTED, "Operation unsupported")
        return super().answer(session, request)


# -- what it refuses ----------------------------------------------------------------------------------------------


class RefusesAWrite(MemoryServer):
    """Refuses the write with this number, counted from 1 over all connections, and no other."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, WriteData):
            self.number -= 1
            if self.number == 0:
                return FAILURE
        return super().answer(session, request)


class KeepsHalf(MemoryServer):
    """Its disk takes half of each WRITE, and it says that all of it is there."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, WriteData):
            request = request._replace(data=request.data[: len(request.data) // 2])
        return super().answer(session, request)


class RefusesClose(MemoryServer):
    """Finds out at CLOSE that it could not keep the file, as a network file system does."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        return FAILURE if isinstance(request, wire.Close) else reply


class FolderClosedToUs(MemoryServer):
    """No file may be created."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open) and request.flags & wire.CREATE:
            return DENIED
        return super().answer(session, request)


class MakesNoFolders(MemoryServer):
    """MKDIR is forbidden, also where the folder exists."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        return DENIED if isinstance(request, wire.MakeDirectory) else super().answer(session, request)


class ReadingForbidden(MemoryServer):
    """A drop box: files may be put and looked at from outside, not read back."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open) and request.flags & wire.READ:
            return DENIED
        return super().answer(session, request)


class RemovingForbidden(ReadingForbidden):
    """A drop box from which nothing may be read or taken away again."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        return DENIED if isinstance(request, wire.Remove) else super().answer(session, request)


class RenamingForbidden(MemoryServer):
    """Every RENAME is refused."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        return DENIED if isinstance(request, RENAMES) else super().answer(session, request)


class SecondFileDenied(MemoryServer):
    """Has room for one open file, and calls a second one forbidden."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open) and session.handles:
            return DENIED
        return super().answer(session, request)


class LooksAtTheNewNameFirst(MemoryServer):
    """Refuses a RENAME onto an existing name before it notices that the old name is gone, as asyncssh does."""

    software = "AsyncSSH_2.24"

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Rename) and self.place(request.new) in self.files:
            return FAILURE
        return super().answer(session, request)


class CallsAMissingFileAFailure(MemoryServer):
    """Says FAILURE where a RENAME's old name does not exist."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        return FAILURE if isinstance(request, RENAMES) and reply == NO_SUCH_FILE else reply


# -- when it dies -------------------------------------------------------------------------------------------------


class LosesTheRenameAnswer(MemoryServer):
    """Does the first RENAME and dies before it says so."""

    dead = False

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        if isinstance(request, RENAMES) and not self.dead:
            self.dead = True
            raise ServerDies
        return reply


class LosesTheRename(MemoryServer):
    """Dies at the first RENAME, before it does it. `late_rename()` does it after all, as a session whose connection
    is long gone may."""

    lost: wire.Rename | wire.PosixRename | None = None

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, RENAMES) and self.lost is None:
            self.lost = request
            raise ServerDies
        return super().answer(session, request)

    def late_rename(self) -> None:
        if self.lost is not None:
            super().answer(self.session(), self.lost)


class DiesAtTheRemove(MemoryServer):
    """Refuses the first RENAME, removes the temporary file it is told to, and dies before it says so."""

    renames = removes = 0

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, RENAMES):
            self.renames += 1
            if self.renames == 1:
                return DENIED
        reply = super().answer(session, request)
        if isinstance(request, wire.Remove):
            self.removes += 1
            if self.removes == 1:
                raise ServerDies
        return reply


class ComesBackEmpty(LosesTheRename):
    """Dies at the first RENAME, and its disk is replaced by an empty one before it comes back."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        try:
            return super().answer(session, request)
        except ServerDies:
            self.files.clear()
            self.folders.discard(b"/in")
            raise


# -- other programs on the server ---------------------------------------------------------------------------------


class PicksUp(MemoryServer):
    """A pick-up job takes every file away in the moment it has its final name; `collected` is what it got."""

    def __init__(self, **manners: Any) -> None:
        super().__init__(**manners)
        self.collected: list[tuple[bytes, bytes]] = []  # (path, content)

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        self.pick_up()
        return reply

    def pick_up(self) -> None:
        for path in [path for path in self.files if not posixpath.basename(path).startswith(b".")]:
            self.collected.append((path, bytes(self.files.pop(path))))


class PicksUpAndLosesTheRenameAnswer(PicksUp, LosesTheRenameAnswer):
    """Does the first RENAME and dies before it says so; by then a pick-up job has taken the file away."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        try:
            return super().answer(session, request)
        finally:
            self.pick_up()
