"""What a caller may hand over, and what becomes of the calls of an injected processor."""

import os
import threading
from pathlib import Path

import pytest

from iris_communication.errors import InvalidRequest, OutboxFull, OutboxStorageError
from iris_communication.item import Delivered
from iris_communication.outbox.writer.writer import Writer
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_processor import SftpProcessor
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.unit.iris_communication.outbox.fake_parts import LONG_S, wait_until, write
from tests.unit.iris_communication.sftp_uploader_thread.uploading import SERVER, Processor, submit


@pytest.mark.parametrize(
    "path", [None, "", 5, b"", "a\0b.csv", "/folder\0/a.csv", "\ud800.csv", "/\ud800/a.csv", ["a.csv"]], ids=repr
)
def test_a_path_that_no_file_could_have_is_refused_and_harms_nobody(make, source, path):
    uploader = make()
    with pytest.raises(InvalidRequest, match="file_path is"):
        submit(uploader, path)
    assert submit(uploader, source).wait_delivered(LONG_S)
    assert uploader.get_stats()["total_queued"] == 1


@pytest.mark.parametrize("path", [os.fsencode, str, Path], ids=["bytes", "str", "Path"])
def test_a_path_may_be_given_as_bytes_text_or_path(make, source, path):
    assert submit(make(), path(source)).wait_delivered(LONG_S)


def test_a_relative_path_is_that_of_the_moment_it_is_queued(make, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    assert submit(make(), "a.csv").wait_delivered(LONG_S)


@pytest.mark.parametrize("folder_type", [None, 5, b"model", os.fsdecode(b"\xff"), "\ud800"], ids=repr)
def test_a_folder_type_that_is_no_text_is_refused_and_harms_nobody(make, source, folder_type):
    """A row's texts are UTF-8: a value that is not would fail the commit of a whole group."""
    uploader = make()
    with pytest.raises(InvalidRequest, match="folder_type is"):
        submit(uploader, source, folder_type=folder_type)
    assert submit(uploader, source).wait_delivered(LONG_S)


def test_settings_that_cannot_be_stored_are_refused_and_say_what_can(make, source):
    with pytest.raises(InvalidRequest, match=r"project_settings cannot be stored.*use texts"):
        submit(make(), source, project_settings={"project": "line-1", "camera": object()})


@pytest.mark.parametrize("server", [None, 5, [], [5]], ids=repr)
def test_a_server_that_is_neither_mapping_nor_name_is_refused(make, source, server):
    with pytest.raises(InvalidRequest, match="sftp_server_info is a"):
        submit(make(), source, server=server)


def test_a_name_that_is_no_text_is_refused(make):
    with pytest.raises(InvalidRequest, match="a server's name"):
        make().configure_server(None, SERVER)


def test_an_unknown_way_to_take_a_file_is_refused(make, source):
    with pytest.raises(InvalidRequest, match="take is 'steal': expected 'copy' or 'move'"):
        submit(make(), source, take="steal")


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="max_queue_size is 0"):
        SftpUploaderThread(tmp_path, max_queue_size=0)


def test_a_moved_file_is_gone_once_it_is_accepted_and_arrives(make, source):
    receipt = submit(make(), source, take="move")
    assert not source.exists()
    assert isinstance(receipt.wait_delivered(LONG_S), Delivered)


def test_a_disk_that_refuses_answers_false_and_says_what_to_do(make, source, monkeypatch, caplog):
    uploader = make()

    def refuse(self, accepts):
        return [OutboxStorageError("cannot take 'a.csv' into the spool: No space left on device")]

    monkeypatch.setattr(Writer, "accept_all", refuse)
    assert uploader.queue_upload(SERVER, source, "line-1", "model") is False
    assert "a.csv is not accepted" in caplog.text
    assert "free space on the outbox's disk" in caplog.text


