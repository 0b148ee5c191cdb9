import asyncio
import os
from pathlib import Path

import pytest

from iris_communication.errors import (
    ConnectionRefused,
    InvalidRequest,
    SourceMissing,
    SourceNotAFile,
)
from iris_communication.runtime.system_trouble import SystemTrouble
from iris_communication.sftp_processor import SftpProcessor
from iris_communication.testing import MemoryServer, MemoryTransport
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors, write

INFO = {"host": "sftp.example.org", "username": "iris", "password": "x", "remote_directory": "/in"}


@pytest.fixture
def transport():
    return MemoryTransport(MemoryServer())


@pytest.fixture
def processor(transport):
    return SftpProcessor(transport=transport)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")


def send(processor, path, info=INFO):
    return processor.transferData(info, path, {"project": "line-1"}, "model")


def test_one_call_uploads_one_file_and_answers_true(processor, transport, source):
    assert send(processor, source) is True
    assert transport.server.content(b"/in/line-1/model/a.csv") == source.read_bytes()
    assert transport.server.names(b"/in/line-1/model") == [b"a.csv"]


def test_the_source_is_left_where_it_is(processor, source):
    send(processor, source)
    assert source.exists()


def test_each_call_has_a_connection_of_its_own_and_ends_it(processor, transport, source):
    for _ in range(2):
        send(processor, source)
    assert [channel.closed for channel in transport.channels] == [True, True]


def test_a_refusal_is_raised_with_what_to_do(processor, transport, source):
    transport.refusal = lambda: ConnectionRefused("nothing listens there")
    with pytest.raises(ConnectionRefused) as raised:
        send(processor, source)
    assert raised.value.hint


@pytest.mark.parametrize("path", [os.fsencode, str, Path], ids=["bytes", "str", "Path"])
def test_a_path_may_be_given_as_bytes_text_or_path(processor, source, path):
    assert send(processor, path(source))


@pytest.mark.parametrize("path", [None, "", "a\0b", "\ud800"], ids=repr)
def test_a_path_that_no_file_could_have_is_refused_before_anything_is_connected(processor, transport, path):
    with pytest.raises(InvalidRequest, match="file_path is"):
        send(processor, path)
    assert transport.attempts == 0


def test_a_missing_file_is_named(processor, tmp_path):
    with pytest.raises(SourceMissing, match=r"gone\.csv"):
        send(processor, tmp_path / "gone.csv")


def test_a_folder_is_named(processor, tmp_path):
    with pytest.raises(SourceNotAFile, match="is a folder"):
        send(processor, tmp_path)


def test_a_named_pipe_is_not_waited_for(processor, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceNotAFile, match="is a named pipe"):
        send(processor, tmp_path / "pipe")


def test_a_file_whose_disk_fails_is_named(processor, source, monkeypatch):
    from iris_communication.outbox.files import spool

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(spool.os, "read", failing)
    with pytest.raises(SystemTrouble, match=r"a\.csv' cannot be read: Input/output error"):
        send(processor, source)


def test_a_value_that_would_climb_out_of_its_folder_is_refused(processor, source):
    with pytest.raises(InvalidRequest, match="folder_type"):
        processor.transferData(INFO, source, {"project": "line-1"}, "../../etc")


def test_the_processor_may_be_called_from_a_thread_while_another_loop_runs(processor, source):
    async def story():
        return await asyncio.to_thread(send, processor, source)

    assert asyncio.run(story())


def test_no_descriptor_is_left_open(processor, transport, source):
    send(processor, source)
    before = open_descriptors()
    send(processor, source)
    transport.refusal = lambda: ConnectionRefused("no")
    with pytest.raises(ConnectionRefused):
        send(processor, source)
    assert open_descriptors() <= before


def test_a_subclass_overrides_transfer_data_only_with_a_method_of_its_own():
    class Same(SftpProcessor):
        pass

    class Other(SftpProcessor):
        def transferData(self, *_):  # noqa: N802 - the fixed name
            return True

    assert [kind().overrides_transfer_data for kind in (SftpProcessor, Same, Other)] == [False, False, True]
