"""A faulty link to a real server: a proxy on loopback that gives each connection the next fault of a list.

    with FaultyTcpLink(port, [CutAfter(1000, TO_SERVER), SilentAfter(500, TO_CLIENT)]) as link:
        ...  # the server is reached at 127.0.0.1, link.port

A fault's docstring says what it is. Behind the end of the list, the link is sound. `met` counts the faults that took
effect: a connection may end before its fault.
"""

import contextlib
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

TO_SERVER, TO_CLIENT = "to the server", "to the client"
HOST = "127.0.0.1"
PIECE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Sound:
    """No fault: everything passes."""

    def allowed(self, direction: str, passed_bytes: int) -> int:
        """How many bytes may pass now; 0: the fault begins."""
        return PIECE_BYTES


@dataclass(frozen=True, slots=True)
class CutAfter(Sound):
    """So many bytes pass in that direction; then both ends find the connection closed."""

    count_bytes: int
    direction: str

    def allowed(self, direction: str, passed_bytes: int) -> int:
        return self.count_bytes - passed_bytes if direction == self.direction else PIECE_BYTES


@dataclass(frozen=True, slots=True)
class SilentAfter(CutAfter):
    """So many bytes pass in that direction; then nothing more does, and neither end notices. The other one is
    sound."""


@dataclass(frozen=True, slots=True)
class InPieces(Sound):
    """Everything passes, in pieces of so many bytes."""

    piece_bytes: int

    def allowed(self, direction: str, passed_bytes: int) -> int:
        return self.piece_bytes


class FaultyTcpLink:
    def __init__(self, server_port: int, faults: Iterable[Sound] = ()) -> None:
        self.met = 0
        self._faults = iter(faults)
        self._server_port = server_port
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="faulty link")]
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            _close(end)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                continue  # it is over
            try:
                far = socket.create_connection((HOST, self._server_port))
            except OSError:
                _close(near)  # the server is down: its client finds the connection closed
                continue
            self._ends += [near, far]
            fault = next(self._faults, Sound())
            for end in (near, far):  # before a thread carries: the first byte may be the one that closes both
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target, direction in ((near, far, TO_SERVER), (far, near, TO_CLIENT)):
                thread = threading.Thread(target=self._carry, args=(source, target, direction, fault), name=direction)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, target: socket.socket, direction: str, fault: Sound) -> None:
        passed_bytes = 0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                while data:
                    allowed = fault.allowed(direction, passed_bytes)
                    if not allowed:
                        self.met += 1
                        break
                    target.sendall(data[:allowed])
                    passed_bytes, data = passed_bytes + len(data[:allowed]), data[allowed:]
                if data:
                    break
        if isinstance(fault, SilentAfter) and direction == fault.direction and passed_bytes >= fault.count_bytes:
            with contextlib.suppress(OSError):
                while source.recv(PIECE_BYTES):  # discarded, until the other side gives up
                    pass
        _close(source)
        _close(target)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
