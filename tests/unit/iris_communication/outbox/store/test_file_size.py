"""The files of the database do not grow for ever, and give space back."""

import contextlib
import sqlite3
from collections import deque

import pytest

from iris_communication.item import Delivered
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, Insert
from iris_communication.outbox.store.sqlite import LOG_KEPT_BYTES, SqliteStore
from iris_communication.testing.store_contract import BOOT_ID, make_item

CONTENT = b"0123456789" * 1000
AT_ONCE = 64
LOG_MAX_BYTES = 512 * 1024


class BusyStore:
    """Takes small files in and delivers them, with so many waiting."""

    def __init__(self, folder):
        self.path, self.log = folder / "outbox.db", folder / "outbox.db-wal"
        self.store = SqliteStore(self.path, BOOT_ID)
        self.waiting = deque()
        self.count = 0

    def take(self, count):
        for _ in range(count // AT_ONCE):
            items = [make_item(self.count + number, in_store=True) for number in range(1, AT_ONCE + 1)]
            self.count += AT_ONCE
            self.store.commit([Insert(item, content=CONTENT) for item in items])
            self.store.tidy(LOG_MAX_BYTES)
            self.waiting += items

    def deliver(self, count):
        for _ in range(count // AT_ONCE):
            head, changes = self.store.ledger_head(), []
            for _ in range(AT_ONCE):
                item = self.waiting.popleft()
                proof = Delivered(item.remote_path, 10, "ab" * 32, None, 5.0)
                line = ledger.line(head, ledger.entry(item, proof))
                head = line.hash
                changes.append(Deliver(item, line))
            self.store.commit(changes)
            self.store.tidy(LOG_MAX_BYTES)

    def pass_through(self, count):
        for _ in range(count // AT_ONCE):
            self.take(AT_ONCE)
            self.deliver(AT_ONCE)

    def without_ledger_bytes(self):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            (lines,) = database.execute("SELECT coalesce(sum(length(line) + 200), 0) FROM ledger").fetchone()
        return self.path.stat().st_size - lines


@pytest.fixture
def busy(tmp_path):
    made = BusyStore(tmp_path)
    yield made
    made.store.close()


def test_no_commit_carries_a_checkpoint(busy):
    """It would hold up the caller who waits for the commit."""
    size_bytes = busy.path.stat().st_size
    for number in range(1, 601):
        busy.store.commit([Insert(make_item(number, in_store=True), content=CONTENT)])
    assert busy.path.stat().st_size == size_bytes
    assert busy.log.stat().st_size > 600 * len(CONTENT)


@pytest.mark.parametrize("files", [6_400, pytest.param(200_000, marks=pytest.mark.long)])
def test_the_file_does_not_grow_with_the_files_that_passed_through(busy, files):
    busy.take(640)
    busy.pass_through(1_280)
    before = busy.without_ledger_bytes()
    busy.pass_through(files)
    assert busy.without_ledger_bytes() <= before * 1.3
    assert busy.log.stat().st_size <= LOG_KEPT_BYTES + LOG_MAX_BYTES


def test_the_file_gives_space_back_after_an_outage(busy):
    busy.take(3_200)
    most = busy.path.stat().st_size
    busy.deliver(3_200)
    busy.pass_through(640)
    assert busy.without_ledger_bytes() < most / 2


def test_the_file_gives_all_its_space_back_when_that_is_urgent(busy):
    busy.take(640)
    busy.deliver(640)
    for _ in range(100):
        busy.store.tidy(LOG_MAX_BYTES, urgent=True)
    with contextlib.closing(sqlite3.connect(busy.path)) as database:
        assert database.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_the_log_that_a_long_reader_let_grow_is_short_again_after_it(busy):
    busy.take(640)
    with contextlib.closing(sqlite3.connect(busy.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()
        busy.pass_through(1_280)
        assert busy.log.stat().st_size > 2 * LOG_KEPT_BYTES
    busy.pass_through(256)
    assert busy.log.stat().st_size <= LOG_KEPT_BYTES + LOG_MAX_BYTES
