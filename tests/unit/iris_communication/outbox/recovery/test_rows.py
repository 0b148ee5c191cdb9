"""What is read out of a database's bytes is what SQLite reads."""

import contextlib
import random
import shutil
import sqlite3

import pytest

from iris_communication.outbox.recovery.log_frames import log_frames
from iris_communication.outbox.recovery.pages import Pages
from iris_communication.outbox.recovery.rows import rows

INTEGERS = (0, 1, -1, 127, -129, 2**15, -(2**23), 2**31, 2**47, -(2**63), 2**63 - 1)
VALUES = (None, *INTEGERS, 0.5, 1e300, "", "ü\U0001f600", b"", b"\0\xff")


def table_rows(path):
    """(number, columns) of every row of the only table with three columns, by our own reading."""
    with Pages(path) as pages:
        return sorted((row.number, row.columns) for row in rows(pages) if len(row.columns) == 3)


def expected(database):
    return sorted((number, tuple(columns)) for number, *columns in database.execute("SELECT rowid, * FROM t"))


def filled(path, *, page_bytes=4096, wal=False, count=300):
    """A table of all kinds of values, some far longer than a page, with holes where rows were deleted."""
    rng = random.Random(7)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA page_size = {page_bytes}")
    if wal:
        database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (a, b, c)")
    database.execute("CREATE INDEX i ON t (a)")
    for number in range(count):
        long = rng.choice([0, 10, 400, 4000, 4060, 4100, 9000, 70_000]) if number % 10 == 0 else 5
        database.execute("INSERT INTO t VALUES (?, ?, ?)", (rng.choice(VALUES), rng.choice(VALUES), "x" * long))
    database.execute("DELETE FROM t WHERE rowid % 7 = 3")
    database.execute("INSERT INTO t (rowid, a, b, c) VALUES (-5, 1, 2, 3)")
    return database


@pytest.mark.parametrize("page_bytes", [512, 1024, 4096, 65536])
def test_every_kind_of_value_and_length_is_read_as_sqlite_reads_it(tmp_path, page_bytes):
    with contextlib.closing(filled(tmp_path / "a.db", page_bytes=page_bytes)) as database:
        assert table_rows(tmp_path / "a.db") == expected(database)


def test_rows_only_in_the_log_are_read_and_rows_never_committed_are_not(tmp_path):
    with contextlib.closing(filled(tmp_path / "a.db", wal=True)) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("PRAGMA cache_size = 5")
        database.execute("UPDATE t SET b = 'later' WHERE rowid < 50")
        committed = expected(database)
        database.execute("BEGIN")
        database.execute("UPDATE t SET c = randomblob(3000)")  # more than the cache holds: some of it is in the log
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("a.db", "a.db-wal"):
            shutil.copy(tmp_path / name, copy)
        database.execute("ROLLBACK")
    assert table_rows(copy / "a.db") == committed
    assert log_frames(copy / "a.db-wal").is_sound


def test_a_log_that_was_begun_again_is_read_up_to_where_it_was_written(tmp_path):
    with contextlib.closing(filled(tmp_path / "a.db", wal=True)) as database:
        database.execute("PRAGMA wal_checkpoint(RESTART)")
        database.execute("UPDATE t SET b = 'anew' WHERE rowid = 1")
        assert log_frames(tmp_path / "a.db-wal").is_sound
        assert table_rows(tmp_path / "a.db") == expected(database)


@pytest.mark.parametrize("at", [0, 9, 20, 30])
def test_a_log_with_a_damaged_head_is_not_sound(tmp_path, at):
    with contextlib.closing(filled(tmp_path / "a.db", wal=True)):
        log = bytearray((tmp_path / "a.db-wal").read_bytes())
    log[at] ^= 0x10
    (tmp_path / "b.db-wal").write_bytes(log)
    assert not log_frames(tmp_path / "b.db-wal").is_sound


def test_a_changed_bit_anywhere_in_a_frame_is_seen(tmp_path):
    with contextlib.closing(filled(tmp_path / "a.db", wal=True, count=20)):
        log = (tmp_path / "a.db-wal").read_bytes()
        whole = log_frames(tmp_path / "a.db-wal")
    frame = 24 + 4096
    for at in range(32, 32 + 2 * frame, 331):
        damaged = bytearray(log)
        damaged[at] ^= 0x01
        (tmp_path / "b.db-wal").write_bytes(damaged)
        found = log_frames(tmp_path / "b.db-wal")
        assert not found.is_sound, at
        assert found.offsets != whole.offsets


def test_a_log_cut_off_anywhere_is_sound_as_far_as_it_goes(tmp_path):
    with contextlib.closing(filled(tmp_path / "a.db", wal=True, count=20)):
        log = (tmp_path / "a.db-wal").read_bytes()
    for cut in (0, *range(32, 40_000, 997)):
        (tmp_path / "b.db-wal").write_bytes(log[:cut])
        assert log_frames(tmp_path / "b.db-wal").is_sound, cut


def test_no_bytes_whatsoever_make_it_stumble(tmp_path):
    with contextlib.closing(filled(tmp_path / "a.db", page_bytes=512, count=60)) as database:
        known = set(map(repr, expected(database)))
    sound = (tmp_path / "a.db").read_bytes()
    rng = random.Random(3)
    for _ in range(150):
        damaged = bytearray(sound)
        for _ in range(rng.randrange(1, 20)):
            at = rng.randrange(len(damaged))
            noise = rng.randbytes(min(rng.randrange(1, 40), len(damaged) - at))
            damaged[at : at + len(noise)] = noise
        (tmp_path / "b.db").write_bytes(damaged)
        found = table_rows_loosely(tmp_path / "b.db")
        assert len(found & known) > 0 or damaged[:100] != sound[:100], "the rest is read all the same"


def table_rows_loosely(path):
    with Pages(path) as pages:
        return {repr((row.number, row.columns)) for row in rows(pages)}
