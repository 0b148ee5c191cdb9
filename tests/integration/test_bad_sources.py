"""What may be wrong with a file at `queue_upload`: a clear error, and nothing else suffers."""

import os

import pytest

from iris_communication.errors import InvalidRequest, SourceMissing, SourceNotAFile
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.servers.asyncssh_server import AsyncSshServer


@pytest.fixture
def sender(tmp_path, sender_to):
    with AsyncSshServer(tmp_path / "received") as server:
        yield sender_to(server.info("/"))


def died(sender, path):
    receipt = sender.uploader.submit(SftpUploadRequest(sender.info, path, "p", "model"))
    receipt._done.wait(20.0)
    return receipt.outcome


def test_a_missing_file_is_dead_at_once_and_named(sender, tmp_path):
    error = died(sender, tmp_path / "missing.csv")
    assert isinstance(error, SourceMissing)
    assert "missing.csv" in str(error)


def test_a_folder_is_dead_at_once_and_named(sender, tmp_path):
    (tmp_path / "folder").mkdir()
    error = died(sender, tmp_path / "folder")
    assert isinstance(error, SourceNotAFile)
    assert "is a folder" in str(error)


def test_a_named_pipe_is_dead_at_once_and_blocks_nobody(sender, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(died(sender, tmp_path / "pipe"), SourceNotAFile)


def test_a_bad_file_holds_up_no_good_one(sender, tmp_path):
    died(sender, tmp_path / "missing.csv")
    sender.submit("good.csv").wait_delivered(20.0)
    assert sender.until_drained() == {"total_queued": 2, "total_uploaded": 1, "total_failed": 1, "queue_size": 0}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"folder_type": "../etc"}, "folder_type"),
        ({"folder_type": "a/b"}, "folder_type"),
        ({"project_settings": {"project": ".."}}, "project"),
        ({"project_settings": {"line": "x"}}, "project"),
        ({"project_settings": 7}, "project_settings is a int"),
        ({"sftp_server_info": {"host": "h"}}, "username"),
        ({"sftp_server_info": {"host": "h", "username": "u", "pasword": "secret-word"}}, "did you mean 'password'"),
        ({"sftp_server_info": {"host": "h", "username": "u", "port": "ssh"}}, "port"),
        ({"sftp_server_info": None}, "sftp_server_info"),
    ],
)
def test_what_could_never_be_delivered_is_refused_by_name_and_counted_nowhere(sender, changed, told):
    request = {"sftp_server_info": sender.info, "file_path": sender.file(), "project_settings": "p", "folder_type": "m"}
    with pytest.raises(InvalidRequest, match=told) as raised:
        sender.uploader.queue_upload(**request | changed)
    assert "secret-word" not in str(raised.value)
    assert sender.stats["total_queued"] == 0
