"""Uploaders that are closed with their test, and a file to send."""

import pytest

from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.unit.iris_communication.outbox.fake_parts import write
from tests.unit.iris_communication.sftp_uploader_thread.uploading import Processor


@pytest.fixture
def make(tmp_path):
    made = []

    def make_one(processor=None, folder="outbox", **options):
        uploader = SftpUploaderThread(tmp_path / folder, processor or Processor(), **options)
        made.append(uploader)
        uploader.start()
        return uploader

    yield make_one
    for uploader in made:
        uploader.close(1.0)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")
