"""Clients that mean harm hold up nobody."""

import contextlib
import errno
import itertools
import json
import os
import socket
import time

import pytest

from iris_communication.control import server as server_module
from iris_communication.control.client import ControlClient
from iris_communication.control.protocol import IDS_MAX, LINE_BYTES_MAX, request_line
from iris_communication.control.server import CONNECTIONS_MAX
from iris_communication.outbox.orders import DropItems, RetryItems
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.control.server.listening import SHORT_S, WAIT_S, connected, opened


def hangs_up(connection):
    """Whether the other side does so within the time."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def is_disconnected(connection, saying):
    """Whether the other side hangs up while all that is said; each piece waits for its turn."""
    deadline_s = time.monotonic() + WAIT_S
    try:
        for piece in saying:
            connection.sendall(piece)
            assert time.monotonic() < deadline_s
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_a_client_that_says_nothing_is_disconnected_and_holds_up_nobody(tmp_path):
    with opened(tmp_path, RecordingOutbox(), SHORT_S), connected(tmp_path) as silent:
        assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
        assert hangs_up(silent)


def test_a_client_that_drips_is_disconnected_although_it_goes_on(tmp_path):
    with opened(tmp_path, RecordingOutbox(), 0.2), connected(tmp_path) as dripping:
        assert is_disconnected(dripping, itertools.repeat(b" "))


@pytest.mark.parametrize(
    "said",
    [b" " * (LINE_BYTES_MAX + 1), request_line("hello") * 2, request_line("hello") + b"and more"],
    ids=["a line without an end", "two requests at once", "a request and more"],
)
def test_a_client_that_says_too_much_is_disconnected(tmp_path, outbox, said):
    with connected(tmp_path) as talker:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            talker.sendall(said)
        assert hangs_up(talker)
    assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}


def test_rubbish_is_answered_and_the_client_may_try_again(tmp_path, outbox):
    with connected(tmp_path) as talker:
        talker.sendall(b"GET / HTTP/1.1\r\n")
        assert json.loads(talker.recv(LINE_BYTES_MAX))["error"] == "ErrandRefused"
        talker.sendall(request_line("hello"))
        assert json.loads(talker.recv(LINE_BYTES_MAX))["pid"] == os.getpid()


def test_the_client_silent_longest_leaves_when_all_places_are_taken(tmp_path, outbox):
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(tmp_path)) for _ in range(CONNECTIONS_MAX)]
        for each in crowd:  # an answer shows that it is in
            each.sendall(request_line("hello"))
            assert each.recv(LINE_BYTES_MAX)
        assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
        assert hangs_up(crowd[0])
        crowd[-1].sendall(request_line("hello"))
        assert crowd[-1].recv(LINE_BYTES_MAX)


def test_a_client_that_takes_no_answer_is_disconnected(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", SHORT_S)
    ids = [f"{number:0500}" for number in range(IDS_MAX)]
    with opened(tmp_path, RecordingOutbox()), connected(tmp_path) as deaf:
        assert is_disconnected(deaf, itertools.repeat(request_line("retry", ids=ids)))
        assert ControlClient(tmp_path).execute(DropItems(["a"])) == {"a": ""}


def test_a_client_that_leaves_at_once_harms_nobody(tmp_path, outbox):
    for _ in range(10):  # fewer than may connect at the same moment
        connected(tmp_path).close()
        with connected(tmp_path) as leaving:
            leaving.sendall(request_line("hello"))
    assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}


def test_no_client_is_accepted_without_a_free_descriptor_and_the_server_goes_on(tmp_path, monkeypatch):
    class Full(socket.socket):
        """A process that has no descriptor left, for a while."""

        refused = 0

        def accept(self):
            if Full.refused < 2:
                Full.refused += 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    monkeypatch.setattr(server_module, "LOOK_S", 0.01)
    monkeypatch.setattr(server_module.socket, "socket", Full)
    with opened(tmp_path, RecordingOutbox()):
        assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
    assert Full.refused == 2
