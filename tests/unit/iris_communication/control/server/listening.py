"""A control socket that is open or merely listens, and connections to it."""

import contextlib
import socket

from iris_communication.clock import SystemClock
from iris_communication.control.server import ControlServer

WAIT_S = 20.0
SHORT_S = 0.05


def listening(folder):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "control.sock"))
    listener.listen(8)
    return listener


@contextlib.contextmanager
def opened(folder, outbox, timeout_s=WAIT_S, clock=None):
    server = ControlServer(folder, outbox, clock or SystemClock(), timeout_s)
    server.open()
    try:
        yield server
    finally:
        server.close()


def connected(folder):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(WAIT_S)
    connection.connect(str(folder / "control.sock"))
    return connection
