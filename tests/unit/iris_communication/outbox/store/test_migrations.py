"""An outbox of each earlier schema is brought along whole, or stays as it was. `schema_N.sql` was written by the code
of that time."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import Effect, OutboxStorageError
from iris_communication.item import After, Due, Failure, Fingerprint, State
from iris_communication.outbox.store import ledger, sqlite
from iris_communication.outbox.store.contract import QueueKey, Tally
from iris_communication.outbox.store.sqlite import MIGRATIONS, SCHEMA_VERSION, SqliteStore
from iris_communication.outbox.store.statements import script
from iris_communication.testing.store_contract import BOOT_ID, NOW_S, SERVER

HERE = Path(__file__).parent
ODD = os.fsdecode(b"/records/\xff\xfe b\n'.csv")
HEAD = "9ff7e5aa9558a318068ea44d8d6103b18527464da5b88e057b0224226ca02935"


@pytest.fixture(params=sorted(MIGRATIONS))
def version(request):
    return request.param


@pytest.fixture
def path(tmp_path, version):
    """An outbox of an earlier schema, as its owner left it."""
    path = tmp_path / "outbox.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript((HERE / f"schema_{version}.sql").read_text(encoding="utf-8"))
        database.execute("PRAGMA journal_mode=WAL")
    return path


@pytest.fixture
def store(path):
    store = SqliteStore(path, BOOT_ID, NOW_S)
    yield store
    store.close()


def version_of(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


def shape(path):
    """What a database is made of: columns, indexes, triggers and checks, however they were written down."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {table: database.execute(f"PRAGMA table_xinfo({table})").fetchall() for table in tables}
        strict = {name: strict for _, name, *_, strict in database.execute("PRAGMA table_list") if name in tables}
        others, checks = {}, {}
        for kind, name, text in database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
            told = " ".join(re.sub(r"--[^\n]*", " ", text).split())
            if kind == "table":
                checks[name] = sorted(re.findall(r"CHECK \((?:[^()]|\([^()]*\))*\)", told))
            else:
                others[name] = told
        return columns, strict, others, checks


def rows(path, table):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


# -- brought along


def test_the_migrated_schema_is_that_of_a_new_outbox(store, path, tmp_path):
    new = tmp_path / "new.db"
    SqliteStore(new, BOOT_ID).close()
    store.close()
    assert version_of(path) == version_of(new) == SCHEMA_VERSION
    assert shape(path) == shape(new)


def test_every_row_is_as_it_was_and_what_is_new_has_its_default(path, version):
    before = rows(path, "items")
    store = SqliteStore(path, "an earlier boot", NOW_S)
    store.close()
    after = rows(path, "items")
    columns = {1: 22, 2: 31}[version]
    due = slice(16, 18)  # retries of another boot are due at once, as at any start
    assert [row[:16] + row[18:columns] for row in after] == [row[:16] + row[18:] for row in before]
    assert {row[due] for row in after} == {(None, None), ("an earlier boot", 0.0), ("an earlier boot", 99.0)}
    assert {row[22:] for row in after} == {(0, "", None, None, None, None, "keep", b"", None, 0)}


def test_the_migrated_rows_are_read_as_items(store):
    items = {item.sequence: item for item in store.unfinished()}
    assert sorted(items) == [1, 2, 3, 4, 5, 6, 12, 13]
    assert (items[2].source_path, items[2].remote_path) == (ODD, "/in/ü/" + os.fsdecode(b"\xe4.csv"))
    assert items[2].project_settings == {"project": "ü'\n", "n": [1, None]}
    assert (items[4].state, items[4].token) == (State.IN_FLIGHT, "t4")
    assert (items[5].earlier_tokens, items[5].effect, items[5].attempts) == (("t5a",), Effect.UNKNOWN, 2)
    assert (items[6].due, items[6].effect) == (Due(BOOT_ID, NOW_S + 60.5), Effect.UNSEEN)
    assert items[6].last_error == Failure("RemoteRefused", "no \u2028 'permission'", "ask")
    assert items[13].fingerprint == Fingerprint(2**64 - 1, 2**63, 0, -5, "cd" * 32)
    assert {(item.priority, item.batch, item.after, item.expires) for item in items.values()} == {
        (0, "", After.KEEP, None)
    }


def test_items_that_waited_are_found_by_the_new_queries(store):
    assert store.queues_of(SERVER) == [QueueKey(0, "")]
    assert [item.sequence for item in store.fresh(SERVER, QueueKey(0, ""), 0, 10)] == [1, 2, 13]
    assert [item.sequence for item in store.due(SERVER, QueueKey(0, ""), NOW_S + 1000, 10)] == [12, 6]
    assert [item.sequence for item in store.dead(10)] == [8, 7]


