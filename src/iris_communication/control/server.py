"""The control socket of an outbox: a Unix socket on which its owner takes requests from other processes.

Idea. One process owns an outbox, so a command that is to change something has to ask that process. One daemon thread
listens in the outbox's folder and carries out one request after another, through the owner's own methods.

Rules.
- A process that may open the socket's file may ask. The file has mode 0600 before anybody can connect; a rename puts it
  in place, which also replaces what a killed owner left.
- The lock's holder opens the socket after it took the lock, and closes it before it releases the lock.
- A forked child closes the socket that it inherited, or a parent that is dead would seem to listen still.

What goes wrong. A client that sends nothing, too much or rubbish is answered if that helps, and disconnected after
`timeout_s`; it holds up no other client, since reading never waits. At CONNECTIONS_MAX, the connection that has been
silent longest is closed. A folder that cannot hold a socket costs the socket only: files are delivered all the same.
After a failure of the thread it listens again after a pause, with a new socket.
"""

import contextlib
import logging
import os
import selectors
import socket
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock
from iris_communication.control.address import SOCKET_NAME, short_name
from iris_communication.control.protocol import LINE_BYTES_MAX, ControlledOutbox, answer_to
from iris_communication.runtime.supervised_thread import SupervisedThread

log = logging.getLogger(__name__)

NAME = "iris-control"
NO_THREAD = {"running": True, "reason": None, "restarts": 0}
REQUEST_TIMEOUT_S = 5.0  # for a whole request
ANSWER_TIMEOUT_S = 1.0  # for a client to take an answer that does not fit into the socket
LOOK_S = 0.25  # between two checks for timeouts
CONNECTIONS_MAX = 8
BACKLOG = 64  # clients that connect at the same moment
JOIN_S = 2.0  # a request that is under way may wait for the disk; the thread is a daemon
PIECE_BYTES = 64 * 1024

_open_servers: "weakref.WeakSet[ControlServer]" = weakref.WeakSet()


@dataclass(eq=False, slots=True)
class _ClientConnection:
    socket: socket.socket
    deadline_s: float  # monotonic
    received: bytearray = field(default_factory=bytearray)


