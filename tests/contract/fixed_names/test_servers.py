"""Servers by mapping or by name, their secrets, and the parts of a remote path."""

import json
import logging
import stat
import threading

import pytest

from iris_communication.errors import InvalidRequest, ServerNotConfigured
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.contract.fixed_names.uploading import SERVER, GatedProcessor, RecordingProcessor, queue, settled, submit


def test_a_server_may_be_a_mapping_or_a_configured_name(make_uploader, file):
    processor = RecordingProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    uploader.configure_server("hall-3", SERVER)
    receipt = uploader.submit(SftpUploadRequest("hall-3", file(), "line-1", "model"))
    settled(receipt)
    assert processor.calls[0][2]["host"] == SERVER["host"]


def test_a_name_that_is_not_configured_is_refused_with_those_that_are(make_uploader, file):
    uploader = make_uploader(RecordingProcessor())
    uploader.start()
    uploader.configure_server("hall-3", SERVER)
    with pytest.raises(ServerNotConfigured, match=r"hall-4.*known: hall-3"):
        queue(uploader, file(), sftp_server_info="hall-4")


def test_an_inline_secret_goes_to_one_file_of_mode_0600_and_nowhere_else(make_uploader, file, tmp_path, caplog):
    uploader = make_uploader(RecordingProcessor())
    with caplog.at_level(logging.DEBUG):
        uploader.start()
        settled(submit(uploader, file()))
    secret = SERVER["password"].encode()
    holding = [path for path in (tmp_path / "outbox").rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert [path.name for path in holding] == ["secrets.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    assert SERVER["password"] not in caplog.text
    assert SERVER["password"] not in json.dumps(uploader.get_details())


def test_items_of_a_server_whose_secret_is_gone_wait_for_the_operator(make_uploader, file, tmp_path):
    first = make_uploader(GatedProcessor())
    first.start()
    queue(first, file())
    first.close(0.0)
    (tmp_path / "outbox" / "secrets.json").unlink()
    uploader = make_uploader()
    uploader.start()
    while not uploader.get_details()["servers"].get("line@127.0.0.1:9", {}).get("reason"):
        threading.Event().wait(0.005)
    assert "no password or key" in uploader.get_details()["servers"]["line@127.0.0.1:9"]["reason"]
    assert uploader.get_stats()["queue_size"] == 1


@pytest.mark.parametrize("value", ["../up", "a/b", "..", ".", "", "a\0b"])
def test_each_value_of_the_remote_path_is_one_component(make_uploader, file, value):
    uploader = make_uploader(RecordingProcessor())
    uploader.start()
    with pytest.raises(InvalidRequest, match="folder_type"):
        queue(uploader, file(), folder_type=value)
    with pytest.raises(InvalidRequest, match="project"):
        queue(uploader, file(), project_settings={"project": value})
    assert uploader.get_stats()["total_queued"] == 0
