"""The web server: one thread and one loop for all HTTP: the page, the interface for programs, the live socket.

The server runs inside the application, so it differs from a stand-alone server in four ways: it installs no signal
handler, it logs no line per request, it does not end the process when the port is in use, and its stop has a deadline
whatever its clients do.

The rules:
- The port is bound in the caller's thread (listening.py), not in a thread that can only log the failure.
- Every response is made on the web loop from values in memory; only pictures take a thread (see picture.py).
- `stop()` first ends in order (closes sockets properly, finishes responses), then aborts the remaining connections.
- The page loads nothing from other hosts, and its Content-Security-Policy tells the browser to enforce that.
- A request for another host name than this server's is refused (see own_names.py).
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iris_camera.web import stats
from iris_camera.web.api import api_router
from iris_camera.web.connection_limits import BACKLOG, LimitedConnection, count_what_is_logged, note_trouble_of_the_loop
from iris_camera.web.listening import CannotServe, bind
from iris_camera.web.live import SocketManager
from iris_camera.web.own_names import OnlyOwnNames
from iris_camera.web.page_files import page_router
from iris_camera.web.picture import PictureSource
from iris_camera.web.picture_encoder import PictureEncoder
from iris_camera.web.settings import HOST, PORT
from iris_camera.web.state import Snapshot
from iris_communication.runtime.supervised_thread import SupervisedThread

__all__ = ["CannotServe", "WebServer", "bind", "create_app"]

log = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
# How long stop() waits before it aborts connections; a picture being sent takes milliseconds.
GRACE_S = 1.0
ADDRESS_TO_OPEN = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104 - compared with, not bound
HEADERS = {
    # The page shows texts from outside (names, errors of servers): none of them may ever become a script.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Another site may not show the camera's picture in its own pages.
    "Cross-Origin-Resource-Policy": "same-origin",
    # State changes all the time; and after an update of Iris no browser may keep the old page.
    "Cache-Control": "no-store",
}


def create_app(
    *,
    snapshot: Snapshot,
    health: Callable[[], Mapping[str, Any]],
    pictures: Callable[[], Mapping[str, PictureSource]],
    live: SocketManager,
    routers: Sequence[APIRouter] = (),
    own_names: Collection[str] = (),
) -> FastAPI:
    """Everything Iris serves: the page, `/api/...`, `/live`, and the `routers` of other modules (the fixed endpoint).

    `snapshot` and `health` are called on the web loop and must not block. `pictures` returns, for each present camera,
    a function that returns its latest picture, called on a thread of its own. `own_names` are the host names the page
    may be opened by, besides localhost and addresses.
    """
    # No generated documentation pages: they would load scripts from another host.
    app = FastAPI(title="Iris", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OnlyOwnNames, names=own_names, open_paths={stats.PATH})
    app.add_middleware(_WithHeaders)
    for router in routers:
        app.include_router(router)
    app.include_router(api_router(snapshot=snapshot, health=health, pictures=PictureEncoder(pictures)))
    app.include_router(live.router)
    app.include_router(page_router())
    return app


class WebServer:
    """Serves an application from a thread of its own, until `stop()`."""

    def __init__(self, app: ASGIApp, host: str = HOST, port: int = PORT, *, bound: socket.socket | None = None) -> None:
        """`bound`: a socket from `bind()`, used in place of host and port; it belongs to the server now."""
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        if bound is not None:
            self._take(bound)
        self._thread: SupervisedThread | None = None
        count_what_is_logged()
        self._config = uvicorn.Config(
            app,
            loop="asyncio",
            http=LimitedConnection,
            backlog=BACKLOG,
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=4096,  # a page needs to send nothing
            ws_per_message_deflate=False,
        )
        self._server = _Server(self._config)

    @property
    def port(self) -> int:
        """The bound port; before that, the wanted one."""
        return self._port

    @property
    def address(self) -> str:
        """The page's address, to be opened in a browser on this machine (`http://127.0.0.1:5000/`)."""
        host = ADDRESS_TO_OPEN.get(self._host, self._host)
        return f"http://[{host}]:{self._port}/" if ":" in host else f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Serve from now on; returns when the server answers requests. Raises CannotServe."""
        if self._thread is not None:
            raise RuntimeError("this web server was started before; make a new one")
        if self._socket is None:
            self._take(bind(self._host, self._port))
        self._thread = SupervisedThread(self._serve, "iris-web")
        self._thread.start()
        if not self._server.decided.wait(START_TIMEOUT_S) or not self._server.started:
            self.stop()
            raise CannotServe(f"the web server on {self.address} did not start; the log says why")

    def stop(self, timeout_s: float = 5.0) -> None:
        """Finish responses, close every connection, free the port; returns after `timeout_s` at the latest.

        Connections still open after `GRACE_S` are aborted. Without a start it only frees the port.
        """
        if self._thread is None:
            if self._socket is not None:
                self._socket.close()
            return
        deadline = time.monotonic() + timeout_s
        self._thread.let_end()
        self._server.should_exit = True
        self._thread.join(min(GRACE_S, timeout_s / 2))
        if self._thread.is_alive():
            left_s = max(0.0, deadline - time.monotonic())
            self._server.cut(left_s / 2)
            self._thread.join(left_s)
        if self._thread.is_alive():
            log.error("the web server on %s did not end within %.1f s and was abandoned", self.address, timeout_s)

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [] if self._thread is None else [self._thread.state()]

    def _take(self, listening: socket.socket) -> socket.socket:
        self._socket = listening
        self._host, self._port = listening.getsockname()[:2]
        return listening

    def _serve(self) -> None:
        """Called again after a failure: on the same port, with a new server."""
        listening = self._socket if self._socket is not None else self._take(bind(self._host, self._port))
        server = self._server = self._server if not self._server.decided.is_set() else _Server(self._config)
        try:
            with asyncio.Runner() as runner:
                try:
                    runner.run(server.serve(sockets=[listening]))
                finally:
                    if server.started:  # else it has accepted no connection
                        runner.run(server.close())
        finally:
            self._socket = None
            listening.close()
            server.decided.set()
        if server.started and not server.should_exit:
            raise RuntimeError("the web server ended unexpectedly")


class _Server(uvicorn.Server):
    """`decided` is set when it answers (or never will); `cut()` aborts its connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.decided = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(note_trouble_of_the_loop)
        await super().startup(sockets)
        self.decided.set()

    async def close(self) -> None:
        """Abort open connections, as all are when a failure ended the server: their clients would wait for ever."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    def cut(self, patience_s: float) -> None:
        """Abort every connection, and after `patience_s` cancel responses that still run; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: there is nothing left to abort
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cut, self._loop, patience_s)

    def _cut(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # A response notices that its connection is closed; one that does not is cancelled.
        loop.call_later(patience_s, self._leave)

    def _leave(self) -> None:
        self.force_exit = True


class _WithHeaders:
    """Adds `HEADERS` to every response, to errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
