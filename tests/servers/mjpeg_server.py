"""A real HTTP server that sends Motion JPEG as cameras do, on a free loopback port, with threads of its own.

    /line        a picture every 40 ms, each with its number painted into it
    /bare        the same without Content-Length, with bare line feeds, the boundary announced with its dashes
    /chunked     the same in chunks of HTTP/1.1, cut where no part ends
    /slow        a picture every `slow_s`
    /torn        every second picture breaks off in the middle
    /rubbish     parts that are no pictures at all
    /dripping    one picture, then single bytes of the next that never becomes whole
    /bomb        every second picture announces 20,000 x 20,000 pixels in some hundred bytes
    /growing     the picture doubles its size after the 5th
    /page        an ordinary web page
    /untyped     no Content-Type, and so no boundary announced
    /detections  behind each picture a part that says in JSON what is on it
    /headless    parts without a head
    /unmeasured  a Content-Length of 0 in front of each picture
    /bare_jpegs  pictures and nothing between them
    /continues   "100 Continue" for ever
    /endless_head, /dripping_head, /endless_trailer: a head or trailer that goes on for ever
    /moved       a redirection to `redirect_to`

`stall` keeps the connections and sends nothing more, `cut` breaks them and refuses new ones, `mute` takes connections
and never answers.
"""

import hashlib
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

HOST = "127.0.0.1"
PERIOD_S = 0.04
WIDTH, HEIGHT = 160, 120


def picture(number: int, zoom: int = 1) -> bytes:
    """A JPEG whose brightness says its number, modulo 200."""
    image = np.full((HEIGHT * zoom, WIDTH * zoom, 3), 20 + number % 200, np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1])


class MjpegServer:
    """With `username` and `password` it refuses all others, by `authentication` (basic | digest | both: offered in
    one line, Basic first | stale: Digest, whose first nonce is too old)."""

    def __init__(
        self, *, username: str = "", password: str = "", authentication: str = "basic", slow_s: float = 5.0
    ) -> None:
        self.username, self.password, self.authentication, self.slow_s = username, password, authentication, slow_s
        self.sending = threading.Event()
        self.sending.set()
        self.over = threading.Event()
        self.redirect_to = ""
        self.realm = "camera"
        self.asked: list[str] = []  # request lines and Authorization headers, as they came
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._muted: socket.socket | None = None
        self._port_holder = _bound(0)
        self.port: int = self._port_holder.getsockname()[1]

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def start(self) -> None:
        """Listen; also again, on the same port, after `cut`."""
        self.over.clear()
        self.sending.set()
        server = ThreadingHTTPServer((HOST, self.port), _handler_of(self), bind_and_activate=False)
        server.daemon_threads = True
        server.socket.close()
        server.socket = _bound(self.port)
        server.server_activate()
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="mjpeg-server", daemon=True)
        self._thread.start()

    def stall(self) -> None:
        """Keep every connection, and send nothing."""
        self.sending.clear()

    def cut(self) -> None:
        """Break every connection off; the port refuses from then on."""
        self.over.set()
        self.sending.set()
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            self._thread.join(5)
        for connection in self._connections.copy():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def mute(self) -> None:
        """Take connections, and never answer."""
        self.cut()
        self._muted = _bound(self.port)
        self._muted.listen(16)

    def close(self) -> None:
        self.cut()
        if self._muted is not None:
            self._muted.close()
        self._port_holder.close()

    def __enter__(self) -> "MjpegServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def challenge(self) -> str:
        if self.authentication == "basic":
            return 'Basic realm="camera"'
        if self.authentication == "both":
            return 'Basic realm="camera", Digest realm="camera", nonce="0badcafe", qop="auth", algorithm=MD5'
        if self.authentication == "stale" and not any("old" in asked for asked in self.asked):
            return 'Digest realm="camera", nonce="old", qop="auth", algorithm=MD5'
        if self.authentication == "stale":
            return 'Digest realm="camera", nonce="0badcafe", qop="auth", algorithm=MD5, stale=true'
        return f'Digest realm="{self.realm}", nonce="0badcafe", qop="auth", algorithm=MD5'

    def lets_in(self, header: str, target: str) -> bool:
        if not self.username:
            return True
        if self.authentication == "basic":
            return header == "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', header.encode("latin-1").decode()))
        if given.get("username") != self.username:
            return False
        who = _md5(f"{self.username}:{self.realm}:{self.password}")
        middle = f"0badcafe:{given.get('nc')}:{given.get('cnonce')}:auth"
        return given.get("response") == _md5(f"{who}:{middle}:{_md5(f'GET:{target}')}")


