"""A connection to a camera in the network, with one deadline for all its steps, on the clock of `time.monotonic`.

A host may have several addresses, and one of them may drop packets: each gets its share of the time that is left.
"""

import socket
import ssl
import time
from collections.abc import Callable

from iris_camera.camera.address import Address

NOW_S = 0.001  # a socket's time-out of 0 would mean something else


def connected(
    address: Address, deadline_s: float, on_connecting: Callable[[socket.socket], None] = lambda connecting: None
) -> socket.socket:
    """A connection to the first of the host's addresses that answers. `on_connecting` gets each socket before it
    connects: shutting it down ends the wait. Raises OSError."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:  # no name at all, such as one with an empty part
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from None
    for number, (family, kind, protocol, _, place) in enumerate(places, 1):
        connecting = socket.socket(family, kind, protocol)
        on_connecting(connecting)
        try:
            connecting.settimeout(left_s(deadline_s) / (len(places) + 1 - number))
            connecting.connect(place)
        except OSError:
            connecting.close()
            if number == len(places):
                raise
        else:
            return connecting
    raise OSError("the host has no address")


def with_tls(
    connection: socket.socket, address: Address, deadline_s: float, on_connecting: Callable[[socket.socket], None]
) -> socket.socket:
    """The same connection, encrypted, to a host with a valid certificate. Raises OSError, and closes it then."""
    context = ssl.create_default_context()
    secured = context.wrap_socket(connection, server_hostname=address.host, do_handshake_on_connect=False)
    on_connecting(secured)
    try:
        secured.settimeout(left_s(deadline_s))  # of the whole handshake
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def left_s(deadline_s: float) -> float:
    """The time left until the deadline, as a socket's time-out."""
    return max(NOW_S, deadline_s - time.monotonic())
