"""Hostile peers, one kind a process: `python -m benchmarks.hostile_peers server|camera|browser [ARGUMENT]`.

It prints its address as one line of JSON (a browser: {}), and goes on until its standard input ends.
"""

import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from tests.servers.asyncssh_server import AsyncSshServer

HOST = "127.0.0.1"
SHOUT = "://a:" * 700_000  # 3.5 MB, which a search for passwords once took minutes for
PICTURE_HEAD = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n"
# The first bytes of a JPEG of 20,000 x 20,000 pixels, and its end.
BOMB = bytes.fromhex("ffd8ffc0000b084e204e2001011100") + b"\0" * 400 + bytes.fromhex("ffd9")


class ShoutingServer(asyncssh.SFTPServer):
    """Refuses every file with megabytes of text."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        raise asyncssh.SFTPFailure(SHOUT)


class HostileCamera:
    """Answers each connection with the next of its faults: it floods, drips, sends bombs, or says to go on for ever."""

    def __init__(self) -> None:
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        faults: list[Callable[[], Iterator[bytes]]] = [_flood, _drip, _bombs, _continues]
        for number in range(sys.maxsize):
            connected, _ = self._listening.accept()
            threading.Thread(target=_send, args=(connected, faults[number % len(faults)]), daemon=True).start()


def _send(connected: socket.socket, fault: Callable[[], Iterator[bytes]]) -> None:
    with suppress(OSError), connected:
        connected.recv(65536)
        for piece in fault():
            connected.sendall(piece)


def _flood() -> Iterator[bytes]:
    yield ANSWER
    rubbish = (PICTURE_HEAD % 60_000 + os.urandom(60_000)) * 4
    while True:
        yield rubbish
        time.sleep(0.004)  # 60 MB/s: the peer shares its two cores with the line it is measured beside


def _drip() -> Iterator[bytes]:
    yield ANSWER + PICTURE_HEAD % 60_000
    while True:
        yield b"\xff"
        time.sleep(0.05)


def _bombs() -> Iterator[bytes]:
    yield ANSWER
    while True:
        yield (PICTURE_HEAD % len(BOMB) + BOMB) * 20
        time.sleep(0.01)


def _continues() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100
        time.sleep(0.01)


class HostileBrowser:
    """Holds as many connections as it gets, drips heads, and asks with headers of 14 kB and under wrong names."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.idle: list[socket.socket] = []
        for attack in (self._hold, self._drip, self._shout, self._wrong_name):
            threading.Thread(target=self._again, args=(attack,), daemon=True).start()

    def _again(self, attack: Callable[[], None]) -> None:
        while True:
            with suppress(OSError):
                attack()
            time.sleep(0.01)

    def _connect(self, text: bytes = b"") -> socket.socket:
        there = socket.create_connection((HOST, self._port), timeout=5)
        there.sendall(text)
        return there

    def _hold(self) -> None:
        self.idle.append(self._connect())
        del self.idle[:-1100]

    def _drip(self) -> None:
        with self._connect(b"GET / HTTP/1.1\r\nHost: x") as there:
            while True:
                there.sendall(b"x")
                time.sleep(0.1)

    def _shout(self) -> None:
        with self._connect(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: " + b"://a:" * 2_800 + UPGRADE) as there:
            there.recv(65536)

    def _wrong_name(self) -> None:
        with self._connect(b"GET /live HTTP/1.1\r\nHost: evil.example" + UPGRADE) as there:
            there.recv(65536)


UPGRADE = (
    b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def main(kind: str, *arguments: str) -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it logs each answer that the line did not wait for
    with tempfile.TemporaryDirectory() as folder:
        address: Any = {}
        if kind == "server":
            server = AsyncSshServer(Path(folder), sftp_server=ShoutingServer)
            server.start()
            address = server.info("/")
        elif kind == "camera":
            address = {"port": HostileCamera().port}
        else:
            HostileBrowser(int(arguments[0]))
        print(json.dumps(address), flush=True)
        sys.stdin.read()
        os._exit(0)  # none of the threads is waited for


if __name__ == "__main__":
    main(*sys.argv[1:])