class ControlServer:
    """Constructing opens nothing. `open` and `close` are the owner's."""

    def __init__(
        self, folder: Path, outbox: ControlledOutbox, clock: Clock, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._clock = clock
        self._timeout_s = timeout_s
        self._connections: list[_ClientConnection] = []
        self._listener: socket.socket | None = None
        self._mark: tuple[int, int] | None = None  # of the socket file, so that only our own is removed
        self._closing = threading.Event()
        self._wake: socket.socket | None = None
        self._woken: socket.socket | None = None
        self._thread: SupervisedThread | None = None

    def thread(self) -> dict[str, Any]:
        """See `SupervisedThread.state`; also of one that could not be opened, which was logged then."""
        thread = self._thread
        return thread.state() if thread is not None else {**NO_THREAD, "name": NAME}

    def open(self) -> None:
        """Listen from now on; a failure is logged, and costs nothing else."""
        try:
            self._listen()
            self._thread = SupervisedThread(self._run, NAME, on_failure=self._failed, on_end=self._close_sockets)
            _open_servers.add(self)
            self._thread.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started any more
            self._thread = None
            self._close_sockets()
            text = "control socket unavailable in %s: `iris queue` cannot reach this process: %s"
            log.warning(text, self._folder, error)

    def close(self) -> None:
        """Listen no more; the request under way is finished first."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._remove()
        self._closing.set()
        thread.let_end()
        wake = self._wake
        with contextlib.suppress(OSError):
            if wake is not None:
                wake.send(b"\0")
        thread.join(JOIN_S)
        _open_servers.discard(self)

    def _listen(self) -> None:
        self._listener = self._listening()
        self._wake, self._woken = socket.socketpair()

    def _listening(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_name(self._folder) as folder:
                made = f"{folder}/{SOCKET_NAME}.new"  # the lock keeps anybody else from making it
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(made)
                listener.bind(made)
                os.chmod(made, 0o600)
                facts = os.lstat(made)
                listener.listen(BACKLOG)
                os.replace(made, f"{folder}/{SOCKET_NAME}")
            listener.settimeout(0.0)
        except BaseException:
            listener.close()
            raise
        self._mark = facts.st_dev, facts.st_ino
        return listener

    def _remove(self) -> None:
        with contextlib.suppress(OSError), short_name(self._folder) as folder:
            path = f"{folder}/{SOCKET_NAME}"
            facts = os.lstat(path)
            if (facts.st_dev, facts.st_ino) == self._mark:
                os.unlink(path)

    def _close_sockets(self) -> None:
        """Close every descriptor of ours, and touch nothing else: in a forked child the socket file is still the
        parent's."""
        for each in (self._listener, self._wake, self._woken, *(each.socket for each in self._connections)):
            if each is not None:
                with contextlib.suppress(OSError):  # somebody else has closed its descriptor
                    each.close()
        self._listener = self._wake = self._woken = None
        self._connections.clear()

    # All below runs on the thread `iris-control`.

    def _run(self) -> None:
        """Called again after a failure, which has closed everything."""
        if self._listener is None:
            self._listen()
        listener, woken = self._listener, self._woken
        assert listener is not None, "it listens"
        assert woken is not None, "it listens"
        with selectors.PollSelector() as waiting:  # poll: nothing lies in the kernel that a fork would share
            waiting.register(woken, selectors.EVENT_READ)
            waiting.register(listener, selectors.EVENT_READ)
            while not self._closing.is_set():
                self._turn(waiting, listener)

    def _failed(self, error: BaseException) -> None:
        self._remove()
        self._close_sockets()

    def _turn(self, waiting: selectors.PollSelector, listener: socket.socket) -> None:
        for key, _ in waiting.select(LOOK_S if self._connections else None):
            if self._closing.is_set():
                return
            if key.fileobj is listener:
                self._accept(waiting, listener)
            elif key.data in self._connections and not self._is_served(key.data):
                self._disconnect(waiting, key.data)
        now_s = self._clock.monotonic_s()
        for late in [each for each in self._connections if each.deadline_s <= now_s]:
            self._disconnect(waiting, late)

    def _accept(self, waiting: selectors.PollSelector, listener: socket.socket) -> None:
        deadline_s = self._clock.monotonic_s() + self._timeout_s
        try:
            connection, _ = listener.accept()
        except OSError as error:  # it has left again, or no descriptor is left: pause, or this is a busy loop
            log.debug("the control socket accepted no connection: %s", error)
            self._closing.wait(LOOK_S)
            return
        connection.settimeout(0.0)
        if len(self._connections) >= CONNECTIONS_MAX:
            self._disconnect(waiting, min(self._connections, key=lambda each: each.deadline_s))
        client = _ClientConnection(connection, deadline_s)
        self._connections.append(client)
        waiting.register(connection, selectors.EVENT_READ, client)

    def _is_served(self, client: _ClientConnection) -> bool:
        """Read what lies there, and answer a whole request; whether the client may stay connected."""
        try:
            piece = client.socket.recv(PIECE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        client.received += piece
        if not piece or len(client.received) > LINE_BYTES_MAX:
            return False
        if b"\n" not in piece:
            return True
        line, client.received = bytes(client.received), bytearray()
        if line.index(b"\n") != len(line) - 1:  # one request, then its answer
            return False
        return self._is_answered(client, answer_to(line, self._outbox))

    def _is_answered(self, client: _ClientConnection, answer: bytes) -> bool:
        client.socket.settimeout(ANSWER_TIMEOUT_S)
        try:
            client.socket.sendall(answer)
        except OSError:
            return False
        client.socket.settimeout(0.0)
        client.deadline_s = self._clock.monotonic_s() + self._timeout_s
        return True

    def _disconnect(self, waiting: selectors.PollSelector, client: _ClientConnection) -> None:
        waiting.unregister(client.socket)
        client.socket.close()
        self._connections.remove(client)


def _forget_in_child() -> None:
    for server in list(_open_servers):
        server._thread = None
        server._close_sockets()
    _open_servers.clear()


os.register_at_fork(after_in_child=_forget_in_child)
