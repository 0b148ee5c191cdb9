"""Servers with ideas of their own about names, and about what is not there. The class's docstring is the fault."""

from typing import Any

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import NO_SUCH_FILE, MemoryServer, MemorySession
from iris_communication.testing.server_wire import Asked

Reply = wire.Reply | None


class MissingHasAnotherCode(MemoryServer):
    """Has this code instead of NO_SUCH_FILE for whatever is not there, file or folder, and no text."""

    def __init__(self, code: int, **manners: Any) -> None:
        super().__init__(**manners)
        self.code = code

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        return wire.Status(self.code, "") if reply == NO_SUCH_FILE else reply


class OpenHasAnotherCode(MissingHasAnotherCode):
    """Has this code instead of NO_SUCH_FILE for an OPEN into a folder that is not there, and for nothing else."""

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, wire.Open):
            return super().answer(session, request)
        return MemoryServer.answer(self, session, request)