def _handler_of(camera: MjpegServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            camera._connections.add(self.connection)

        def finish(self) -> None:
            camera._connections.discard(self.connection)
            with suppress(OSError):
                super().finish()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name it is called by
            """No test reads it."""

        def do_GET(self) -> None:
            camera.asked += [self.requestline, self.headers.get("Authorization", "")]
            self.close_connection = True
            if not camera.lets_in(self.headers.get("Authorization", ""), self.path):
                self._answer(401, "WWW-Authenticate", camera.challenge().encode().decode("latin-1"))
                return
            if self.path == "/moved":
                self._answer(302, "Location", camera.redirect_to)
                return
            stream = _STREAMS.get(self.path.partition("?")[0])
            if stream is None:
                self._answer(404)
                return
            with suppress(OSError):
                stream(self, camera)

        def _answer(self, status: int, *header: str) -> None:
            self.send_response(status)
            if header:
                self.send_header(*header)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def _begin(handler: BaseHTTPRequestHandler, boundary: str = "frame", *, chunked: bool = False) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={boundary}")
    if chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def _goes_on(camera: MjpegServer, after_s: float) -> bool:
    """Whether to send the next one, once that is due."""
    camera.over.wait(after_s)
    camera.sending.wait()
    return not camera.over.is_set()


def _part(data: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(data), data)


def _line(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    number = 0
    while _goes_on(camera, PERIOD_S):
        handler.wfile.write(_part(picture(number)))
        number += 1


def _slow(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    number = 0
    handler.wfile.write(_part(picture(number)))
    while _goes_on(camera, camera.slow_s):
        number += 1
        handler.wfile.write(_part(picture(number)))


def _bare(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler, "--frame")
    number = 0
    while _goes_on(camera, PERIOD_S):
        handler.wfile.write(b"--frame\nContent-Type: image/jpeg\n\n" + picture(number) + b"\n")
        number += 1


def _chunked(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler, chunked=True)
    number = 0
    while _goes_on(camera, PERIOD_S):
        part = _part(picture(number))
        for piece in (part[:7], part[7:301], part[301:]):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        number += 1


def _torn(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    number = 0
    while _goes_on(camera, PERIOD_S):
        data = picture(number)
        handler.wfile.write(_part(data[: len(data) // 2] if number % 2 else data))
        number += 1


def _bomb(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    number = 0
    while _goes_on(camera, PERIOD_S):
        data = picture(number)
        if number % 2:
            size = data.index(b"\xff\xc0") + 5
            data = data[:size] + (20_000).to_bytes(2) * 2 + data[size + 4 :]
        handler.wfile.write(_part(data))
        number += 1


def _rubbish(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    while _goes_on(camera, PERIOD_S):
        handler.wfile.write(_part(b"no picture at all"))


def _dripping(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    handler.wfile.write(_part(picture(0)))
    for place in range(100_000):
        if not _goes_on(camera, PERIOD_S):
            return
        handler.wfile.write(b"--frame\r\nContent-Length: 100000\r\n\r\n" if place == 0 else b"\xff")


def _growing(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    _begin(handler)
    number = 0
    while _goes_on(camera, PERIOD_S):
        handler.wfile.write(_part(picture(number, 1 if number < 5 else 2)))
        number += 1


def _page(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html; charset=utf-8")
    handler.end_headers()
    handler.wfile.write(b"<html>Welcome to your camera</html>")


def _untyped(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
    handler.send_response(200)
    handler.end_headers()
    number = 0
    while _goes_on(camera, PERIOD_S):
        handler.wfile.write(_part(picture(number)))
        number += 1


def _with_parts(part_of: Callable[[bytes], bytes]) -> "_Stream":
    def stream(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
        _begin(handler)
        number = 0
        while _goes_on(camera, PERIOD_S):
            handler.wfile.write(part_of(picture(number)))
            number += 1

    return stream


def _detections(data: bytes) -> bytes:
    found = b'{"boxes": [[1, 2, 3, 4]]}'
    return _part(data) + b"--frame\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b\r\n" % (
        len(found),
        found,
    )


def _repeating(first: bytes, piece: bytes, pause_s: float = 0.0) -> "_Stream":
    def stream(handler: BaseHTTPRequestHandler, camera: MjpegServer) -> None:
        handler.wfile.write(first)
        while _goes_on(camera, pause_s):
            handler.wfile.write(piece)

    return stream


_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_Stream = Callable[[BaseHTTPRequestHandler, MjpegServer], None]
_STREAMS: dict[str, _Stream] = {
    "/untyped": _untyped,
    "/detections": _with_parts(_detections),
    "/headless": _with_parts(lambda data: b"--frame\r\n%b\r\n" % data),
    "/unmeasured": _with_parts(lambda data: b"--frame\r\nContent-Length: 0\r\n\r\n%b\r\n" % data),
    "/bare_jpegs": _with_parts(lambda data: data),
    "/continues": _repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/endless_head": _repeating(b"HTTP/1.1 200 OK\r\n", b"X-Y: " + b"z" * 200 + b"\r\n"),
    "/dripping_head": _repeating(b"HTTP/1.1 200 OK\r\nX: ", b"z", 0.05),
    "/endless_trailer": _repeating(_CHUNKED + b"0\r\n", b"X: y\r\n", 0.02),
    "/line": _line,
    "/bomb": _bomb,
    "/slow": _slow,
    "/bare": _bare,
    "/chunked": _chunked,
    "/torn": _torn,
    "/rubbish": _rubbish,
    "/dripping": _dripping,
    "/growing": _growing,
    "/page": _page,
}


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((HOST, port))
    return held


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
