"""Servers that do something else with a file's bytes than they say. The class's docstring is the fault."""

from collections.abc import Callable
from typing import Any

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import MemoryServer, MemorySession, OpenFile, ServerDies
from iris_communication.testing.server_wire import Asked, Reply, WriteData, decode_request


class MixesUpPipelinedWrites(MemoryServer):
    """Acknowledges a WRITE that comes before the one before it, of the same file, was answered, and loses its bytes.

    `now` is the time, `round_trip_s` how long an answer and the next request take at least."""

    def __init__(self, now: Callable[[], float], round_trip_s: float, **manners: Any) -> None:
        super().__init__(**manners)
        self._now = now
        self._round_trip_s = round_trip_s
        self._written_s: dict[bytes, float] = {}  # when the latest WRITE came, by handle

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if not isinstance(request, WriteData):
            return super().answer(session, request)
        before_s, now_s = self._written_s.get(request.handle), self._now()
        self._written_s[request.handle] = now_s
        if before_s is not None and now_s - before_s < self._round_trip_s:
            request = request._replace(data=b"")
        return super().answer(session, request)


class ClosesBeforeItHasWritten(MemoryServer):
    """Works at several requests at once: a CLOSE that comes together with WRITEs or READs overtakes them, and they
    fail."""

    software = "ssh2js1.17.0srv"

    def session(self) -> MemorySession:
        return _ClosesFirst(self)


class _ClosesFirst(MemorySession):
    """The WRITEs and READs of a piece are carried out after all else that came in it."""

    def receive(self, data: bytes) -> bytes:
        self._late: list[tuple[OpenFile, WriteData]] = []
        self._reads: list[tuple[int, wire.Read]] = []
        replies = super().receive(data)
        for request_id, read in self._reads:
            if (reply := self.server.answer(self, read)) is not None:
                replies += self.server.encode(request_id, reply)
        for opened, request in self._late:
            if any(opened is still for still in self.handles.values()):
                opened.content[request.offset :] = request.data
        return replies

    def _replies(self, packet: bytes) -> list[bytes]:
        if self._greeted:
            request_id, read = decode_request(packet)
            if isinstance(read, wire.Read):
                self.server.asked.append(read)
                self._reads.append((request_id, read))
                return []
        replies = super()._replies(packet)
        request = self.server.asked[-1] if self.server.asked else None
        if isinstance(request, WriteData) and (opened := self.handles.get(request.handle)) is not None:
            del opened.content[request.offset :]
            self._late.append((opened, request))
        return replies


class MovesFilesAwayAtClose(MemoryServer):
    """Hands each file on as soon as it is closed: under its name, whatever that is, there is nothing any more."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Close) and (opened := session.handles.get(request.handle)) is not None:
            self.files.pop(opened.place, None)
        return super().answer(session, request)


class LiesAboutSizes(MemoryServer):
    """STAT says 0 bytes of every file, as a gateway to an object store may until its upload is complete."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        is_file = isinstance(request, wire.Stat) and self.place(request.path) in self.files
        return wire.Attributes(0, 0o100644) if is_file else reply


class TellsSizesLate(MemoryServer):
    """STAT says 0 bytes when it comes together with a CLOSE, as a gateway may that knows them once that is complete."""

    def __init__(self, **manners: Any) -> None:
        super().__init__(**manners)
        self._fresh: set[bytes] = set()  # closed, and no STAT since

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Close) and (opened := session.handles.get(request.handle)) is not None:
            self._fresh.add(opened.place)
        reply = super().answer(session, request)
        if isinstance(request, wire.Stat) and (place := self.place(request.path)) in self._fresh:
            self._fresh.discard(place)
            return wire.Attributes(0, 0o100644)
        return reply


class LosesAWrite(MemoryServer):
    """Dies at the first WRITE, before it does it. `late_write()` does it after all, as a session whose connection is
    long gone may."""

    lost: tuple[OpenFile, WriteData] | None = None

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, WriteData) and self.lost is None:
            self.lost = session.handles[request.handle], request
            raise ServerDies
        return super().answer(session, request)

    def late_write(self) -> None:
        if self.lost is not None:
            opened, request = self.lost
            opened.content[request.offset : request.offset + len(request.data)] = request.data
