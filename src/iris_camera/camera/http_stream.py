"""One HTTP response whose body has no end: requested, received piece by piece, shut from any thread.

The first request has no credentials: a camera gets them only in the way its challenge names. Redirections are not
followed: they could lead the credentials to another host.

Opening has one deadline: every address of the host, TLS, and each response's head together. A peer that goes on
answering (`100 Continue` for ever, a head byte by byte) is given up at the deadline, and heads are bounded.
"""

import io
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, LineTooLong

from iris_camera.camera.address import DEFAULT_PORTS, Address
from iris_camera.camera.authorization import Login, answer, is_stale
from iris_camera.camera.connecting import connected, left_s, with_tls
from iris_camera.camera.link_errors import UNKNOWN_WAY, UNKNOWN_WAY_HINT, link_error, status_error
from iris_camera.camera.source import SourceError

LONGEST_HEADS_BYTES = 65_536  # of one answer, those that come before it included
ANSWERS_MAX = 3  # a challenge (401), a stale nonce (401), the stream


class _BoundedSocket(io.RawIOBase):
    """What a socket receives until a deadline, at most `left_bytes` (None: without a limit)."""

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self.deadline_s = deadline_s
        self.left_bytes: int | None = LONGEST_HEADS_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a BufferedReader hands over this
        if time.monotonic() >= self.deadline_s:
            raise TimeoutError
        if self.left_bytes is not None and self.left_bytes <= 0:
            raise LineTooLong("its head")
        self._connected.settimeout(left_s(self.deadline_s))
        received = self._connected.recv_into(buffer)
        if self.left_bytes is not None:
            self.left_bytes -= received
        return received


class _Link:
    """A socket for `http.client`; each of its waits ends at a deadline."""

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self.incoming = _BoundedSocket(connected, deadline_s)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.incoming)

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(left_s(self.incoming.deadline_s))
        self._connected.sendall(data)

    def close(self) -> None:
        """Does nothing: `http.client` calls it after the head, and goes on reading."""

    def release(self) -> None:
        self._connected.close()


class HttpStream:
    """A response with status 200. Its calls raise what a socket raises."""

    def __init__(self, link: _Link, response: HTTPResponse, read_timeout_s: float) -> None:
        self._link, self._response, self._read_timeout_s = link, response, read_timeout_s
        link.incoming.left_bytes = None
        self.content_type: str = response.getheader("Content-Type", "")

    def receive(self, size_bytes: int) -> bytes:
        """The next bytes, waited for; empty at the end."""
        self._link.incoming.deadline_s = time.monotonic() + self._read_timeout_s
        return self._response.read1(size_bytes)

    def release(self) -> None:
        self._response.close()
        self._link.release()


def open_stream(
    address: Address,
    login: Login,
    *,
    open_timeout_s: float,
    read_timeout_s: float,
    on_connected: Callable[[socket.socket], None],
) -> HttpStream:
    """The response to a GET. `on_connected` gets each socket as soon as there is one: shutting it down ends the wait.

    Raises SourceError when there is no connection or another status than 200.
    """
    deadline_s = time.monotonic() + open_timeout_s
    try:
        link, response = _answered(address, login, deadline_s, on_connected)
    except OSError as error:
        raise link_error(error, address, open_timeout_s) from None
    except HTTPException as error:
        text = f"{address.place} answers, but not in HTTP ({type(error).__name__})"
        raise SourceError(text, "Check the port.") from None
    if response.status != 200:
        _drop(link, response)
        raise status_error(response.status, response.reason, with_credentials=bool(login.username))
    return HttpStream(link, response, read_timeout_s)


def _answered(
    address: Address, login: Login, deadline_s: float, on_connected: Callable[[socket.socket], None]
) -> tuple[_Link, HTTPResponse]:
    """The last response, whatever its status, after logging in if the camera asks for it."""
    link, response = _get(address, login, None, deadline_s, on_connected)
    for asked in range(2, ANSWERS_MAX + 1):
        challenges = [_in_utf8(text) for text in response.headers.get_all("WWW-Authenticate") or []]
        refused = asked > 2 and not is_stale(challenges)
        if response.status != 401 or not (challenges and login.username) or refused:
            break
        _drop(link, response)
        authorization = answer(challenges, login, "GET", address.target(*login), secrets.token_hex(8))
        if authorization is None:
            raise SourceError(UNKNOWN_WAY, UNKNOWN_WAY_HINT)
        link, response = _get(address, login, authorization, deadline_s, on_connected)
    return link, response


def _get(
    address: Address,
    login: Login,
    authorization: str | None,
    deadline_s: float,
    on_connected: Callable[[socket.socket], None],
) -> tuple[_Link, HTTPResponse]:
    connection = connected(address, deadline_s, on_connected)
    if address.scheme == "https":
        connection = with_tls(connection, address, deadline_s, on_connected)
    link = _Link(connection, deadline_s)
    headers: dict[str, str | bytes] = {"User-Agent": "Iris", "Accept": "multipart/x-mixed-replace, */*"}
    if authorization is not None:
        headers["Authorization"] = authorization.encode()  # a username may hold any letters
    asking = HTTPConnection(address.host, address.port)
    asking.default_port = DEFAULT_PORTS[address.scheme]  # which is not named in the request
    asking.sock = link
    try:
        asking.request("GET", address.target(*login), headers=headers)
        return link, asking.getresponse()
    except BaseException:
        link.release()
        raise


def _in_utf8(text: str) -> str:
    """`http.client` decodes headers as Latin-1; most are UTF-8, and the answer is sent in UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _drop(link: _Link, response: HTTPResponse) -> None:
    with suppress(OSError):
        response.close()
        link.release()
