"""The control socket comes and goes with its owner, in a fork as well."""

import os
import subprocess
import sys
import threading

import pytest

from iris_communication.clock import SystemClock
from iris_communication.control import server as server_module
from iris_communication.control.client import ControlClient
from iris_communication.control.protocol import LINE_BYTES_MAX, request_line
from iris_communication.control.server import ControlServer
from iris_communication.outbox.orders import RetryItems
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.control.server.listening import SHORT_S, WAIT_S, connected, listening, opened
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors


class SlowOutbox(RecordingOutbox):
    """Its disk takes as long as the test wants."""

    def __init__(self):
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def execute(self, order):
        self.entered.set()
        assert self.let_go.wait(WAIT_S)
        return super().execute(order)


def control_threads():
    return [thread for thread in threading.enumerate() if thread.name == "iris-control"]


def test_a_socket_that_a_killed_owner_left_is_replaced(tmp_path):
    listening(tmp_path).close()
    (tmp_path / "control.sock.new").write_text("left as well")
    with opened(tmp_path, RecordingOutbox()):
        assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
    assert list(tmp_path.iterdir()) == []


def test_connecting_is_refused_where_nobody_listens(tmp_path):
    with pytest.raises(FileNotFoundError):
        ControlClient(tmp_path)
    listening(tmp_path).close()
    with pytest.raises(ConnectionRefusedError):
        ControlClient(tmp_path)


def test_a_folder_that_can_hold_no_socket_costs_the_control_socket_only(tmp_path, caplog):
    server = ControlServer(tmp_path / "missing", RecordingOutbox(), SystemClock())
    server.open()
    server.close()
    assert "control socket unavailable" in caplog.text
    assert control_threads() == []


def test_closing_leaves_no_thread_no_file_and_no_descriptor(tmp_path):
    before = open_descriptors()
    with opened(tmp_path, RecordingOutbox()), connected(tmp_path) as client:
        client.sendall(request_line("hello"))
        assert client.recv(LINE_BYTES_MAX)
    assert control_threads() == []
    assert list(tmp_path.iterdir()) == []
    assert open_descriptors() <= before


def test_the_socket_of_a_later_owner_is_left_alone(tmp_path):
    first, second = (
        ControlServer(tmp_path, RecordingOutbox(), SystemClock()),
        ControlServer(tmp_path, RecordingOutbox(), SystemClock()),
    )
    first.open()
    second.open()
    first.close()
    assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
    second.close()


def test_a_request_under_way_is_finished_and_answered_when_the_server_closes(tmp_path):
    outbox = SlowOutbox()
    with opened(tmp_path, outbox) as server:
        told = []
        asking = threading.Thread(target=lambda: told.append(ControlClient(tmp_path).execute(RetryItems(["a"]))))
        asking.start()
        assert outbox.entered.wait(WAIT_S)
        closing = threading.Thread(target=server.close)
        closing.start()
        outbox.let_go.set()
        asking.join(WAIT_S)
        closing.join(WAIT_S)
    assert told == [{"a": ""}]


def test_an_outbox_that_hangs_does_not_hold_up_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "JOIN_S", SHORT_S)
    outbox = SlowOutbox()
    with opened(tmp_path, outbox) as server:
        asking = threading.Thread(target=lambda: ControlClient(tmp_path).execute(RetryItems(["a"])))
        asking.start()
        assert outbox.entered.wait(WAIT_S)
        (thread,) = control_threads()
        server.close()
        assert thread.is_alive()
        outbox.let_go.set()
        asking.join(WAIT_S)
        thread.join(WAIT_S)
    assert control_threads() == []


def test_a_server_that_fails_is_logged_and_listens_again(tmp_path, monkeypatch, caplog):
    failed = threading.Event()

    class FailsOnce(SystemClock):
        """It is read when a client comes."""

        def monotonic_s(self):
            if not failed.is_set():
                failed.set()
                raise ZeroDivisionError("nobody foresaw this")
            return super().monotonic_s()

    with opened(tmp_path, RecordingOutbox(), clock=FailsOnce()) as server:
        first = (tmp_path / "control.sock").stat().st_ino
        connected(tmp_path).close()
        assert failed.wait(WAIT_S)
        for _ in range(1000):
            if [path.stat().st_ino for path in tmp_path.glob("control.sock")] not in ([], [first]):
                break
            threading.Event().wait(0.01)
        assert ControlClient(tmp_path).execute(RetryItems(["a"])) == {"a": ""}
        assert server.thread()["restarts"] == 1
    assert "nobody foresaw this" in caplog.text
    assert list(tmp_path.iterdir()) == []


FORKING = """
import os, socket, sys, time
from pathlib import Path
from iris_communication.clock import SystemClock
from iris_communication.control.server import ControlServer
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox

folder = Path(sys.argv[1])
server = ControlServer(folder, RecordingOutbox(), SystemClock())
server.open()
if os.fork() == 0:
    server.close()
    print("child", flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(60)
"""


def test_a_forked_child_has_no_control_socket_and_leaves_its_parents_alone(tmp_path):
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # newer Pythons warn of a fork beside threads
    command = [sys.executable, "-c", FORKING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        try:
            assert parent.stdout.readline() == b"child\n"
            assert ControlClient(tmp_path).pid == parent.pid
            parent.kill()
            parent.wait(WAIT_S)
            with pytest.raises(ConnectionRefusedError):  # though the child lives
                ControlClient(tmp_path)
        finally:
            parent.kill()
            parent.stdin.close()
