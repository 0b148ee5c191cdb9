import asyncio
import contextlib
import errno
import http.client
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from iris_camera.web.server import CannotServe, WebServer, bind
from tests.servers.held_port import held_port
from tests.unit.iris_camera.web.fake_line import FakeLine

WAIT_S = 20.0


@pytest.fixture
def serve():
    servers = []

    def start(app, **options):
        servers.append(WebServer(app, **{"port": 0, **options}))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def fetch(server, path=""):
    with urllib.request.urlopen(server.address + path, timeout=WAIT_S) as answer:
        return answer.status, dict(answer.headers), answer.read()


def read_all(page):
    while True:
        page.recv(timeout=WAIT_S)


def web_threads():
    return [thread for thread in threading.enumerate() if thread.name == "iris-web"]


class EndlessAnswers(FastAPI):
    """An application with an answer that never ends, and one that blocks the web loop."""

    def __init__(self):
        super().__init__()
        self.streaming = threading.Event()
        self.let_go = threading.Event()
        self.add_api_route("/stream", self._stream)
        self.add_api_route("/block", self._block)

    async def _stream(self):
        return StreamingResponse(self._chunks())

    async def _chunks(self):
        yield b"x"
        self.streaming.set()
        await asyncio.Event().wait()

    async def _block(self):
        self.streaming.set()
        self.let_go.wait(WAIT_S)


def test_the_server_answers_on_loopback_once_started(serve):
    server = serve(FakeLine().app)
    status, headers, body = fetch(server, "sftp-uploader-stats")
    assert status == 200
    assert b'"total_queued":150' in body
    assert server.address == f"http://127.0.0.1:{server.port}/"
    assert "server" not in {name.lower() for name in headers}


def test_the_server_takes_a_socket_claimed_before(serve):
    claimed = bind("127.0.0.1", 0)
    port = claimed.getsockname()[1]
    server = serve(FakeLine().app, bound=claimed)
    assert server.port == port
    assert fetch(server)[0] == 200


def test_a_taken_port_is_an_error_of_start_and_starts_no_thread():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(CannotServe, match=f"127.0.0.1 port {port}: the port is in use; stop the program"):
            WebServer(FakeLine().app, port=port).start()
    assert web_threads() == []


def test_the_server_leaves_the_process_its_signal_handlers(serve):
    handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    serve(FakeLine().app)
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers


def test_requests_start_and_stop_write_no_line(serve, caplog, capfd):
    caplog.set_level(logging.INFO)
    server = serve(FakeLine().app)
    fetch(server)
    with connect(server.address.replace("http:", "ws:") + "live", close_timeout=0.2) as page:
        page.recv(timeout=WAIT_S)
    server.stop()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert capfd.readouterr() == ("", "")


def test_stop_frees_the_port_for_the_next_one(serve):
    with held_port() as port:
        serve(FakeLine().app, port=port).stop()
        assert web_threads() == []
        assert fetch(serve(FakeLine().app, port=port))[0] == 200


def test_stopping_twice_or_before_a_start_returns():
    with held_port() as port:
        server = WebServer(FakeLine().app, bound=bind("127.0.0.1", port))
        server.stop()
        bind("127.0.0.1", port).close()
        server.stop()


def test_starting_twice_is_a_mistake_of_the_caller(serve):
    server = serve(FakeLine().app)
    with pytest.raises(RuntimeError, match="started before"):
        server.start()


def test_stop_with_an_open_websocket_returns_in_time_and_closes_it(serve):
    server = serve(FakeLine().app)
    with connect(server.address.replace("http:", "ws:") + "live", close_timeout=0.2) as page:
        page.recv(timeout=WAIT_S)
        began = time.monotonic()
        server.stop(timeout_s=12.0)
        assert time.monotonic() - began < 12.0
        assert web_threads() == []
        with pytest.raises(ConnectionClosed):
            read_all(page)


def test_stop_with_a_client_that_is_being_streamed_to_returns_in_time(serve, caplog):
    app = EndlessAnswers()
    server = serve(app)
    with urllib.request.urlopen(server.address + "stream", timeout=WAIT_S):
        assert app.streaming.wait(WAIT_S)
        began = time.monotonic()
        server.stop(timeout_s=1.0)
        assert time.monotonic() - began < 6.0
        assert web_threads() == []
    assert [record.getMessage() for record in caplog.records] == []


def test_stop_with_clients_that_say_nothing_returns_in_time(serve):
    server = serve(FakeLine().app)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    fetch(server)
    began = time.monotonic()
    server.stop(timeout_s=12.0)
    assert time.monotonic() - began < 12.0
    assert web_threads() == []
    for client in silent:
        client.close()


def test_stop_returns_in_time_even_when_the_web_loop_hangs_and_logs_it(serve, caplog):
    app = EndlessAnswers()
    server = serve(app)
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(b"GET /block HTTP/1.1\r\nHost: iris\r\n\r\n")
    assert app.streaming.wait(WAIT_S)
    began = time.monotonic()
    server.stop(timeout_s=0.2)
    assert time.monotonic() - began < 6.0
    assert "did not end within 0.2 s" in caplog.text
    app.let_go.set()
    client.close()
    server.stop()
    assert web_threads() == []


PROGRAM_THAT_NEVER_STOPS_ITS_SERVER = """
import urllib.request
from iris_camera.web.server import WebServer
from tests.unit.iris_camera.web.fake_line import FakeLine
server = WebServer(FakeLine().app, port=0)
server.start()
for path in ["", "api/state", "api/camera/line-1.jpg", "sftp-uploader-stats"]:
    urllib.request.urlopen(server.address + path, timeout=60).read()
"""


def test_a_loop_that_fails_disconnects_its_clients_and_answers_again(serve):
    async def app(scope, receive, send):
        if scope["path"] == "/fail":
            asyncio.get_running_loop().call_soon(fail)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def fail():
        raise SystemExit("nobody foresaw this")

    server = serve(app)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)) as idle:
        idle.request("GET", "/")
        assert idle.getresponse().read() == b""
        with contextlib.suppress(OSError, http.client.HTTPException):
            fetch(server, "fail")
        with contextlib.suppress(ConnectionResetError):
            assert idle.sock.recv(1) == b""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(OSError):
            assert fetch(server)[0] == 204
            return
        assert time.monotonic() < deadline_s


def test_a_server_that_cannot_begin_is_logged_with_its_cause(monkeypatch, caplog):
    async def no_descriptor(self, sockets=None):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(uvicorn.Server, "startup", no_descriptor)
    with pytest.raises(CannotServe, match="did not start; the log says why"):
        WebServer(FakeLine().app, port=0).start()
    assert "the thread iris-web failed (OSError: " in caplog.text
    assert "AttributeError" not in caplog.text


def test_a_program_that_ends_without_stopping_its_server_ends():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM_THAT_NEVER_STOPS_ITS_SERVER],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
