"""A server whose disk folds names and whose RENAME replaces, for real: every file arrives."""

import os
import unicodedata
from pathlib import Path

import asyncssh
import pytest

from tests.integration.uploading import contents_of, running, submit_all, wait_for
from tests.servers.asyncssh_server import AsyncSshServer

COMPOSED = "Z\u00fcrich.csv"
NAMES = ["A.csv", "a.csv", "a.CSV", COMPOSED, unicodedata.normalize("NFD", COMPOSED), COMPOSED.upper()]


class Folding(asyncssh.SFTPServer):
    """Treats names that differ in case or composition alone as one name; a rename replaces."""

    def map_path(self, path):
        return super().map_path(unicodedata.normalize("NFC", path.decode()).casefold().encode())

    def rename(self, oldpath, newpath):
        Path(os.fsdecode(self.map_path(oldpath))).replace(os.fsdecode(self.map_path(newpath)))


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_names_that_are_one_to_the_server_are_all_delivered(transport, tmp_path, sources):
    files = {name: f"{number}\n".encode() for number, name in enumerate(NAMES)}
    with AsyncSshServer(tmp_path / "server", sftp_server=Folding) as server, running(tmp_path / "outbox") as uploader:
        info = server.info("/") | {"transport": transport, "remote_path": "{remote_directory}/{file_name}"}
        receipts = submit_all(uploader, info, files, sources)
        wait_for(receipts.values())
        assert sorted(contents_of(server.folder).values()) == sorted(files.values())
        paths = [receipt.outcome.final_path for receipt in receipts.values()]
    assert len({unicodedata.normalize("NFC", path).casefold() for path in paths}) == len(NAMES)
