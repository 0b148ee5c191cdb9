"""Orders from outside, with an owner that runs, with none, with a killed one, and with those that cannot be asked."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iris_communication.admin import outbox_control
from iris_communication.admin.audit import Audit
from iris_communication.admin.outbox_control import NoOutbox, OutboxControl, OwnerSilent
from iris_communication.errors import NotStarted, OutboxInUse, OutboxStorageError, ServerNotConfigured
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.orders import DropItems, PauseServer, ResumeServer, RetryItems, SetPriority
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

ROOT = Path(__file__).resolve().parents[3]
SERVER = {"host": "127.0.0.1", "port": 9, "username": "line", "password": "open sesame", "remote_directory": "/in"}
SERVER_KEY = "line@127.0.0.1:9"
MISSING = "/nowhere/1.csv"


class NeverStarted:
    """Delivers nothing: its transferData is never called, since the uploader is only opened."""

    def transferData(self, *request):  # noqa: N802 - the name that users implement
        raise AssertionError("nothing is delivered here")


def uploader_of(folder):
    uploader = SftpUploaderThread(folder, NeverStarted())
    uploader.open()
    return uploader


def accept(uploader, folder, *names):
    """A file for each name, accepted; the ids."""
    for name in names:
        path = folder / name
        path.write_text("frame;part\n")
        assert uploader.queue_upload(SERVER, path, "line-1", "model")


def ids_of(folder, state=None):
    return [told["id"] for told in Audit(folder).items(state)]


def states_of(folder):
    return [told["state"] for told in Audit(folder).items("all")]


def paused(folder):
    return [told["server"] for told in Audit(folder).halted() if told["paused"]]


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def owned(outbox, tmp_path):
    """Two wait, one is dead from the start; an uploader of this process owns it."""
    uploader = uploader_of(outbox)
    accept(uploader, tmp_path, "1.csv", "2.csv")
    uploader.queue_upload(SERVER, MISSING, "line-1", "model")
    yield outbox
    uploader.close()


def test_the_owner_is_asked_where_one_runs(owned):
    with OutboxControl(owned) as control:
        assert control.owner_pid == os.getpid()
        first, second, dead = ids_of(owned)
        assert control.execute(DropItems([first])) == {first: ""}
        assert control.execute(SetPriority([second], 5)) == {second: ""}
        assert control.execute(RetryItems([dead]))[dead] != "", "its source was never taken over"
    assert [told["priority"] for told in Audit(owned).items("waiting")] == [5]
    assert states_of(owned) == ["waiting", "dead", "dropped"]


def test_an_order_without_an_owner_is_done_here_and_the_outbox_is_given_back(outbox, tmp_path):
    uploader = uploader_of(outbox)
    accept(uploader, tmp_path, "1.csv")
    uploader.close()
    with OutboxControl(outbox) as control:
        assert control.owner_pid is None
        (only,) = ids_of(outbox)
        assert control.execute(DropItems([only])) == {only: ""}
    assert states_of(outbox) == ["dropped"]
    assert not (outbox / "control.sock").exists()
    uploader_of(outbox).close()


@pytest.mark.parametrize("owner_runs", [True, False])
def test_files_are_taken_in_whoever_owns_the_outbox(outbox, tmp_path, owner_runs):
    uploader = uploader_of(outbox)
    if not owner_runs:
        uploader.close()
    (tmp_path / "1.csv").write_text("frame;part\n")
    requests = [
        SftpUploadRequest(SERVER, tmp_path / "1.csv", "line-1", "model", priority=3),
        SftpUploadRequest("a server of no name", tmp_path / "1.csv", "line-1", "model"),
        SftpUploadRequest([SERVER, SERVER | {"port": 10}], tmp_path / "1.csv", "line-1", "model"),
    ]
    with OutboxControl(outbox) as control:
        first, second, third = control.accept(requests)
    uploader.close()
    assert isinstance(second, ServerNotConfigured)
    assert [told["id"] for told in Audit(outbox).items()] == [*first, *third]
    assert (len(first), len(third)) == (1, 2)
    assert Audit(outbox).story(first[0])["priority"] == 3


def test_a_pause_is_kept_over_a_restart_and_resumed(outbox, tmp_path):
    uploader = uploader_of(outbox)
    accept(uploader, tmp_path, "1.csv")
    uploader.close()
    with OutboxControl(outbox) as control:
        control.execute(PauseServer(SERVER_KEY))
    assert paused(outbox) == [SERVER_KEY]
    uploader = uploader_of(outbox)
    with OutboxControl(outbox) as control:
        assert control.owner_pid == os.getpid()
        control.execute(ResumeServer(SERVER_KEY))
    uploader.close()
    assert paused(outbox) == []


def test_no_order_can_be_given_outside_of_the_block(outbox):
    with pytest.raises(NotStarted):
        OutboxControl(outbox).execute(RetryItems(["a"]))


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir, Path.touch], ids=["nothing", "empty", "a file"])
def test_no_outbox_is_made_where_there_is_none(outbox, make):
    make(outbox)
    before = sorted(outbox.parent.rglob("*"))
    with pytest.raises(NoOutbox), OutboxControl(outbox):
        pass
    assert sorted(outbox.parent.rglob("*")) == before


def test_the_outbox_of_another_user_is_not_taken(outbox, monkeypatch):
    uploader_of(outbox).close()
    monkeypatch.setattr(outbox_control.os, "geteuid", lambda: 4711)
    with pytest.raises(OutboxStorageError, match=f"belongs to user {os.getuid()}"), OutboxControl(outbox):
        pass


def test_an_owner_without_a_socket_is_reported_as_one_to_be_stopped(outbox):
    uploader_of(outbox).close()
    owner = Owner(outbox, 1_700_000_000.0)
    with (
        pytest.raises(OutboxInUse, match="another uploader of this process") as raised,
        OutboxControl(outbox, in_between_s=0),
    ):
        pass
    assert "has no control socket" in raised.value.hint
    owner.release()


def test_an_owner_that_is_just_starting_is_waited_for(outbox, tmp_path, monkeypatch):
    uploader = uploader_of(outbox)
    accept(uploader, tmp_path, "1.csv")
    uploader.close()
    owner = Owner(outbox, 1_700_000_000.0)
    started = []

    def goes_on(_):
        if not started:
            owner.release()
            started.append(uploader_of(outbox))

    monkeypatch.setattr(outbox_control.time, "sleep", goes_on)
    with OutboxControl(outbox) as control:
        assert control.owner_pid == os.getpid()
    started[0].close()


class HangsUp:
    """An owner that ends just when somebody connects."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(folder / "control.sock"))
        self.socket.listen()
        self._thread = threading.Thread(target=self._end)
        self._thread.start()

    def _end(self):
        connection, _ = self.socket.accept()
        self.socket.close()
        connection.close()

    def wait(self):
        self._thread.join(10)


