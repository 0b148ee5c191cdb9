"""One HTTP answer whose body has no end: asked for, received piece by piece, shut from any thread.

Asked first without credentials, so that a camera gets them only in the way it asks for. Redirections are not followed:
they could lead the credentials to another host.
"""

import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from iris_camera.camera.address import Address
from iris_camera.camera.authorization import Login, answer
from iris_camera.camera.link_words import in_words, status_in_words
from iris_camera.camera.source import SourceError


class HttpStream:
    """An answer with status 200. Its calls raise what a socket raises."""

    def __init__(self, connected: socket.socket, response: HTTPResponse) -> None:
        self._connected, self._response = connected, response
        self.content_type: str = response.getheader("Content-Type", "")

    def receive(self, size_bytes: int) -> bytes:
        """What comes next, waited for; nothing at the end."""
        return self._response.read1(size_bytes)

    def release(self) -> None:
        self._response.close()
        self._connected.close()


def open_stream(
    address: Address,
    login: Login,
    *,
    open_timeout_s: float,
    read_timeout_s: float,
    on_connected: Callable[[socket.socket], None],
) -> HttpStream:
    """The answer to a GET. `on_connected` gets each socket as soon as there is one: to shut it down ends the waiting.

    Raises SourceError in words when there is no connection or another answer than 200.
    """
    try:
        connected, response = _get(address, login, None, open_timeout_s, on_connected)
        if response.status == 401 and login.username:
            challenges = response.headers.get_all("WWW-Authenticate") or []
            authorization = answer(challenges, login, "GET", address.target(*login), secrets.token_hex(8))
            if authorization is not None:
                _drop(connected, response)
                connected, response = _get(address, login, authorization, open_timeout_s, on_connected)
    except OSError as error:
        raise in_words(error, address, open_timeout_s) from None
    except HTTPException as error:
        words = f"{address.place} answers, but not in HTTP ({type(error).__name__})"
        raise SourceError(words, "Look at the port.") from None
    if response.status != 200:
        _drop(connected, response)
        raise status_in_words(response.status, response.reason, with_credentials=bool(login.username))
    connected.settimeout(read_timeout_s)
    return HttpStream(connected, response)


def _get(
    address: Address,
    login: Login,
    authorization: str | None,
    timeout_s: float,
    on_connected: Callable[[socket.socket], None],
) -> tuple[socket.socket, HTTPResponse]:
    connection = _connection(address, timeout_s)
    connection.connect()
    connected = connection.sock
    on_connected(connected)
    headers = {"User-Agent": "Iris", "Accept": "multipart/x-mixed-replace, */*"}
    if authorization is not None:
        headers["Authorization"] = authorization
    try:
        connection.request("GET", address.target(*login), headers=headers)
        return connected, connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _connection(address: Address, timeout_s: float) -> HTTPConnection:
    if address.scheme == "https":
        return HTTPSConnection(address.host, address.port, timeout=timeout_s, context=ssl.create_default_context())
    return HTTPConnection(address.host, address.port, timeout=timeout_s)


def _drop(connected: socket.socket, response: HTTPResponse) -> None:
    with suppress(OSError):
        response.close()
        connected.close()
