"""The door of an outbox: a Unix socket on which its owner runs errands for programs beside it.

Idea. One process owns an outbox, so a command that is to change something has to ask that process. One daemon thread
listens in the outbox's folder and carries out one errand after another, through the owner's own methods.

Rules.
- Who may open the file may ask: it has mode 0600 before anybody can connect, and is put in place by a rename, which
  also takes the place of what a killed owner left.
- The owner's lock says whose door it is: it is opened after the lock was taken and closed before it is given back.
- A forked child has no door: it closes what it inherited, or a parent that is dead would seem to listen still.

What goes wrong. A visitor that says nothing, too much or rubbish is answered if that helps and sent away after
`patience_s`; it holds up nobody, since reading never waits. When all places are taken the one that has been silent
longest has to leave. A folder that cannot hold a socket costs the door only: files are delivered all the same. Where
the thread itself fails it listens anew after a pause, with a new socket.
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

NAME = "iris-door"
NO_THREAD = {"running": True, "reason": None, "restarts": 0}
PATIENCE_S = 5.0  # for a whole errand
TAKE_S = 1.0  # for a visitor to take an answer that does not fit into the socket
LOOK_S = 0.25  # how often it is seen to that nobody stays too long
VISITORS_MAX = 8
BACKLOG = 64  # of those who knock at the same moment
JOIN_S = 2.0  # an errand that is under way may wait for the disk; the thread is a daemon
PIECE_BYTES = 64 * 1024

_open_doors: "weakref.WeakSet[ControlServer]" = weakref.WeakSet()


@dataclass(eq=False, slots=True)
class _Visitor:
    socket: socket.socket
    leaves_s: float  # monotonic
    said: bytearray = field(default_factory=bytearray)


class ControlServer:
    """Constructing opens nothing. `open` and `close` are the owner's."""

    def __init__(self, folder: Path, house: ControlledOutbox, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._folder = folder
        self._house = house
        self._clock = clock
        self._patience_s = patience_s
        self._visitors: list[_Visitor] = []
        self._listener: socket.socket | None = None
        self._mark: tuple[int, int] | None = None  # of the socket file, so that only our own is removed
        self._closing = threading.Event()
        self._wake: socket.socket | None = None
        self._woken: socket.socket | None = None
        self._thread: SupervisedThread | None = None

    def thread(self) -> dict[str, Any]:
        """See `SupervisedThread.state`; also of one that could not be opened, which was said then."""
        thread = self._thread
        return thread.state() if thread is not None else {**NO_THREAD, "name": NAME}

    def open(self) -> None:
        """Listen from now on; where that is not possible it is logged, and nothing else is missing."""
        try:
            self._listen()
            self._thread = SupervisedThread(self._run, NAME, on_failure=self._failed, on_end=self._let_go)
            _open_doors.add(self)
            self._thread.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started any more
            self._thread = None
            self._let_go()
            log.warning("the outbox %s hears nobody while this process runs: no socket in it: %s", self._folder, error)

    def close(self) -> None:
        """Hear nobody any more; the errand under way is finished first."""
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
        _open_doors.discard(self)

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

    def _let_go(self) -> None:
        """Close every descriptor of ours, and touch nothing else: in a forked child the door goes on being the
        parent's."""
        for each in (self._listener, self._wake, self._woken, *(visitor.socket for visitor in self._visitors)):
            if each is not None:
                with contextlib.suppress(OSError):  # somebody else has closed its descriptor
                    each.close()
        self._listener = self._wake = self._woken = None
        self._visitors.clear()

    # All below runs on the door's thread.

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
        self._let_go()

    def _turn(self, waiting: selectors.PollSelector, listener: socket.socket) -> None:
        for key, _ in waiting.select(LOOK_S if self._visitors else None):
            if self._closing.is_set():
                return
            if key.fileobj is listener:
                self._let_in(waiting, listener)
            elif key.data in self._visitors and not self._is_served(key.data):
                self._send_away(waiting, key.data)
        now_s = self._clock.monotonic_s()
        for visitor in [each for each in self._visitors if each.leaves_s <= now_s]:
            self._send_away(waiting, visitor)

    def _let_in(self, waiting: selectors.PollSelector, listener: socket.socket) -> None:
        leaves_s = self._clock.monotonic_s() + self._patience_s
        try:
            connection, _ = listener.accept()
        except OSError as error:  # it has left again, or this process has no descriptor left: not to be asked in a loop
            log.debug("nobody came in: %s", error)
            self._closing.wait(LOOK_S)
            return
        connection.settimeout(0.0)
        if len(self._visitors) >= VISITORS_MAX:
            self._send_away(waiting, min(self._visitors, key=lambda each: each.leaves_s))
        visitor = _Visitor(connection, leaves_s)
        self._visitors.append(visitor)
        waiting.register(connection, selectors.EVENT_READ, visitor)

    def _is_served(self, visitor: _Visitor) -> bool:
        """Read what lies there, and answer what is whole; whether the visitor may stay."""
        try:
            piece = visitor.socket.recv(PIECE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        visitor.said += piece
        if not piece or len(visitor.said) > LINE_BYTES_MAX:
            return False
        if b"\n" not in piece:
            return True
        line, visitor.said = bytes(visitor.said), bytearray()
        if line.index(b"\n") != len(line) - 1:  # one errand, then its answer
            return False
        return self._is_answered(visitor, answer_to(line, self._house))

    def _is_answered(self, visitor: _Visitor, answer: bytes) -> bool:
        visitor.socket.settimeout(TAKE_S)
        try:
            visitor.socket.sendall(answer)
        except OSError:
            return False
        visitor.socket.settimeout(0.0)
        visitor.leaves_s = self._clock.monotonic_s() + self._patience_s
        return True

    def _send_away(self, waiting: selectors.PollSelector, visitor: _Visitor) -> None:
        waiting.unregister(visitor.socket)
        visitor.socket.close()
        self._visitors.remove(visitor)


def _forget_in_child() -> None:
    for door in list(_open_doors):
        door._thread = None
        door._let_go()
    _open_doors.clear()


os.register_at_fork(after_in_child=_forget_in_child)