def test_files_queued_together_are_answered_one_by_one_and_delivered_in_order(make, tmp_path, caplog):
    let_go, processor = threading.Event(), Processor()
    processor.does = lambda: let_go.wait(LONG_S)
    uploader = make(processor, max_queue_size=3)
    paths = [write(tmp_path / f"{number}.csv") for number in range(4)]
    asked = [SftpUploadRequest(SERVER, path, "line-1", "model") for path in paths]
    assert uploader.queue_uploads(asked) == [True, True, True, False]
    assert f"Upload queue is full, dropping request: {paths[3]}" in caplog.text
    let_go.set()
    wait_until(lambda: uploader.get_stats()["total_uploaded"] == 3)
    assert [name for _, name, _, _ in processor.asked] == ["0.csv", "1.csv", "2.csv"]


def test_a_full_queue_is_logged_for_the_first_refusal_and_so_is_room_again(make, source, monkeypatch, caplog):
    caplog.set_level("INFO")
    uploader = make()
    answer = OutboxFull("the outbox holds 100 files")
    monkeypatch.setattr(Writer, "accept_all", lambda self, accepts: [answer for _ in accepts])
    for _ in range(1_000):
        assert uploader.queue_upload(SERVER, source, "line-1", "model") is False
    monkeypatch.undo()
    assert uploader.queue_upload(SERVER, source, "line-1", "model") is True
    said = [record.getMessage() for record in caplog.records if "ueue" in record.getMessage()]
    assert said[0].startswith(f"Upload queue is full, dropping request: {source} stays where it is; ")
    assert said[1].startswith("the upload queue has room again (the same for 999 files in ")
    assert len(said) == 2


def test_a_disk_that_refuses_everything_is_logged_once_and_without_a_traceback(make, source, monkeypatch, caplog):
    uploader = make()
    refusals = (
        OutboxStorageError(f"cannot take '{number}.csv' into the spool: No space left") for number in range(100)
    )
    monkeypatch.setattr(Writer, "accept_all", lambda self, accepts: [next(refusals)])
    for _ in range(100):
        uploader.queue_upload(SERVER, source, "line-1", "model")
    (said,) = [record for record in caplog.records if "is not accepted" in record.getMessage()]
    assert said.exc_info is None


def test_a_request_that_could_never_be_delivered_keeps_those_beside_it_from_being_queued(make, source):
    uploader = make()
    asked = [SftpUploadRequest(SERVER, path, "line-1", "model") for path in (source, "a\0b.csv")]
    with pytest.raises(InvalidRequest, match="file_path is"):
        uploader.queue_uploads(asked)
    assert uploader.get_stats()["total_queued"] == 0


def test_two_names_of_one_account_deliver_into_their_own_folders(make, source):
    processor = Processor()
    uploader = make(processor)
    for name in ("models", "classifiers"):
        uploader.configure_server(name, {**SERVER, "remote_directory": f"/{name}"})
    for name in ("models", "classifiers"):
        delivered = submit(uploader, source, server=name).wait_delivered(LONG_S)
        assert delivered.final_path == f"/{name}/line-1/model/a.csv"
    assert [info["remote_directory"] for info, *_ in processor.asked] == ["/models", "/classifiers"]


def test_a_subclass_of_our_processor_with_a_transfer_data_of_its_own_is_what_is_called(make, source):
    class Printing(SftpProcessor):
        def __init__(self):
            super().__init__()
            self.asked = []

        def transferData(self, info, file_path, *_):  # noqa: N802 - its users' name
            self.asked.append(Path(file_path).name)
            return True

    processor = Printing()
    assert submit(make(processor), source).wait_delivered(LONG_S)
    assert processor.asked == ["a.csv"]


def test_a_secret_in_the_words_of_an_injected_processor_is_stored_and_logged_nowhere(make, source, tmp_path, caplog):
    def talk():
        raise ValueError(f"cannot log in with {SERVER}")

    uploader = make(Processor(talk), settings=DeliverySettings(attempts_max=1))
    with pytest.raises(Exception, match="cannot log in"):
        submit(uploader, source).wait_delivered(LONG_S)
    secret = SERVER["password"]
    files = [path for path in (tmp_path / "outbox").rglob("*") if path.is_file()]
    assert [path.name for path in files if secret.encode() in path.read_bytes()] == ["secrets.json"]
    assert secret not in caplog.text
    assert "Traceback" in caplog.text
    assert secret not in repr(uploader.get_details())
