"""The proxy with a high round-trip time: it delays every byte, limits nothing, and passes ends and resets on."""

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time

import pytest

from benchmarks.delay_proxy import DelayProxy
from tests.integration.asyncssh_client import DATA, put
from tests.integration.sockets import was_reset
from tests.servers.held_port import held_port


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), 5.0)


class Echo:
    """Sends back what it gets, and the end after the end."""

    def __enter__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._resets = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.accepted.append(sock)
            with contextlib.suppress(OSError):
                while data := sock.recv(1 << 20):
                    sock.sendall(data)
                if self._resets.is_set():
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()
                else:
                    sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Reset the latest connection, by the thread that reads it: another thread would first see an orderly end."""
        self._resets.set()
        self.accepted[-1].shutdown(socket.SHUT_RD)

    def __exit__(self, *_error):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self.accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)
        for sock in self.accepted:
            sock.close()


def test_every_byte_is_delayed_in_both_directions():
    trips_s = [1.0]
    with Echo() as echo, DelayProxy(echo.port, one_way_ms=30) as proxy, connect(proxy) as sock:
        while min(trips_s) >= 0.075:  # a busy machine may hold up some of them, not all
            assert len(trips_s) < 100
            started_s = time.monotonic()
            sock.sendall(b"there and back")
            assert sock.recv(100) == b"there and back"
            trips_s.append(time.monotonic() - started_s)
    assert min(trips_s) >= 0.060


def test_a_high_round_trip_time_does_not_limit_the_bandwidth():
    sent, received = os.urandom(8_000_000), bytearray()

    def receive(sock):
        while data := sock.recv(1 << 20):
            received.extend(data)

    with Echo() as echo, DelayProxy(echo.port, one_way_ms=20) as proxy, connect(proxy) as sock:
        receiving = threading.Thread(target=receive, args=[sock])
        receiving.start()
        started_s = time.monotonic()
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        receiving.join(10.0)
        seconds = time.monotonic() - started_s
    assert received == sent  # in order, to the end, which travelled too
    assert len(sent) / seconds > 4e6, "64 KB a round trip would be 1.6 MB/s"


def test_a_reset_travels_through_the_proxy():
    with Echo() as echo, DelayProxy(echo.port, one_way_ms=5) as proxy:
        sock = connect(proxy)
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        echo.reset()
        assert was_reset(sock)


def test_a_server_that_refuses_is_a_reset_behind_the_proxy():
    with (
        held_port() as port,
        DelayProxy(port, one_way_ms=1) as proxy,
        pytest.raises(ConnectionResetError),  # perhaps before connect() has returned
        connect(proxy) as sock,
    ):
        sock.recv(1)


def test_a_file_reaches_openssh_over_a_high_round_trip_time(openssh, tmp_path):
    with DelayProxy(openssh.port, one_way_ms=5) as proxy:
        asyncio.run(put({**openssh.info(tmp_path), "port": proxy.port}, "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA
