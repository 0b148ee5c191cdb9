import asyncio
import logging
import resource
import socket
import time
import urllib.request
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from iris_camera.web import connection_limits
from iris_camera.web.server import WebServer
from iris_communication.runtime.repeats import Repeats
from tests.unit.iris_camera.web.fake_line import FakeLine

WAIT_S = 20.0
HEAD = b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setattr(connection_limits, "repeats", Repeats(connection_limits.log))
    line = FakeLine()
    server = WebServer(line.app, port=0)
    server.start()
    yield server
    line.live.stop()
    server.stop()


@pytest.fixture
def with_short_timeout(served, monkeypatch):
    """The served limits, for tests of late clients only: on a busy machine every client is late."""
    monkeypatch.setattr(connection_limits, "HEAD_TIMEOUT_S", 0.3)
    return served


def connected(server, stack, text=b""):
    there = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S))
    there.sendall(text)
    return there


def fetch(server, path="api/state"):
    with urllib.request.urlopen(server.address + path, timeout=WAIT_S) as answer:
        return answer.status


def received(there):
    """Everything until the other side closes."""
    data = b""
    try:
        while piece := there.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def is_disconnected_while_it_sends_bytes(there):
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        try:
            there.sendall(b"a")
            if there.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_one_connection_too_many_from_an_address_is_answered_and_closed(served, caplog, monkeypatch):
    monkeypatch.setattr(connection_limits, "CONNECTIONS_MAX", 8)
    with ExitStack() as stack:
        kept = [connected(served, stack) for _ in range(4)]
        refused = [received(connected(served, stack)) for _ in range(20)]
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
        kept[0].sendall(HEAD + b"Connection: close\r\n\r\n")
        assert received(kept[0]).startswith(b"HTTP/1.1 200 ")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the page refuses 127.0.0.1: too many are connected"]


def test_the_answer_to_one_connection_too_many_has_the_length_it_says():
    head, body = connection_limits.BUSY.split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_client_that_is_disconnected_makes_room(served, monkeypatch):
    monkeypatch.setattr(connection_limits, "CONNECTIONS_MAX", 8)
    for _ in range(5):
        with ExitStack() as stack:
            asked = [connected(served, stack, HEAD + b"Connection: close\r\n\r\n") for _ in range(4)]
            assert [received(there)[:12] for there in asked] == [b"HTTP/1.1 200"] * 4


def test_live_sockets_count_as_connections(served, monkeypatch):
    monkeypatch.setattr(connection_limits, "CONNECTIONS_MAX", 8)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connect(served.address.replace("http", "ws") + "live", open_timeout=WAIT_S))
        assert received(connected(served, stack)).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("text", [b"", b"GET / HT", HEAD], ids=["nothing", "half a line", "a head without an end"])
def test_a_client_that_asks_for_nothing_in_time_is_disconnected(with_short_timeout, text):
    with ExitStack() as stack:
        assert received(connected(with_short_timeout, stack, text)) == b""


def test_single_bytes_give_no_more_time(with_short_timeout):
    with ExitStack() as stack:
        there = connected(with_short_timeout, stack, HEAD)
        there.settimeout(0.02)
        assert is_disconnected_while_it_sends_bytes(there)


def test_a_client_that_was_answered_and_sends_on_byte_by_byte_is_disconnected(with_short_timeout):
    with ExitStack() as stack:
        there = connected(with_short_timeout, stack, HEAD + b"\r\n" + b"GET / HTTP/1.1\r\nHo")
        assert received(there).startswith(b"HTTP/1.1 200 ")


def test_a_wrong_host_on_the_live_socket_and_nonsense_on_the_port_are_logged_once(served, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(10):
        with ExitStack() as stack:
            received(connected(served, stack, b"\0" * 300 + b"\r\n\r\n"))
            there = connected(served, stack)
            with pytest.raises(InvalidStatus, match="421"):
                connect("ws://evil.example/live", sock=there, open_timeout=WAIT_S)
    assert len(caplog.records) <= 2
    assert not any(record.exc_info for record in caplog.records)
    assert fetch(served) == 200


def test_nonsense_behind_a_good_head_is_logged_once_without_a_traceback(served, caplog):
    caplog.set_level(logging.INFO)
    body = b"POST /api/state HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    for _ in range(3):
        with ExitStack() as stack:
            received(connected(served, stack, body))
            live = stack.enter_context(connect(f"ws://127.0.0.1:{served.port}/live"))
            live.socket.sendall(b"\x81\x82\0\0\0\0\xff\xfe")  # bytes that are no UTF-8
            with pytest.raises(ConnectionClosed):
                list(live)
    assert len(caplog.records) <= 3  # of three kinds
    assert not any(record.exc_info or record.levelno > logging.WARNING for record in caplog.records)
    assert fetch(served) == 200


def test_a_lack_of_descriptors_while_accepting_is_logged_once(caplog, monkeypatch):
    async def scenario():
        loop = asyncio.get_running_loop()
        for _ in range(2048):
            error = OSError(24, "Too many open files")
            connection_limits.note_trouble_of_the_loop(loop, {"message": "accept() failed", "exception": error})

    monkeypatch.setattr(connection_limits, "repeats", Repeats(connection_limits.log))
    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["the page: accept() failed: Too many open files"]
    assert caplog.records[0].exc_info is None


@pytest.mark.parametrize(("soft", "most"), [(256, 32), (1024, 128), (65536, 200), (resource.RLIM_INFINITY, 200)])
def test_the_page_may_have_a_small_part_of_what_the_process_may_open(monkeypatch, soft, most):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))
    assert connection_limits.connections_max() == most
