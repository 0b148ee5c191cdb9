"""The control socket runs requests in the process of the owner, for its user alone."""

import errno
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from iris_communication.control import client as client_module
from iris_communication.control import server as server_module
from iris_communication.control.client import ControlClient
from iris_communication.control.protocol import FILES_MAX, IDS_MAX
from iris_communication.errors import InvalidRequest, OutboxFull, OutboxStorageError
from iris_communication.outbox.orders import DropItems, PauseServer, RetryItems, SetPriority
from iris_communication.upload_request import SftpUploadRequest
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.control.server.listening import WAIT_S, opened


class RefusingOutbox(RecordingOutbox):
    """Its disk refuses."""

    def execute(self, order):
        raise OutboxStorageError("cannot write the outbox database", hint="free space")


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
    timeouts, settimeout = [], socket.socket.settimeout
    monkeypatch.setattr(client_module, "TAKEN_OVER_BYTES_PER_S", 100)
    monkeypatch.setattr(socket.socket, "settimeout", lambda self, s: timeouts.append(s) or settimeout(self, s))
    (tmp_path / "1.csv").write_bytes(b"x" * 500)
    ControlClient(tmp_path, answer_s=2.0).accept([upload(tmp_path / "1.csv"), upload(tmp_path / "missing.csv")])
    assert [each for each in timeouts if each >= 2.0] == [2.0, 7.0]  # the server's own are shorter


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
