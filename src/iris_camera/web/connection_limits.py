"""How many connections the page accepts at once, in all and from one address, and how long one may stay idle.

The page shares the process with the line: descriptors, memory, the interpreter. So connections are limited, in all and
from one address, and the limit is far below the descriptors that the process may open: whatever clients do to the page,
inspection and delivery get their descriptors.

The rules:
- A connection beyond the limit gets a 503 and is closed at once. It costs a descriptor for a moment; a short listen
  backlog keeps such moments few.
- A request's head has to arrive in time, the first and every later one. Single bytes do not extend the time.
- A client's errors are logged once and counted: clients are not trusted, and some connect each second.
"""

import asyncio
import logging
import resource
from typing import Any

from h11 import ProtocolError
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.exceptions import WebSocketException

from iris_communication.plain_text import PEER_TEXT_MAX, clean
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 200
SHARE_OF_DESCRIPTORS = 8  # one in so many that the process may open
FROM_ONE_ADDRESS = 2  # half of them: a tunnel or a proxy is one address too
HEAD_TIMEOUT_S = 10.0
BACKLOG = 16  # waiting to be accepted, and accepted in one turn of the loop
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 34\r\n\r\nToo many are connected: try later\n"
)


def connections_max() -> int:
    """How many connections the page may have, given the descriptors that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else min(CONNECTIONS_MAX, soft // SHARE_OF_DESCRIPTORS)


class LimitedConnection(H11Protocol):
    """One connection while it speaks HTTP; a live socket takes it over."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above has it
        super().connection_made(transport)
        if self._is_one_too_many():
            repeats.log("too many", logging.WARNING, "the page refuses %s: too many are connected", self._from)
            transport.write(BUSY)
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    @property
    def _from(self) -> str:
        return self.client[0] if self.client else "somebody"

    def _is_one_too_many(self) -> bool:
        """Live sockets count as connections."""
        most = connections_max()
        if len(self.connections) > most:
            return True
        clients = [getattr(each, "client", None) for each in self.connections]
        ours = sum(1 for client in clients if client is not None and client[0] == self._from)
        return ours > most // FROM_ONE_ADDRESS

    def _await_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
        self._head_due = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class Counted(logging.Filter):
    """Counts uvicorn's log records about clients, instead of a line and a traceback for each."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        cause = ("server", record.msg, type(error))
        foreseen = isinstance(error, (OSError, EOFError, WebSocketException, ProtocolError, UnicodeError))
        why = f": {clean(str(error), PEER_TEXT_MAX)}" if foreseen else ""
        text = clean(record.getMessage().strip(), PEER_TEXT_MAX)
        exc_info = None if foreseen else record.exc_info
        level = min(record.levelno, logging.WARNING) if foreseen else record.levelno
        repeats.log(cause, level, "the page: %s%s", text, why, exc_info=exc_info)
        return False


def count_what_is_logged() -> None:
    server = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, Counted) for each in server.filters):
        server.addFilter(Counted())


def note_trouble_of_the_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handles the web loop's exceptions. asyncio reports a lack of descriptors each time it cannot accept."""
    error = context.get("exception")
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        repeats.log(("loop", error.errno), logging.ERROR, "the page: %s: %s", context.get("message"), why)
    else:
        text = "the page: %s"
        repeats.log(("loop", type(error)), logging.ERROR, text, context.get("message"), exc_info=error)


repeats = Repeats(log)
