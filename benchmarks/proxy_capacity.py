"""What the delay proxy itself can carry, so that no client is held up by it: measured over plain sockets.

python -m benchmarks.proxy_capacity --rtt-ms 100
"""

import argparse
import socket
import statistics
import threading
import time
from typing import NamedTuple

from benchmarks.delay_proxy import HOST, DelayProxy

BYTES = 256 << 20
PIECE = bytes(1 << 20)
ROUND_TRIPS = 5
TIMEOUT_S = 20.0


class Capacity(NamedTuple):
    rtt_ms: float  # as measured
    mb_per_s: float  # in one direction

    def __str__(self) -> str:
        return f"the delay proxy alone: {self.rtt_ms:.1f} ms, {self.mb_per_s:,.0f} MB/s"


def measure(rtt_ms: float) -> Capacity:
    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(TIMEOUT_S)
        answering = threading.Thread(target=_answer, args=(listening,), daemon=True)
        answering.start()
        port = listening.getsockname()[1]
        with (
            DelayProxy(port, rtt_ms / 2) as proxy,
            socket.create_connection((HOST, proxy.port), TIMEOUT_S) as connection,
        ):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            times_s = []
            for _ in range(ROUND_TRIPS):
                begun_s = time.perf_counter()
                connection.sendall(b"?")
                connection.recv(1)
                times_s.append(time.perf_counter() - begun_s)
            rtt_s = statistics.median(times_s)
            begun_s = time.perf_counter()
            for _ in range(BYTES // len(PIECE)):
                connection.sendall(PIECE)
            connection.recv(1)
            seconds = time.perf_counter() - begun_s - rtt_s
        answering.join(TIMEOUT_S)
    return Capacity(rtt_s * 1e3, BYTES / seconds / 1e6)


def _answer(listening: socket.socket) -> None:
    """Answer each question with one byte, and all that follows with one byte when the last has come."""
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(TIMEOUT_S)
        for _ in range(ROUND_TRIPS):
            connection.recv(1)
            connection.sendall(b"!")
        left, block = BYTES, memoryview(bytearray(1 << 20))
        while left and (size_bytes := connection.recv_into(block)):
            left -= size_bytes
        connection.sendall(b"!")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy_capacity", description=__doc__.splitlines()[0])
    parser.add_argument("--rtt-ms", type=float, default=100.0)
    print(measure(parser.parse_args().rtt_ms))


if __name__ == "__main__":
    main()
