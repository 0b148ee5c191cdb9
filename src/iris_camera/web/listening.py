"""Binding the page's address before anything else runs, so that a port in use is one clear error at the start."""

import errno
import logging
import socket

from iris_camera.web.settings import HOST, PORT

log = logging.getLogger(__name__)

# The kernel closes the connection of a client that leaves received bytes unread for so long, and frees its buffers.
UNREAD_TIMEOUT_MS = 30_000


class CannotServe(Exception):
    """The page's address cannot be bound; the text names host and port, and says what to do."""


def bind(host: str = HOST, port: int = PORT, *, fall_back: bool = False) -> socket.socket:
    """A listening socket on that address; with `fall_back` on a free port when the wanted one is in use.

    Port 0 takes any free one. Raises CannotServe.
    """
    try:
        return _listen(host, port)
    except OSError as error:
        if fall_back and error.errno == errno.EADDRINUSE:
            log.info("port %d of %s is in use, the page takes a free one", port, host)
            return bind(host, 0)
        raise CannotServe(f"cannot serve the page on {host} port {port}: {_remedy(error)}") from error


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:  # the resolver would silently take the last 16 bits
        raise OSError("a port is a number from 0 (any free one) to 65535")
    family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        # A port just freed may be bound again at once. Two programs may then both bind it, and only the second
        # listen() fails: so the port is only ours after listen().
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)
        listening.bind(address)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            "the port is in use; stop the program that has it (`ss -ltnp` names it) or choose another port, "
            "0 for any free one"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "not permitted; ports below 1024 are for root, choose a higher one"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; 127.0.0.1 serves this machine, 0.0.0.0 every network it is in"
    return error.strerror or str(error)
