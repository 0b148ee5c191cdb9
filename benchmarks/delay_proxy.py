"""A high round-trip time to a server: a loopback TCP proxy that holds every byte for a time in each direction.

    python -m benchmarks.delay_proxy --target 22 --one-way-ms 10      prints the port it listens on

The link is long, not narrow: every byte waits the same time from its arrival, whatever else waits, so delay costs no
throughput. Order is kept; the end of a stream and a reset travel the same time as bytes. What it does not
imitate: TCP's own handshake (a connection is one round trip faster than in the world), loss, and a limited rate.

One thread and one select() loop, because of two details of Python. asyncio waits on epoll, which counts whole
milliseconds and would be late by up to one each way; select() counts microseconds. And a transport copies what it
cannot send at once; here bytes are received into blocks, wait there, and are sent from there.

Memory is bounded: a direction that holds HELD_BYTES_MAX stops receiving until it can send.
"""

import argparse
import math
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"
HELD_BYTES_MAX = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
RECEIVE_BYTES_MIN = 128 * 1024  # below this the rest of a block is not worth a system call
CONNECTIONS_MAX = 400  # select() knows about 1,000 descriptors
START_TIMEOUT_S = 10.0

Waitable = socket.socket | BinaryIO  # what select() waits for


class DelayProxy:
    """The proxy as a process of its own, from `with` to the end of the block; `port` is where it listens.

    Every byte waits `one_way_ms` in each direction, so the round-trip time is twice that.
    """

    def __init__(self, target_port: int, one_way_ms: float) -> None:
        self._command = [
            *(sys.executable, "-m", "benchmarks.delay_proxy", "--with-parent"),
            *("--target", str(target_port), "--one-way-ms", str(one_way_ms)),
        ]
        self.port = 0

    def __enter__(self) -> "DelayProxy":
        checkout = Path(__file__).resolve().parent.parent
        self._process = subprocess.Popen(self._command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self.__exit__()
            raise RuntimeError("the delay proxy did not start; standard error says why")
        self.port = int(line)
        return self

    def __exit__(self, *_error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid


class Direction:
    """Bytes on their way from one socket to another; in `waiting` with the time they are due, b"" for the end."""

    def __init__(self, source: socket.socket, sink: socket.socket, one_way_s: float) -> None:
        self.source = source
        self.sink = sink
        self.waiting: deque[tuple[float, memoryview]] = deque()
        self.ended = False  # the source has sent its last byte
        self.finished = False  # and the sink was shut down for writing
        self._one_way_s = one_way_s
        self._held_bytes = 0
        self._block = memoryview(bytearray(BLOCK_BYTES))
        self._filled_bytes = 0

    @property
    def may_receive(self) -> bool:
        return not self.ended and self._held_bytes < HELD_BYTES_MAX

    def receive(self, now_s: float) -> None:
        """Take what has come. Raises OSError when the source was reset."""
        if BLOCK_BYTES - self._filled_bytes < RECEIVE_BYTES_MIN:
            self._block, self._filled_bytes = memoryview(bytearray(BLOCK_BYTES)), 0
        start = self._filled_bytes
        try:
            size_bytes = self.source.recv_into(self._block[start:])
        except BlockingIOError:
            return
        self.waiting.append((now_s + self._one_way_s, self._block[start : start + size_bytes]))
        self._filled_bytes += size_bytes
        self._held_bytes += size_bytes
        self.ended = size_bytes == 0

    def send_due(self, now_s: float) -> None:
        """Send what has waited long enough, as far as the sink takes it. Raises OSError when it was reset."""
        while self.waiting and self.waiting[0][0] <= now_s:
            due_s, piece = self.waiting.popleft()
            if not piece:
                self.sink.shutdown(socket.SHUT_WR)
                self.finished = True
                return
            try:
                sent_bytes = self.sink.send(piece)
            except BlockingIOError:
                sent_bytes = 0
            self._held_bytes -= sent_bytes
            if sent_bytes < len(piece):
                self.waiting.appendleft((due_s, piece[sent_bytes:]))
                return


class DelayedConnection:
    """Both directions of one connection, and the time at which a reset arrives at the other end."""

    def __init__(self, client: socket.socket, server: socket.socket, one_way_s: float) -> None:
        for sock in (client, server):
            sock.settimeout(0.0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.directions = (Direction(client, server, one_way_s), Direction(server, client, one_way_s))
        self._one_way_s = one_way_s
        self.reset_at_s = math.inf

    def step(self, readable: set[Waitable], now_s: float) -> bool:
        """Receive and send what can be; False when the connection is over."""
        for direction in self.directions:
            try:
                if direction.source in readable:
                    direction.receive(now_s)
            except OSError:  # what came before the reset is still on its way, and arrives before it
                self._reset(direction, now_s)
            try:
                direction.send_due(now_s)
            except OSError:  # the other end is gone and takes no more
                direction.waiting.clear()
                self._reset(direction, now_s)
        if now_s >= self.reset_at_s:
            self.close(reset=True)
            return False
        if all(direction.finished for direction in self.directions):
            self.close(reset=False)
            return False
        return True

    def _reset(self, direction: Direction, now_s: float) -> None:
        direction.ended = True
        self.reset_at_s = min(self.reset_at_s, now_s + self._one_way_s)

    def close(self, *, reset: bool) -> None:
        for direction in self.directions:
            if reset:
                reset_on_close(direction.source)
            direction.source.close()


class DelayLoop:
    """The loop itself: accepts on `port`, and carries each connection to the target."""

    def __init__(self, target_port: int, one_way_s: float) -> None:
        self._target = (HOST, target_port)
        self._one_way_s = one_way_s
        self._listening = socket.create_server((HOST, 0), backlog=128)
        self._listening.settimeout(0.0)
        self.port: int = self._listening.getsockname()[1]
        self._connections: list[DelayedConnection] = []

    def run(self, until_end_of: BinaryIO | None) -> None:
        """Run until that stream ends; for ever without one."""
        while True:
            readable = self._wait(until_end_of)
            if until_end_of is not None and until_end_of in readable and not until_end_of.read(1):
                break
            if self._listening in readable:
                self._accept()
            now_s = time.monotonic()
            over = [connection for connection in self._connections if not connection.step(readable, now_s)]
            for connection in over:
                self._connections.remove(connection)

    def _wait(self, until_end_of: BinaryIO | None) -> set[Waitable]:
        now_s = time.monotonic()
        reading: list[Waitable] = [] if until_end_of is None else [until_end_of]
        if len(self._connections) < CONNECTIONS_MAX:
            reading.append(self._listening)
        writing = []
        next_due_s = math.inf
        for connection in self._connections:
            for direction in connection.directions:
                if direction.may_receive:
                    reading.append(direction.source)
                if direction.waiting and direction.waiting[0][0] <= now_s:
                    writing.append(direction.sink)  # it was due and did not go: the sink is full
                elif direction.waiting:
                    next_due_s = min(next_due_s, direction.waiting[0][0])
            next_due_s = min(next_due_s, connection.reset_at_s)
        timeout_s = None if math.isinf(next_due_s) else max(0.0, next_due_s - now_s)
        return set(select.select(reading, writing, [], timeout_s)[0])

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except BlockingIOError:
            return
        try:
            server = socket.create_connection(self._target, timeout=5.0)
        except OSError:
            reset_on_close(client)  # as near as a proxy can come to a refused connection
            client.close()
            return
        self._connections.append(DelayedConnection(client, server, self._one_way_s))


def reset_on_close(sock: socket.socket) -> None:
    """Let close() send a reset in place of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delay_proxy", description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=int, required=True, help="the server's port on 127.0.0.1")
    parser.add_argument("--one-way-ms", type=float, required=True, help="half the round-trip time")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()
    proxy = DelayLoop(arguments.target, arguments.one_way_ms / 1e3)
    print(proxy.port, flush=True)
    proxy.run(sys.stdin.buffer if arguments.with_parent else None)


if __name__ == "__main__":
    main()
