"""Servers that fall silent without closing. The class's docstring is the fault."""

from typing import Any

from iris_communication.testing.memory_server import MemoryServer, MemorySession
from iris_communication.testing.server_wire import Asked, Reply


class SilentFrom(MemoryServer):
    """Does the first request of this kind, and says nothing more on that connection; the next one is sound."""

    def __init__(self, kind: type, **manners: Any) -> None:
        super().__init__(**manners)
        self.kind = kind
        self._silent: MemorySession | None = None

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        reply = super().answer(session, request)
        if self._silent is None and isinstance(request, self.kind):
            self._silent = session
        return None if session is self._silent else reply


class NeverAnswersOneRequest(MemoryServer):
    """Goes on answering, but never the first request of this kind."""

    def __init__(self, kind: type, **manners: Any) -> None:
        super().__init__(**manners)
        self.kind = kind
        self.forgot = False

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if not self.forgot and isinstance(request, self.kind):
            self.forgot = True
            return None
        return super().answer(session, request)


class TakesItsTime(MemoryServer):
    """Takes so many seconds over each request of this kind, one after the other, and answers nothing meanwhile."""

    def __init__(self, kind: type, seconds: float, **manners: Any) -> None:
        super().__init__(**manners)
        self.kind = kind
        self.seconds = seconds

    def answer(self, session: MemorySession, request: Asked) -> Reply:
        if isinstance(request, self.kind):
            self.busy_s += self.seconds
        return super().answer(session, request)
