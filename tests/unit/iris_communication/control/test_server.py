"""The control socket with real sockets, on the owner's side and on the client's."""

import contextlib
import errno
import itertools
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from iris_communication.clock import SystemClock
from iris_communication.control import client as client_module
from iris_communication.control import server as server_module
from iris_communication.control.client import ControlClient, OwnerSilent
from iris_communication.control.protocol import FILES_MAX, IDS_MAX, LINE_BYTES_MAX, request_line
from iris_communication.control.server import CONNECTIONS_MAX, ControlServer
from iris_communication.errors import Effect, InvalidRequest, IrisError, OutboxFull, OutboxStorageError
from iris_communication.outbox.orders import DropItems, PauseServer, RetryItems, SetPriority
from iris_communication.upload_request import SftpUploadRequest
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors

WAIT_S = 20.0
SHORT_S = 0.05


class SlowOutbox(RecordingOutbox):
    """Its disk takes as long as the test wants."""

    def __init__(self):
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def execute(self, order):
        self.entered.set()
        assert self.let_go.wait(WAIT_S)
        return super().execute(order)


class RefusingOutbox(RecordingOutbox):
    """Its disk refuses."""

    def execute(self, order):
        raise OutboxStorageError("cannot write the outbox database", hint="free space")


class SilentOwner:
    """Listens, and never says a word: a process that hangs."""

    def __init__(self, folder):
        self.socket = listening(folder)

    def close(self):
        self.socket.close()


class SameAnswers(SilentOwner):
    """Answers everybody with the same bytes, then hangs up."""

    def __init__(self, folder, *answers):
        super().__init__(folder)
        self._answers = answers
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self):
        for answer in self._answers:
            connection, _ = self.socket.accept()
            with connection, contextlib.suppress(BrokenPipeError):  # a client need not stay for it
                connection.recv(LINE_BYTES_MAX)
                connection.sendall(answer)

    def close(self):
        self._thread.join(WAIT_S)
        super().close()


def listening(folder):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "control.sock"))
    listener.listen(8)
    return listener


@contextlib.contextmanager
def opened(folder, outbox, timeout_s=WAIT_S):
    server = ControlServer(folder, outbox, SystemClock(), timeout_s)
    server.open()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def outbox(tmp_path):
    made = RecordingOutbox()
    with opened(tmp_path, made):
        yield made


def connected(folder):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(WAIT_S)
    connection.connect(str(folder / "control.sock"))
    return connection


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


def control_threads():
    return [thread for thread in threading.enumerate() if thread.name == "iris-control"]


# -- asking


def test_a_request_is_run_in_the_owners_process(tmp_path, outbox):
    client = ControlClient(tmp_path)
    assert client.pid == os.getpid()
    assert client.execute(SetPriority(["a"], 5)) == {"a": ""}
    assert client.execute(PauseServer("line@host:22")) == {}
    assert client.execute(RetryItems([])) == {}
    assert outbox.asked == [SetPriority(["a"], 5), PauseServer("line@host:22")]


def test_many_ids_are_asked_in_pieces_and_each_is_answered(tmp_path, outbox):
    ids = [f"{number:012x}-{number:016x}" for number in range(2 * IDS_MAX + 1)]
    assert ControlClient(tmp_path).execute(RetryItems(ids)) == dict.fromkeys(ids, "")
    assert [len(order.ids) for order in outbox.asked] == [IDS_MAX, IDS_MAX, 1]


def test_a_sentence_for_every_id_fits_into_an_answer(tmp_path):
    ids = [f"{number:029}" for number in range(IDS_MAX)]
    with opened(tmp_path, RecordingOutbox(unknown=ids)):
        assert set(ControlClient(tmp_path).execute(DropItems(ids)).values()) == {"no such item"}


def upload(path, **facts):
    return SftpUploadRequest("archive", path, {"project": "line-1"}, "model", **facts)


def test_files_are_handed_over_with_paths_that_mean_the_same_to_the_owner(tmp_path, outbox, monkeypatch):
    monkeypatch.chdir(tmp_path)
    requests = [upload("1.csv", move_to=Path("done")), upload(tmp_path / "\udcff.csv"), upload(b"/in/2.csv")]
    expected = [str(tmp_path / "1.csv"), str(tmp_path / "\udcff.csv"), "/in/2.csv"]
    assert ControlClient(tmp_path).accept(requests) == [[f"id of {path}"] for path in expected]
    (asked,) = outbox.asked
    assert asked[0].move_to == str(tmp_path / "done")


def test_many_files_are_handed_over_in_pieces_in_their_order(tmp_path, outbox):
    paths = [f"/{number:0200}.csv" for number in range(2 * FILES_MAX + 1)]
    assert ControlClient(tmp_path).accept([upload(path) for path in paths]) == [[f"id of {path}"] for path in paths]
    assert [len(asked) for asked in outbox.asked] == [FILES_MAX, FILES_MAX, 1]


def test_files_with_much_to_say_are_fewer_in_a_piece(tmp_path, outbox):
    key = {"host": "a", "username": "b", "private_key": "k" * 50_000}
    requests = [SftpUploadRequest(key, f"/{number}.csv", "line-1", "model") for number in range(5)]
    assert len(ControlClient(tmp_path).accept(requests)) == 5
    assert [len(asked) for asked in outbox.asked] == [2, 2, 1]


def test_a_refused_file_is_answered_with_its_error_and_the_others_with_their_ids(tmp_path):
    with opened(tmp_path, RecordingOutbox(refusing=["/2.csv"])):
        first, second, third = ControlClient(tmp_path).accept([upload(f"/{number}.csv") for number in (1, 2, 3)])
    assert (first, third) == (["id of /1.csv"], ["id of /3.csv"])
    assert isinstance(second, OutboxFull)
    assert second.hint == "wait"


