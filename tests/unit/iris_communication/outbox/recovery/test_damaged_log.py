"""A log of the database that is gone, torn or damaged after a kill is reported; it costs what it alone held,
and no file in the spool."""

import os
import shutil
import struct

import pytest

from tests.unit.iris_communication.outbox.fake_parts import LARGE, accept_of, write
from tests.unit.iris_communication.outbox.recovery.damaged_outbox import filled, ids, started


def killed(made, tmp_path):
    folder = shutil.copytree(made.folder, tmp_path / "killed")
    made.end()
    return folder


@pytest.fixture
def left(tmp_path):
    """An outbox whose owner was killed: its last commits are in the log alone."""
    made = filled(tmp_path / "outbox", items=6)
    made.store.close()
    with started(made.folder) as writer:
        for number in range(5):
            writer.accept(accept_of(write(tmp_path / f"{number}.csv", LARGE)))
        return shutil.copytree(made.folder, tmp_path / "killed")


def strays(folder):
    return sorted(path.name for path in (folder / "quarantine").iterdir() if path.suffix != ".db-wal")


def test_a_log_that_is_gone_after_a_kill_costs_no_file_in_the_spool(left):
    held = {path.name for path in (left / "spool").iterdir()}
    (left / "outbox.db-wal").unlink()
    (left / "outbox.db-shm").unlink()
    with started(left) as writer:
        assert "is gone, though the process before did not end in good order" in writer.notice
    assert len(strays(left)) == 5
    assert held == {*strays(left), *(path.name for path in (left / "spool").iterdir())}


def test_a_log_that_is_damaged_costs_no_file_in_the_spool_and_is_kept(left):
    log = bytearray((left / "outbox.db-wal").read_bytes())
    log[32 + 24 + 100] ^= 0xFF
    (left / "outbox.db-wal").write_bytes(log)
    (left / "outbox.db-shm").unlink()
    with started(left) as writer:
        assert "is damaged: what was committed behind that place is lost" in writer.notice
    assert len([name for name in strays(left) if "outbox" not in name]) == 5
    (copy,) = (left / "quarantine").glob("*.db-wal")
    assert copy.read_bytes() == log


def test_a_log_that_was_cut_off_by_a_kill_is_no_damage(left):
    with (left / "outbox.db-wal").open("ab") as log:
        log.write(b"\1" * 1000)
    (left / "outbox.db-shm").unlink()
    with started(left) as writer:
        assert writer.notice == ""
        assert writer.snapshot.stats.queue_size == 5 + sum(state == "waiting" for state in ids(left).values()) - 5
    assert not (left / "quarantine").exists()


FRAME_BYTES = 24 + 4096


def torn(log, frames, bad):
    """The log, and a transaction of so many frames that was never synced: one of them did not reach the disk."""
    salts, tail = log[16:24], b""
    for number in range(frames):
        commits = 50 if number == frames - 1 else 0
        head = struct.pack(">II", number + 2, commits) + salts + b"\1\2\3\4\5\6\7\x08"
        tail += bytes(FRAME_BYTES) if number == bad else head + b"\7" * 4096
    return log + tail


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without"])
@pytest.mark.parametrize(("frames", "bad"), [(1, None), (3, 0), (3, 1), (40, 20)])
def test_a_tail_that_a_power_cut_tore_was_promised_to_nobody(left, caplog, index, frames, bad):
    before = set(ids(shutil.copytree(left, left.with_name("read"))))
    log = left / "outbox.db-wal"
    log.write_bytes(torn(log.read_bytes(), frames, bad))
    write(left / "spool" / "never-answered", b"its row was in there")
    if not index:
        (left / "outbox.db-shm").unlink()
    with started(left) as writer:
        assert writer.notice == ""
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    assert set(ids(left)) == before
    assert not (left / "quarantine").exists()
    assert not (left / "spool" / "never-answered").exists()


@pytest.mark.parametrize("back", [1, 2])
def test_a_last_commit_that_was_answered_and_cannot_be_read_is_damage(left, back):
    """The index knows of it, in which a killed process left what it had synced."""
    log = bytearray((left / "outbox.db-wal").read_bytes())
    log[-back * FRAME_BYTES + 100] ^= 0xFF
    (left / "outbox.db-wal").write_bytes(log)
    with started(left) as writer:
        assert "is damaged: what was committed behind that place is lost" in writer.notice


def test_a_log_that_lost_its_end_after_it_was_answered_is_damage(left):
    log = left / "outbox.db-wal"
    os.truncate(log, log.stat().st_size - FRAME_BYTES)
    with started(left) as writer:
        assert "is damaged" in writer.notice


def test_the_logs_index_alone_is_made_again(left):
    (left / "outbox.db-shm").unlink()
    with started(left) as writer:
        assert writer.notice == ""
