"""Two small proxies, as between a plant and the internet: HTTP CONNECT and SOCKS5, each carrying bytes both ways.

`passed` are the (host, port) that were asked for. A proxy with `refuses` refuses every request.
"""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator

PIECE = 65536


class _Through(socketserver.StreamRequestHandler):
    server: "Proxy"

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            place = self.asked()
            self.server.passed.append(place)
            if self.server.refuses:
                self.wfile.write(self.refusal)
                return
            with socket.create_connection(place, 5.0) as far:
                self.wfile.write(self.granted)
                self._carry(far)

    def _carry(self, far: socket.socket) -> None:
        back = threading.Thread(target=_copy, args=(far, self.connection))
        back.start()
        _copy(self.connection, far)
        back.join()

    def asked(self) -> tuple[str, int]:
        raise AssertionError("each proxy has its own")

    granted = refusal = b""


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        source.settimeout(None)
        while data := source.recv(PIECE):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class HttpConnect(_Through):
    """RFC 9110, section 9.3.6."""

    granted = b"HTTP/1.1 200 Connection established\r\n\r\n"
    refusal = b"HTTP/1.1 403 Forbidden\r\n\r\n"

    def asked(self) -> tuple[str, int]:
        method, place, _ = self.rfile.readline().decode("ascii").split()
        assert method == "CONNECT"
        while self.rfile.readline().strip():
            pass
        host, _, port = place.rpartition(":")
        return host, int(port)


class Socks5(_Through):
    """RFC 1928, without authentication; addresses by name or IPv4."""

    granted = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    refusal = b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"

    def asked(self) -> tuple[str, int]:
        _, count = self.rfile.read(2)
        self.rfile.read(count)
        self.wfile.write(b"\x05\x00")
        _, _, _, kind = self.rfile.read(4)
        host = socket.inet_ntoa(self.rfile.read(4)) if kind == 1 else self.rfile.read(self.rfile.read(1)[0]).decode()
        (port,) = struct.unpack(">H", self.rfile.read(2))
        return host, port


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, kind: type[_Through], *, refuses: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), kind)
        self.passed: list[tuple[str, int]] = []
        self.refuses = refuses

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextlib.contextmanager
def proxy(kind: type[_Through], *, refuses: bool = False) -> Iterator[Proxy]:
    with Proxy(kind, refuses=refuses) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