NOT_SAYABLE = [upload("/1.csv", priority=object()), upload("\ud800"), upload("")]


@pytest.mark.parametrize("request_", NOT_SAYABLE, ids=["an object", "half a surrogate pair", "empty"])
def test_a_request_that_cannot_be_sent_is_refused_before_anything_is_handed_over(tmp_path, outbox, request_):
    with pytest.raises(InvalidRequest):
        ControlClient(tmp_path).accept([request_])
    assert outbox.asked == []


def test_a_large_file_is_given_the_time_to_be_read(tmp_path, outbox, monkeypatch):
    timeouts = []
    monkeypatch.setattr(client_module, "TAKEN_OVER_BYTES_PER_S", 100)
    connected_ = ControlClient._connected
    monkeypatch.setattr(ControlClient, "_connected", lambda self, s: timeouts.append(s) or connected_(self, s))
    (tmp_path / "1.csv").write_bytes(b"x" * 500)
    ControlClient(tmp_path, answer_s=2.0).accept([upload(tmp_path / "1.csv"), upload(tmp_path / "missing.csv")])
    assert timeouts == [2.0, 7.0]


def test_no_secret_of_a_handed_over_file_is_logged(tmp_path, outbox, caplog):
    caplog.set_level("DEBUG")
    server = {"host": "a", "username": "b", "password": "open sesame"}
    ControlClient(tmp_path).accept([SftpUploadRequest(server, "/1.csv", "line-1", "model")])
    assert "accept of 1 item" in caplog.text
    assert "sesame" not in caplog.text


def test_an_error_of_the_house_is_raised_where_it_was_asked(tmp_path):
    with opened(tmp_path, RefusingOutbox()), pytest.raises(OutboxStorageError, match="cannot write") as raised:
        ControlClient(tmp_path).execute(DropItems(["a"]))
    assert raised.value.hint == "free space"


def test_a_path_longer_than_a_sockets_address_does(tmp_path):
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    assert len(os.fsencode(deep)) > 108
    with opened(deep, RecordingOutbox()):
        assert ControlClient(deep).execute(RetryItems(["a"])) == {"a": ""}
        assert (deep / "control.sock").is_socket()
    assert not (deep / "control.sock").exists()


def test_two_clients_are_answered_each_with_its_own(tmp_path, outbox):
    found = {}
    ids = {name: [f"{name}{number}" for number in range(200)] for name in "ab"}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: ControlClient(tmp_path).execute(RetryItems(ids[n]))}))
        for n in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert found == {name: dict.fromkeys(ids[name], "") for name in ids}


# -- who may ask


def test_the_owners_user_alone_may_connect(tmp_path, outbox):
    assert stat.S_IMODE(os.lstat(tmp_path / "control.sock").st_mode) == 0o600


def test_the_mode_is_right_before_anybody_can_connect(tmp_path, monkeypatch):
    seen = []
    chmod = os.chmod

    def looked(path, mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early:
            seen.append(early.connect_ex(str(tmp_path / "control.sock.new")))
        chmod(path, mode)

    monkeypatch.setattr(server_module.os, "chmod", looked)
    with opened(tmp_path, RecordingOutbox()):
        assert seen == [errno.ECONNREFUSED]


# -- clients that do harm


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


# -- coming and going


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
    failed, working = threading.Event(), ControlServer._accept

    def fails_once(*arguments):
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError("nobody foresaw this")
        working(*arguments)

    monkeypatch.setattr(ControlServer, "_accept", fails_once)
    with opened(tmp_path, RecordingOutbox()) as server:
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


# -- owners that do not answer


def test_an_owner_that_hangs_is_found_out_before_anything_is_asked(tmp_path):
    owner = SilentOwner(tmp_path)
    with pytest.raises(OwnerSilent, match="did not answer 'hello': no answer in time") as raised:
        ControlClient(tmp_path, answer_s=SHORT_S)
    assert raised.value.effect is Effect.NONE
    owner.close()


HELLO = b'{"protocol": 1, "pid": 7}\n'


@pytest.mark.parametrize("answer", [b"", b"{", b"[]\n", b"{}\n", b"\xff\n"])
def test_a_request_without_an_answer_may_have_been_run(tmp_path, answer):
    owner = SameAnswers(tmp_path, HELLO, answer)
    with pytest.raises(OwnerSilent, match="did not answer 'retry'") as raised:
        ControlClient(tmp_path).execute(RetryItems(["a"]))
    assert raised.value.effect is Effect.UNKNOWN
    owner.close()


def test_an_answer_without_an_end_is_not_read_for_ever(tmp_path):
    owner = SameAnswers(tmp_path, HELLO, b" " * (3 * LINE_BYTES_MAX))
    with pytest.raises(OwnerSilent, match="its answer is incomplete"), contextlib.suppress(ConnectionResetError):
        ControlClient(tmp_path).execute(RetryItems(["a"]))
    owner.socket.close()


def test_an_owner_of_another_version_says_so(tmp_path):
    owner = SameAnswers(tmp_path, b'{"error": "ErrandRefused", "message": "speaks protocol 2, not 1", "hint": ""}\n')
    with pytest.raises(IrisError, match="speaks protocol 2"):
        ControlClient(tmp_path)
    owner.close()


def test_an_owner_that_has_ended_since_was_asked_nothing(tmp_path):
    with opened(tmp_path, RecordingOutbox()):
        client = ControlClient(tmp_path)
    with pytest.raises(OwnerSilent) as raised:
        client.execute(RetryItems(["a"]))
    assert raised.value.effect is Effect.NONE


# -- fork

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
