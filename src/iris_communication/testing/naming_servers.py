"""Servers with rules of their own for names, or codes of their own for missing files. The class's docstring is the
fault."""

import unicodedata
from typing import Any

from iris_communication.sftp import wire
from iris_communication.testing.memory_server import NO_SUCH_FILE, MemoryServer, MemorySession
from iris_communication.testing.server_wire import Asked, Reply


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


class FoldsNames(MemoryServer):
    """Its disk takes names for one that differ in case, accents' spelling, or dots and spaces at their end, as Windows
    and macOS have it, and a RENAME replaces what is there."""

    def __init__(self, *, software: str = "AsyncSSH_2.24", **manners: Any) -> None:
        super().__init__(**manners)
        self.software = software
        self.rename_overwrites = True

    def place(self, path: bytes) -> bytes:
        text = unicodedata.normalize("NFC", super().place(path).decode("utf-8", "surrogateescape")).casefold()
        return "/".join(part.rstrip(". ") for part in text.split("/")).encode("utf-8", "surrogateescape")