def test_an_owner_that_is_just_ending_is_followed(outbox):
    uploader_of(outbox).close()
    ending = HangsUp(outbox)
    with OutboxControl(outbox) as control:
        assert control.owner_pid is None
    ending.wait()


def test_an_owner_that_hangs_is_reported_and_its_outbox_left_alone(outbox, monkeypatch):
    uploader_of(outbox).close()
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.bind(str(outbox / "control.sock"))
    silent.listen()
    monkeypatch.setattr("iris_communication.control.client.HELLO_S", 0.05)
    with pytest.raises(OwnerSilent, match="no answer in time"), OutboxControl(outbox):
        pass
    silent.close()


def test_a_socket_that_may_not_be_opened_says_as_whom_to_ask(outbox, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    uploader_of(outbox).close()
    monkeypatch.setattr(outbox_control, "ControlClient", refused)
    with pytest.raises(OutboxStorageError, match="Permission denied") as raised, OutboxControl(outbox):
        pass
    assert "as the user who runs the uploader" in raised.value.hint


def test_an_order_that_the_owner_refuses_is_raised_here(owned):
    with OutboxControl(owned) as control, pytest.raises(ServerNotConfigured):
        control.execute(PauseServer("no such server"))


KILLED = """
import os, signal, sys
from iris_communication.outbox.orders import DropItems, PauseServer, ResumeServer, RetryItems, SetPriority
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
class Waits:
    def transferData(self, *request):
        import time; time.sleep(60)
uploader = SftpUploaderThread(sys.argv[1], Waits())
uploader.start()
server = dict(host="127.0.0.1", port=9, username="line", password="x", remote_directory="/in")
open(sys.argv[2], "w").write("frame;part")
assert uploader.queue_upload(server, sys.argv[2], "line-1", "model")
print("accepted", flush=True)
sys.stdin.read()
"""


def test_orders_are_carried_out_beside_another_process_and_after_it_was_killed(outbox, tmp_path):
    command = [sys.executable, "-c", KILLED, str(outbox), str(tmp_path / "1.csv")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as owner:
        try:
            assert owner.stdout.readline() == b"accepted\n"
            with OutboxControl(outbox) as control:
                assert control.owner_pid == owner.pid
                control.execute(PauseServer(SERVER_KEY))
        finally:
            owner.kill()
    assert (outbox / "control.sock").is_socket(), "a killed owner leaves it"
    (only,) = ids_of(outbox)
    with OutboxControl(outbox) as control:
        assert control.owner_pid is None
        assert control.execute(DropItems([only])) == {only: ""}
    assert states_of(outbox) == ["dropped"]
    assert paused(outbox) == [SERVER_KEY]