def test_tally_counter_and_ledger_go_on_where_they_were(store, path):
    assert store.tally() == Tally(waiting=6, in_flight=2, dead=2, delivered=3)
    assert (store.last_sequence(), store.ledger_head()) == (13, HEAD)
    lines = list(store.ledger())
    assert ledger.first_broken(lines) is None
    assert json.loads(lines[0].text)["id"] == "item-000009"
    store.close()
    audit = Audit(path.parent)
    assert audit.balance().problems == ()
    assert (audit.verify().lines, audit.verify().head, audit.verify().lost) == (3, HEAD, ())


def test_a_migrated_outbox_is_opened_like_any_other(store, path):
    store.close()
    before = path.read_bytes()
    SqliteStore(path, BOOT_ID, NOW_S).close()
    assert path.read_bytes() == before


# -- or not at all


def untouched(path, version, before):
    assert version_of(path) in range(version, SCHEMA_VERSION + 1)  # each step is whole, or did not happen
    if version_of(path) == version:
        assert {table: rows(path, table) for table in before} == before
    store = SqliteStore(path, BOOT_ID, NOW_S)  # and the next start brings it along
    assert store.tally() == Tally(waiting=6, in_flight=2, dead=2, delivered=3)
    store.close()
    assert version_of(path) == SCHEMA_VERSION


@pytest.fixture
def before(path):
    return {table: rows(path, table) for table in ("items", "ledger", "tally", "counter")}


@pytest.fixture
def disk(monkeypatch):
    """Opens databases on a disk that is as the test says."""
    connect = sqlite3.connect

    def make(prepare=lambda database: None, address=lambda path: (path, {})):
        def opened(path, **options):
            where, more = address(path)
            database = connect(where, **options, **more)
            prepare(database)
            return database

        monkeypatch.setattr(sqlite.sqlite3, "connect", opened)
        return monkeypatch

    return make


@pytest.mark.parametrize("steps", [1, 5, 20, 60, 100, 150, 200, 300])
def test_an_outbox_whose_migration_broke_off_is_what_it_was(path, version, before, disk, steps):
    said = []

    def stop():
        said.append(None)
        return len(said) > steps

    patched = disk(lambda database: database.set_progress_handler(stop, 50))
    with contextlib.suppress(OutboxStorageError):
        SqliteStore(path, BOOT_ID, NOW_S).close()
        assert len(said) <= steps, "it was broken off and did not say so"
    patched.undo()
    if len(said) > steps:
        untouched(path, version, before)
    assert version_of(path) == SCHEMA_VERSION


def test_a_full_disk_leaves_it_as_it_was(path, version, before, disk):
    patched = disk(lambda database: database.execute(f"PRAGMA max_page_count = {path.stat().st_size // 4096}"))
    with pytest.raises(OutboxStorageError, match="full"):
        SqliteStore(path, BOOT_ID, NOW_S)
    patched.undo()
    untouched(path, version, before)


def test_a_disk_that_may_not_be_written_to_leaves_it_as_it_was(path, version, before, disk):
    patched = disk(address=lambda path: (f"file:{path}?mode=ro", {"uri": True}))
    with pytest.raises(OutboxStorageError, match="readonly"):
        SqliteStore(path, BOOT_ID, NOW_S)
    patched.undo()
    untouched(path, version, before)


def test_an_outbox_killed_anywhere_has_a_whole_schema_the_old_one_or_a_later_one(path, version, tmp_path):
    old = shape(path)
    store = SqliteStore(path, BOOT_ID, NOW_S)
    log = path.with_name("outbox.db-wal").read_bytes()
    shutil.copy(path, tmp_path / "as-it-was.db")
    seen = set()
    for cut in (*range(0, len(log), 2003), *range(32, len(log), 4096 + 24), len(log)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        killed = folder / "outbox.db"
        shutil.copy(tmp_path / "as-it-was.db", killed)
        killed.with_name("outbox.db-wal").write_bytes(log[:cut])
        found = version_of(killed)
        seen.add(found)
        assert (shape(killed) == old) is (found == version)
        again = SqliteStore(killed, BOOT_ID, NOW_S)
        assert (again.tally(), again.ledger_head()) == (Tally(waiting=6, in_flight=2, dead=2, delivered=3), HEAD)
        again.close()
    store.close()
    assert seen == set(range(version, SCHEMA_VERSION + 1))


def test_every_step_ends_by_saying_its_version(version):
    assert script(MIGRATIONS[version]).rstrip().endswith(f"PRAGMA user_version = {version + 1};")
