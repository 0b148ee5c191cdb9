"""What becomes of a plain connection to a server: greeted, reset, or refused."""

import socket
import time


def greeted(server):
    sock = socket.create_connection((server.host, server.port), 5.0)
    assert sock.recv(4) == b"SSH-"
    return sock


def was_reset(sock):
    with sock:
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            return True
        return False


def refuses(port, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.02)
    return False
