"""Large files on their way to servers that die in the midst of them, or spoil parts."""

import hashlib
import os

from iris_communication.errors import (
    Effect,
    LinkLost,
)
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, MemoryTransport
from iris_communication.testing.memory_server import DENIED, FAILURE, ServerDies
from iris_communication.testing.server_wire import WriteData
from tests.unit.iris_communication.delivery.carrier_line import CarrierLine

MIB = 1024 * 1024
LARGE = hashlib.sha256(b"large").digest() * (6 * MIB // 32)
REMOTE = b"/in/1.csv"


STREAMED = os.urandom(1024) * (17 * 1024)


class DiesAfterBytes(MemoryServer):
    """Dies at the first write after so many bytes, over all connections; None: never. Lives again at once."""

    def __init__(self, left_bytes, **manners):
        super().__init__(**manners)
        self.left_bytes = left_bytes

    def answer(self, session, request):
        if isinstance(request, WriteData) and self.left_bytes is not None:
            self.left_bytes -= len(request.data)
            if self.left_bytes < 0:
                self.left_bytes = None
                raise ServerDies
        return super().answer(session, request)

    def written(self):
        """(offset, size) of each WRITE."""
        return [(asked.offset, len(asked.data)) for asked in self.asked if isinstance(asked, WriteData)]


class ReadsNothingBack(DiesAfterBytes):
    """A drop box: files may be put, not read."""

    def answer(self, session, request):
        if isinstance(request, wire.Open) and request.flags & wire.READ:
            return DENIED
        return super().answer(session, request)


class RefusesToGoOn(DiesAfterBytes):
    """Refuses to open a file that exists for writing."""

    def answer(self, session, request):
        going_on = isinstance(request, wire.Open) and request.flags == wire.WRITE
        return DENIED if going_on else super().answer(session, request)


class WritesAtTheEndOnly(DiesAfterBytes):
    """Refuses a WRITE to a file that was there when it was opened, without a reason, as rclone does of a second one."""

    def answer(self, session, request):
        opened = session.handles.get(getattr(request, "handle", None))
        going_on = isinstance(request, WriteData) and not opened.flags & wire.CREATE
        return FAILURE if going_on else super().answer(session, request)


class EmptiesWhatIsOpened(DiesAfterBytes):
    """Empties a file at each OPEN for writing, asked or not."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        if isinstance(request, wire.Open) and request.flags == wire.WRITE:
            self.files[self.place(request.path)].clear()
        return reply


class DiesAt(DiesAfterBytes):
    """Dies once more, at the request that `dies_at` is true of: before it does it, or right after."""

    dies_at, done = None, False

    def answer(self, session, request):
        if self.dies_at is None or not self.dies_at(request):
            return super().answer(session, request)
        self.dies_at = None
        if self.done:
            super().answer(session, request)
        raise ServerDies


class EmptiesAndDies(EmptiesWhatIsOpened, DiesAt):
    """Empties a file at each OPEN for writing, and dies at the request that `dies_at` is true of."""


def at(server, folder, **settings):
    line = CarrierLine(folder, server, **settings)
    line.transport = MemoryTransport(server)
    return line


async def cut_off(line, **facts):
    """The first attempt, which ends with its link."""
    (error,) = await line.carry(line.item(content=LARGE, **facts))
    assert isinstance(error, LinkLost)
    assert error.effect is Effect.UNSEEN
    return error


def next_attempt(line, number, content=LARGE):
    earlier = tuple(f"token{each}" for each in range(1, number))
    return line.item(content=content, token=f"token{number}", earlier_tokens=earlier, effect=Effect.UNSEEN)


def is_going_on(request):
    return isinstance(request, wire.Open) and request.flags == wire.WRITE
