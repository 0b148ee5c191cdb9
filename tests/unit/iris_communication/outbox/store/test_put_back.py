"""A process that is killed between any two steps of putting back loses nothing of what it told before."""

import os
import shutil
from contextlib import closing

import pytest

from iris_communication.outbox.store import put_back as put_back_module
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.unit.iris_communication.outbox.fake_parts import LARGE, write

SERVER = {"host": "127.0.0.1", "port": 9, "username": "u", "password": "p"}


def accept(uploader, path, content=b"small"):
    assert uploader.queue_upload(SERVER, write(path, content), {"project": "p"}, "model")


def opened(folder):
    uploader = SftpUploaderThread(folder)
    uploader.open()
    return closing(uploader)


@pytest.fixture
def copied_at_each_step(tmp_path, monkeypatch):
    """What a killed process would leave: copies of a folder, made before each change of a name."""
    copies = []

    def begin(folder):
        def watched(change):
            def call(*args, **options):
                copy = tmp_path / "killed" / str(len(copies))
                copies.append(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("control*")))
                return change(*args, **options)

            return call

        for name in ("rename", "unlink"):
            monkeypatch.setattr(put_back_module.os, name, watched(getattr(os, name)))
        return copies

    return begin


@pytest.mark.parametrize(
    "removed",
    [["-shm"], ["-wal"], ["-wal", "-shm"], [""], ["", "-shm"]],
    ids=["index", "log", "log and index", "database", "database and index"],
)
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_kill_while_files_are_put_back_costs_no_accepted_file(
    tmp_path, copied_at_each_step, removed, content, monkeypatch
):
    with opened(tmp_path / "outbox") as uploader:
        accept(uploader, tmp_path / "first.csv", content)
        for suffix in removed:
            (tmp_path / "outbox" / f"outbox.db{suffix}").unlink()
        copies = copied_at_each_step(tmp_path / "outbox")
        accept(uploader, tmp_path / "second.csv")
        monkeypatch.undo()
    assert len(copies) > 1
    for folder in copies:
        was_decided = (folder / "salvaged-put-back.db").exists()
        with opened(folder) as reopened:
            is_owed = "first.csv" in reopened.owed_names() and reopened.get_stats()["total_failed"] == 0
        if "-wal" in removed and not was_decided:  # no name led to what knew of it
            kept = content == b"small" or any((folder / "quarantine").iterdir())  # a file in the spool, for a person
            assert is_owed or kept, folder.name
        else:
            assert is_owed, folder.name
