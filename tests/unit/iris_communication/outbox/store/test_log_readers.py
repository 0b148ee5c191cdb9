"""Who keeps the log of the database long, by the locks that Linux lists."""

import os

import pytest

from iris_communication.outbox.store import log_readers
from iris_communication.outbox.store.log_readers import LONG_BYTES, log_details

READ = "{number} POSIX  ADVISORY  READ {process} 08:01:{inode} {byte} {byte}\n"


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """The outbox's folder with a long log, and a function that says what Linux lists."""
    (tmp_path / "outbox.db-shm").touch()
    with (tmp_path / "outbox.db-wal").open("wb") as log:
        log.truncate(LONG_BYTES + 1)
    locks = tmp_path / "locks"
    monkeypatch.setattr(log_readers, "LOCKS", locks)

    def listing(*lines):
        inode = (tmp_path / "outbox.db-shm").stat().st_ino
        facts = ({"number": "1:", "process": os.getppid(), "inode": inode, "byte": 124} | line for line in lines)
        locks.write_text("".join(READ.format(**each) for each in facts))
        return log_details(tmp_path)["log_readers"]

    return listing


def test_a_reader_is_named_once_however_many_locks_it_has(listed):
    (reader,) = listed({"byte": 123}, {"byte": 127})
    assert reader.endswith(f" (process {os.getppid()})")


@pytest.mark.parametrize(
    "other",
    [{"process": os.getpid()}, {"inode": 1}, {"byte": 120}, {"byte": 128}, {"number": "1: ->"}],
    ids=["this process", "another file", "a writer", "whoever has it open", "one that waits for the lock"],
)
def test_a_lock_of_another_kind_is_no_reader(listed, other):
    assert listed(other) == []


def test_a_program_that_has_ended_meanwhile_and_one_that_names_itself_badly_are_still_listed(listed, monkeypatch):
    assert listed({"process": 1 << 30}) == [f"a program (process {1 << 30})"]
    monkeypatch.setattr(log_readers.Path, "read_bytes", lambda path: b"evil\x1b[2J" * 20)
    (reader,) = listed({})
    assert "\x1b" not in reader
    assert len(reader) < 80


def test_the_readers_of_a_short_log_are_not_looked_for(tmp_path):
    assert log_details(tmp_path) == {"log_bytes": 0, "log_readers": None}
    (tmp_path / "outbox.db-wal").write_bytes(b"x" * 1000)
    assert log_details(tmp_path) == {"log_bytes": 1000, "log_readers": None}


def test_a_system_without_a_list_of_locks_names_nobody(listed, monkeypatch, tmp_path):
    listed({})
    (tmp_path / "locks").unlink()
    assert log_details(tmp_path)["log_readers"] == []
