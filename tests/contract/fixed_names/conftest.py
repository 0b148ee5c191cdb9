"""An uploader with an outbox of its own, and files for it."""

import pytest

from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.contract.fixed_names.uploading import FAST, GatedProcessor


@pytest.fixture
def make_uploader(tmp_path):
    made = []

    def make(processor=None, **options):
        uploader = SftpUploaderThread(tmp_path / "outbox", processor, settings=FAST, **options)
        made.append((uploader, processor))
        return uploader

    yield make
    for uploader, processor in made:
        if isinstance(processor, GatedProcessor):
            processor.let.set()
        uploader.close(1.0)


@pytest.fixture
def file(tmp_path):
    def make(name="a.csv", content=b"a,b\n1,2\n"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make
