import asyncio
import json
import socket
import threading
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from iris_camera.web.live import SocketManager
from iris_camera.web.server import WebServer, create_app
from tests.unit.iris_camera.web.fake_line import FakeLine

WAIT_S = 20.0


class Served:
    """A socket manager in a real web server, with the snapshot a test gives."""

    def __init__(self, snapshot, **options):
        self.live = SocketManager(snapshot, period_s=0.005, **options)
        app = create_app(snapshot=snapshot, health=dict, pictures=dict, live=self.live)
        self.server = WebServer(app, port=0)
        self.server.start()

    @property
    def url(self):
        return self.server.address.replace("http:", "ws:") + "live"

    def page(self, **options):
        return connect(self.url, open_timeout=WAIT_S, close_timeout=0.2, compression=None, **options)

    def fetch(self):
        with urllib.request.urlopen(self.server.address, timeout=WAIT_S) as answer:
            return answer.read()

    def end(self):
        self.live.stop()
        self.server.stop()


def narrow(port):
    """A connection for which the kernel keeps little of what is not read."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.connect(("127.0.0.1", port))
    return connected


class PageThatNeverReads:
    """A page that opens the live socket and then leaves everything sent to it unread."""

    def __init__(self, port):
        self.socket = narrow(port)
        self.socket.sendall(
            b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    def close(self):
        self.socket.close()


@pytest.fixture
def serve():
    served = []

    def start(snapshot, **options):
        served.append(Served(snapshot, **options))
        return served[-1]

    yield start
    for one in served:
        one.end()


def counting():
    """A snapshot that counts how often it was taken."""
    counts = {"taken": 0}

    def snapshot():
        counts["taken"] += 1
        return dict(counts)

    return snapshot, counts


def receive(page):
    return json.loads(page.recv(timeout=WAIT_S))


def receive_until(page, condition):
    for _ in range(2000):
        state = receive(page)
        if condition(state):
            return state
    raise AssertionError("2000 states came, none as expected")


def test_a_page_gets_the_whole_state_at_once_and_then_again_and_again(serve):
    line = FakeLine()
    served = serve(line.snapshot)
    with served.page() as page:
        assert receive(page) == line.snapshot()
        line.uploader.stats["total_uploaded"] = 146
        receive_until(page, lambda state: state["uploader"]["stats"]["total_uploaded"] == 146)


def test_no_snapshot_is_taken_while_nobody_is_connected(serve):
    snapshot, counts = counting()
    served = serve(snapshot)
    assert counts["taken"] == 0
    with served.page() as page:
        receive(page)
    while served.live.connected:
        served.fetch()
    taken = counts["taken"]
    for _ in range(50):  # several of the pulse's periods
        served.fetch()
    assert counts["taken"] == taken


def test_all_pages_get_the_same_states_from_one_pulse(serve):
    snapshot, counts = counting()
    served = serve(snapshot)
    with served.page() as one, served.page() as other:
        both = receive(other)["taken"]
        receive_until(one, lambda state: state["taken"] > both + 20)
        last = receive_until(other, lambda state: state["taken"] > both + 20)["taken"]
        assert served.live.connected == 2
    assert counts["taken"] <= last + 20  # and not twice as many


def test_a_page_that_never_reads_is_disconnected_and_delays_no_other(serve, caplog):
    caplog.set_level("INFO", "iris_camera")
    ballast = "x" * 300_000
    served = serve(lambda: {"ballast": ballast}, send_timeout_s=0.05)
    stuck = PageThatNeverReads(served.server.port)
    try:
        with served.page(max_size=None) as page:
            receive(page)
            while served.live.connected == 2:
                receive(page)
            receive(page)
            assert served.live.connected == 1
    finally:
        stuck.close()
    assert any("read nothing" in record.getMessage() for record in caplog.records)


def test_a_page_that_reads_late_gets_the_newest_state_not_the_collected_ones(serve):
    snapshot, _counts = counting()
    ballast = "x" * 1_000_000
    served = serve(lambda: {**snapshot(), "ballast": ballast})
    narrowed = narrow(served.server.port)
    with served.page(max_size=None) as quick, served.page(sock=narrowed, max_size=None, max_queue=1) as late:
        first = receive(late)["taken"]
        receive_until(quick, lambda state: state["taken"] > first + 60)
        numbers = []
        for _ in range(30):
            numbers.append(receive(late)["taken"])
            if numbers[-1] > first + 60:
                break
        assert numbers[-1] > first + 60  # in fewer than 30 states: the others were replaced


def test_stop_closes_the_sockets_with_going_away(serve):
    served = serve(dict)
    with served.page() as page:
        receive(page)
        served.live.stop()
        with pytest.raises(ConnectionClosed) as closed:
            receive_until(page, lambda _state: False)
    assert closed.value.rcvd.code == 1001
    assert closed.value.rcvd.reason == "Iris is stopping"
    assert served.live.connected == 0


def test_no_page_is_taken_after_the_stop(serve):
    served = serve(dict)
    served.live.stop()
    with served.page() as page, pytest.raises(ConnectionClosed) as closed:
        receive(page)
    assert closed.value.rcvd.code == 1001


def test_stop_returns_when_no_page_was_ever_connected_or_the_loop_has_ended(serve):
    SocketManager(dict).stop()
    served = serve(dict)
    with served.page() as page:
        receive(page)
        served.server.stop()
    served.live.stop()
    served.live.stop()


def test_the_page_beyond_the_limit_is_answered_to_come_back_later(serve):
    served = serve(dict, pages_limit=1)
    with served.page() as first:
        receive(first)
        with served.page() as second, pytest.raises(ConnectionClosed) as closed:
            receive(second)
        assert closed.value.rcvd.code == 1013
        receive(first)


def test_a_snapshot_that_fails_is_logged_once_and_ends_no_page(serve, caplog):
    failing = threading.Event()
    failed = threading.Semaphore(0)

    def snapshot():
        if failing.is_set():
            failed.release()
            raise RuntimeError("the camera was gone")
        return {"well": True}

    served = serve(snapshot)
    with served.page() as page:
        receive(page)
        failing.set()
        for _ in range(10):
            assert failed.acquire(timeout=WAIT_S)
        failing.clear()
        for _ in range(5):
            receive(page)
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", "http://[", "//[::1", "://"])
def test_a_script_of_another_site_may_not_read_along(serve, origin):
    served = serve(dict)
    with pytest.raises(InvalidStatus, match="403"):
        served.page(origin=origin)


def test_the_own_page_may_read_along(serve):
    served = serve(dict)
    with served.page(origin=served.server.address.rstrip("/")) as page:
        assert receive(page) == {}


def test_messages_of_a_page_are_ignored(serve):
    served = serve(dict)
    with served.page() as page:
        page.send("hello")
        page.send(b"\x00\x01")
        for _ in range(3):
            receive(page)


def test_a_page_whose_connection_the_server_has_ended_itself_is_gone_and_no_error():
    """As the server does with a text that is no UTF-8: the sender sees the end before the receiver does."""
    app = create_app(snapshot=dict, health=dict, pictures=dict, live=SocketManager(dict, period_s=0.005))
    sent = []

    async def scenario():
        received = asyncio.Queue()
        received.put_nowait({"type": "websocket.connect"})

        async def send(message):
            sent.append(message["type"])
            if message["type"] == "websocket.send":
                raise RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'.")

        scope = {"type": "websocket", "path": "/live", "headers": [(b"host", b"localhost")], "query_string": b""}
        async with asyncio.timeout(WAIT_S):
            await app(scope, received.get, send)

    asyncio.run(scenario())
    assert sent == ["websocket.accept", "websocket.send"]
